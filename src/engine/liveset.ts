// Sets as one walk finds them: what was captured, and what rules on the way changed. The captured data stays as it is.
import type { Namespace } from '../model/host.ts';
import type { Counters, IpSet, SetMember } from '../model/ruleset.ts';
import { SetIndex, type SetValue } from './setindex.ts';

/** One set during one walk. */
export class LiveSet {
  readonly captured: IpSet;
  private readonly gone = new Set<SetMember>();
  private readonly added: SetMember[] = [];
  private readonly counted = new Map<SetMember, Counters>();

  constructor(captured: IpSet) {
    this.captured = captured;
  }

  get size(): number {
    return this.captured.members.length - this.gone.size + this.added.length;
  }

  *members(): Generator<SetMember> {
    for (const m of this.captured.members) if (!this.gone.has(m)) yield m;
    yield* this.added;
  }

  /** Every member that may cover `values`, in the kernel's order as far as a listing shows it. */
  candidates(values: readonly SetValue[]): readonly SetMember[] {
    const found = SetIndex.of(this.captured).candidates(values);
    if (this.gone.size === 0 && this.added.length === 0) return found;
    return [...found.filter((m) => !this.gone.has(m)), ...this.added];
  }

  add(member: SetMember): void {
    this.added.push(member);
  }

  remove(member: SetMember): void {
    const at = this.added.indexOf(member);
    if (at >= 0) this.added.splice(at, 1);
    else this.gone.add(member);
  }

  /** An element's counters by now, where they are known. */
  counters(member: SetMember): Counters | undefined {
    const { packets, bytes } = member;
    return this.counted.get(member) ?? (packets !== undefined && bytes !== undefined ? { packets, bytes } : undefined);
  }

  /** ip_set_update_counter() */
  count(member: SetMember, length: number): void {
    const before = this.counters(member);
    if (before) this.counted.set(member, { packets: before.packets + 1, bytes: before.bytes + length });
  }
}

/** The sets of one namespace during one walk. */
export class LiveSets {
  private readonly captured: Namespace['sets'];
  private readonly live = new Map<string, LiveSet>();

  constructor(ns: Namespace) {
    this.captured = ns.sets;
  }

  get(name: string): LiveSet | undefined {
    let found = this.live.get(name);
    const set = found || !Object.hasOwn(this.captured, name) ? undefined : this.captured[name];
    if (set) this.live.set(name, (found = new LiveSet(set)));
    return found;
  }
}
