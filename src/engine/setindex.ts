// Which elements of a set may cover a packet: one hash table for each shape of element in use (the lengths of its
// networks), as the kernel's hash types have it. What fits no table (a range, a name that is a prefix) is tried one by one.
import { and, equal, familyOf, formatAddr, maskLength, maskOf, not, prefixMask, xor, type Addr, type Word } from '../net/addr.ts';
import type { IpSet, SetMember, SetPart } from '../model/ruleset.ts';

/** The packet's value for one dimension. */
export type SetValue =
  { readonly addr: Addr } | { readonly port: number; readonly proto: number } | { readonly name: string } | { readonly mark: number };

type Key = number | string;

interface Shape {
  /** The bits of an address that count, in each dimension that holds one. */
  readonly masks: readonly (Addr | undefined)[];
  /** Places of the members by the values of all dimensions, each masked. */
  readonly byKey: Map<Key, number[]>;
}

/** An index of one captured set. */
export class SetIndex {
  private static readonly known = new WeakMap<IpSet, SetIndex>();
  private readonly set: IpSet;
  private readonly shapes = new Map<string, Shape>();
  private readonly rest: number[] = [];
  /** How many dimensions the tables tell apart. */
  private readonly depth: number;

  private constructor(set: IpSet) {
    this.set = set;
    // a network that covers the address tells, whatever interface it is for
    const iface = set.dimensions.indexOf('iface');
    this.depth = iface < 0 ? set.dimensions.length : iface;
    for (const [place, member] of set.members.entries()) this.place(member, place);
  }

  /** The index of a set, made once. */
  static of(set: IpSet): SetIndex {
    let index = SetIndex.known.get(set);
    if (!index) SetIndex.known.set(set, (index = new SetIndex(set)));
    return index;
  }

  /** In the captured order, every member that covers `values` in the first dimensions, and perhaps some that do not. */
  candidates(values: readonly SetValue[]): readonly SetMember[] {
    const places = [...this.rest];
    for (const shape of this.shapes.values()) {
      const found = shape.byKey.get(keyOf(values, shape.masks, this.depth));
      if (found) places.push(...found);
    }
    if (places.length > 1) places.sort((a, b) => a - b);
    return places.map((p) => this.set.members[p]!);
  }

  private place(member: SetMember, place: number): void {
    const values: SetValue[] = [];
    const masks: (Addr | undefined)[] = [];
    for (const part of member.parts.slice(0, this.depth)) {
      const one = plainValue(part);
      if (!one) break;
      values.push(one.value);
      masks.push(one.mask);
    }
    if (values.length < this.depth || this.depth === 0) {
      this.rest.push(place);
      return;
    }
    const name = masks.map((m) => (m === undefined ? '' : formatAddr(m))).join();
    let shape = this.shapes.get(name);
    if (!shape) this.shapes.set(name, (shape = { masks, byKey: new Map() }));
    const key = keyOf(values, masks, this.depth);
    const found = shape.byKey.get(key);
    if (found) found.push(place);
    else shape.byKey.set(key, [place]);
  }
}

/** The single value that a part covers, addresses under a mask; undefined where it covers several. */
function plainValue(part: SetPart): { readonly value: SetValue; readonly mask?: Addr } | undefined {
  switch (part.kind) {
    case 'net': {
      const [lo, hi] = part.ranges[0] as readonly [Addr, Addr];
      const mask = part.masked?.mask ?? (part.prefix ? prefixMask(part.prefix) : blockMask(lo, hi));
      return mask === undefined || part.ranges.length > 1 ? undefined : { value: { addr: lo }, mask };
    }
    case 'port':
      return part.lo === part.hi ? { value: { port: part.lo, proto: part.proto ?? -1 } } : undefined;
    case 'mac':
      return { value: { name: part.mac } };
    case 'mark':
      return { value: { mark: part.mark } };
    case 'iface':
    case 'set':
      return undefined;
  }
}

function blockMask(lo: Addr, hi: Addr): Addr | undefined {
  const length = maskLength(not(xor(lo, hi)));
  if (length === undefined) return undefined;
  const mask = maskOf(familyOf(lo), length);
  return equal(and(lo, mask), lo) ? mask : undefined;
}

function keyOf(values: readonly SetValue[], masks: readonly (Addr | undefined)[], depth: number): Key {
  if (depth === 1) return keyPart(values[0]!, masks[0]);
  let key = '';
  for (let i = 0; i < depth; i++) key += `${keyPart(values[i]!, masks[i])}|`;
  return key;
}

function keyPart(value: SetValue, mask: Addr | undefined): Key {
  if ('addr' in value) {
    if (mask === undefined || familyOf(mask) !== familyOf(value.addr)) return '';
    const word: Word = and(value.addr, mask);
    return typeof word === 'number' ? word : word.join();
  }
  if ('port' in value) return value.proto * 65536 + value.port;
  return 'name' in value ? value.name : value.mark;
}
