// The machine: random cases played on the kernel and asked of netwhy, many a second, the same ones from the same seed.
import { readConntrack } from '../../src/capture/conntrack.ts';
import type { World } from '../../src/model/host.ts';
import { formatAddr, isError, parseAddr } from '../../src/net/addr.ts';
import { judge, worldOf, type Comparison } from './compare.ts';
import { Dice } from './dice.ts';
import { makeGround, makeRuleset, makeShot, shotToSix, toSix, type Ground } from './generate.ts';
import type { Load, Node, Ruleset, Shot, Sighting } from './node.ts';

/** Rule sets that share one ground, one after the other. */
export const RULESETS_PER_GROUND = 10;
/** Packets without a past, and stories of several packets. */
export const PACKETS = 24;
const STORIES = 6;

/** What becomes of a connection after its first packet. */
const STEPS = ['again', 'answer', 'answer', 'again', 'error', 'back-error', 'ack', 'answer-ack', 'fin', 'reset', 'answer-reset', 'clash'] as const;
type Step = (typeof STEPS)[number];

interface Story {
  readonly first: Shot;
  /** Another packet to the same end. */
  readonly other: Shot;
  readonly steps: readonly Step[];
  /** It meets the connections of the story before. */
  readonly after: boolean;
}

/** A node with its packets. */
export interface Case {
  readonly at: number;
  readonly load: Load;
  readonly fresh: boolean;
  readonly single: readonly Shot[];
  readonly stories: readonly Story[];
}

/** The case with a number: everything about it follows from the seed. */
export function makeCase(seed: number, at: number, packets = PACKETS): Case {
  const group = Math.floor(at / RULESETS_PER_GROUND);
  const six = group % 4 === 3;
  const ground: Ground = makeGround(new Dice(seed * 7_368_787 + group * 2 + 1), six);
  const d = new Dice(seed * 100_003 + at * 2);
  const four: Load = { ...ground.load, ...makeRuleset(d, ground) };
  const shot = (): Shot => (six ? shotToSix(makeShot(d, four)) : makeShot(d, four));
  // since Linux 6.16 conntrack knows DCCP by its addresses only, before with its ports, as netwhy does: without either it is all the same
  const ported = (s: Shot): Shot => (s.proto === 'dccp' ? { ...s, proto: 'udplite' } : s);
  const asksPorts = /--ct(?:orig|repl)(?:src|dst)port/.test(`${four.legacy ?? ''}${four.nft ?? ''}`);
  const single = d.some(packets, packets, () => (asksPorts ? ported(shot()) : shot()));
  const stories = d.some(STORIES, STORIES, (i): Story => {
    const first = ported(shot());
    const from = shot();
    // the same flow from elsewhere may be in its way
    const other = first.local || from.local ? first : { ...first, iif: from.iif!, src: from.src! };
    return { first, other, steps: d.some(1, 5, () => d.pick(STEPS)), after: i > 0 && d.chance(25) };
  });
  return { at, load: six ? toSix(four) : four, fresh: ground.mixed || at % RULESETS_PER_GROUND === 0, single, stories };
}

/** One packet as the kernel handled it. */
interface Seen {
  readonly shot: Shot;
  readonly sighting: Sighting;
  /** It met no connection of a packet before it. */
  readonly alone: boolean;
}

/** A case that the kernel has played. */
interface Played {
  readonly files: Readonly<Record<string, string>>;
  readonly seen: readonly Seen[];
}

/** Files that the rules and sets change; the rest is of the ground. */
const OF_RULES: Readonly<Record<'legacy' | 'nft' | 'legacy6' | 'nft6' | 'ipset', string>> = {
  legacy: 'iptables-legacy-save.txt',
  nft: 'iptables-nft-save.txt',
  legacy6: 'ip6tables-legacy-save.txt',
  nft6: 'ip6tables-nft-save.txt',
  ipset: 'ipset-save.txt',
};

/** Where SET changes a set, or one learns link-layer addresses, each packet finds the sets as they were captured. */
export function renewal(load: Ruleset): { readonly renew?: string } {
  const rules = `${load.legacy ?? ''}${load.nft ?? ''}${load.legacy6 ?? ''}${load.nft6 ?? ''}`;
  if (load.ipset === undefined || !(rules.includes('-j SET') || load.ipset.includes('bitmap:ip,mac'))) return {};
  const names = [...load.ipset.matchAll(/^create (\S+)/gm)].map((m) => m[1]!);
  return { renew: [...names.map((n) => `flush ${n}`), ...load.ipset.split('\n').filter((l) => l.startsWith('add ')), ''].join('\n') };
}

/** Has one kernel play cases, and keeps what it need not be asked again. */
export class Player {
  readonly node: Node;
  private ground: Readonly<Record<string, string>> = {};
  private stands = false;
  /** Milliseconds spent waiting for the kernel and its tools. */
  waited = 0;

  constructor(node: Node) {
    this.node = node;
  }

  private async wait<T>(answer: Promise<T>): Promise<T> {
    const since = performance.now();
    try {
      return await answer;
    } finally {
      this.waited += performance.now() - since;
    }
  }

  /** The next load is a node of its own, whatever stood before. */
  reset(): void {
    this.stands = false;
  }

  private async load(c: Case): Promise<Readonly<Record<string, string>>> {
    const { node } = this;
    if (c.fresh || !this.stands) {
      this.stands = false;
      await this.wait(node.load(c.load));
      this.ground = await this.wait(node.capture());
      this.stands = true;
      return this.ground;
    }
    try {
      const { ipset, legacy, nft, legacy6, nft6 } = c.load;
      const rules = Object.fromEntries(Object.entries({ ipset, legacy, nft, legacy6, nft6 }).filter(([, text]) => text !== undefined));
      await this.wait(node.swap(rules));
      const family = c.load.ip!.some((l) => l.startsWith('-6')) ? (['legacy6', 'nft6'] as const) : (['legacy', 'nft'] as const);
      const only = [...family, 'ipset' as const].map((k) => OF_RULES[k]);
      return { ...this.ground, ...(await this.wait(node.capture(only))) };
    } catch (problem) {
      this.stands = false;
      throw problem;
    }
  }

  async play(c: Case): Promise<Played> {
    const files = await this.load(c);
    const { node } = this;
    const renew = renewal(c.load);
    const alone = await this.wait(node.packets(c.single, { fresh: true, ...renew }));
    const seen: Seen[] = alone.map((sighting, i) => ({ shot: c.single[i]!, sighting, alone: true }));
    for (const { first, other, steps, after } of c.stories) {
      const send = async (shot: Shot, begins = false): Promise<Sighting> => {
        const [sighting] = await this.wait(node.packets([shot], { list: true, ...(begins && { fresh: true }), ...renew }));
        seen.push({ shot, sighting: sighting!, alone: begins });
        return sighting!;
      };
      const there = await send(first, !after);
      let back: { readonly shot: Shot; readonly sighting: Sighting } | undefined;
      for (const step of steps) {
        const shot = nextShot(c.load, step, first, other, there, back);
        if (!shot) continue;
        const sighting = await send(shot);
        if (step === 'answer') back = { shot, sighting };
      }
    }
    return { files, seen };
  }
}

/** Reports whether a socket there may send from an address: one of those given to a device, and no broadcast or anycast. */
export function isOwn({ devs, ip }: Load, addr: string): boolean {
  const words = [...devs.flatMap((d) => d.addrs ?? []), ...(ip ?? []).flatMap((l) => /^(?:-6 )?addr add (\S+)/.exec(l)?.[1] ?? [])];
  const plain = (text: string): string => {
    const read = parseAddr(text);
    return isError(read) ? text : formatAddr(read);
  };
  return words.some((w) => plain(w.split('/')[0]!) === plain(addr));
}

function nextShot(
  load: Load,
  step: Step,
  first: Shot,
  other: Shot,
  there: Sighting,
  back: { readonly shot: Shot; readonly sighting: Sighting } | undefined,
): Shot | undefined {
  switch (step) {
    case 'again':
      return first;
    case 'clash':
      return other;
    case 'answer':
      return answerTo(load, first, there, 'SYN,ACK');
    case 'answer-ack':
      return first.proto === 'tcp' ? answerTo(load, first, there, 'ACK', 1001) : undefined;
    case 'answer-reset':
      return first.proto === 'tcp' ? answerTo(load, first, there, 'RST,ACK', 1001) : undefined;
    case 'error':
      return errorAbout(there);
    case 'back-error':
      return back && errorAbout(back.sighting);
    case 'ack':
      // an ACK of what nobody was seen to send is outside of every window
      return back && first.proto === 'tcp' && !first.local ? { ...first, flags: 'ACK', seq: 1001, ack: 1001 } : undefined;
    case 'fin':
      return back && first.proto === 'tcp' && !first.local ? { ...first, flags: 'FIN,ACK', seq: 1001, ack: 1001 } : undefined;
    case 'reset':
      return first.proto === 'tcp' && !first.local ? { ...first, flags: 'RST', seq: 1001, ack: 1001 } : undefined;
    default:
      return step satisfies never;
  }
}

/** What the far end sends back by the device that the packet left by, or the socket that it reached. */
function answerTo(load: Load, shot: Shot, { fate, device, last }: Sighting, flags: string, seq = 1000): Shot | undefined {
  if (fate === 'gone' || !last || last.src === last.dst || shot.type !== undefined) return undefined;
  // a socket may not answer a broadcast address without asking for it, and one with headers of its own making routes without ports
  if (fate === 'local' && (last.src.endsWith('.255') || load.ip!.some((l) => l.includes('ipproto')))) return undefined;
  const from = fate === 'local' ? { local: true as const, raw: true as const } : { iif: device! };
  const back = { ...from, src: last.dst, dst: last.src };
  if (fate === 'local' && (!isOwn(load, last.dst) || (shot.proto === 'gre' && last.src === last.dst))) return undefined;
  if (shot.proto === 'icmpv6') return last.id === undefined ? undefined : { ...back, proto: 'icmpv6', type: 129, id: last.id };
  if (shot.proto === 'icmp') return last.id === undefined ? undefined : { ...back, proto: 'icmp', type: 0, id: last.id };
  return {
    ...back,
    ...(shot.proto !== undefined && { proto: shot.proto }),
    ...(last.sport !== undefined && { sport: last.dport!, dport: last.sport }),
    ...(shot.proto === 'tcp' && { flags, seq, ack: ((last.seq ?? 1000) + 1) >>> 0 }),
  };
}

/** An ICMP error by somebody on the way that the packet took when it left. */
function errorAbout({ fate, device, last }: Sighting): Shot | undefined {
  if (fate !== 'sent' || !last || last.type !== undefined || last.sport === undefined) return undefined;
  const six = last.src.includes(':');
  const inner: Shot = { src: last.src, dst: last.dst, proto: String(last.proto), sport: last.sport, dport: last.dport!, iif: device! };
  return {
    iif: device!,
    src: six ? 'fd00::198.51.100.9' : '198.51.100.9',
    dst: last.src,
    proto: six ? 'icmpv6' : 'icmp',
    type: six ? 1 : 3,
    code: six ? 0 : 1,
    inner,
  };
}

/** The world with other connections. */
export function withConnections(world: World, text: string): World {
  const [ns] = world.namespaces;
  return { ...world, namespaces: [{ ...ns!, conntrack: readConntrack(text, 'conntrack.txt').entries }] };
}

/** What netwhy says about every packet of a case. */
export function compareAll({ files, seen }: Played): Comparison[] {
  const world = worldOf({ ...files, 'conntrack.txt': '' });
  return seen.map(({ shot, sighting }) => judge(sighting.conntrack ? withConnections(world, sighting.conntrack) : world, shot, sighting));
}

/** The first packet that is disagreed about, with those of its connection before it. */
export function disagreement({ seen }: Played, all: readonly Comparison[]): readonly Shot[] | undefined {
  const bad = all.findIndex((c) => !c.taken);
  if (bad < 0) return undefined;
  const from = seen.findLastIndex((s, i) => i <= bad && s.alone);
  return seen.slice(from, bad + 1).map((s) => s.shot);
}
