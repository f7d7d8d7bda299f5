// The machine: random cases played on the kernel and asked of netwhy, many a second, the same ones from the same seed.
import { readConntrack } from '../../src/capture/conntrack.ts';
import type { World } from '../../src/model/host.ts';
import type { Step } from '../../src/model/trace.ts';
import { judge, NFT_JSON, NFT_WORDS, worldOf, type Comparison } from './compare.ts';
import { Dice } from './dice.ts';
import { makeGround, makeRuleset, makeShot, shotToSix, toSix, type Ground } from './generate.ts';
import type { Load, Node, Ruleset, Shot, Sighting } from './node.ts';
import type { Suspect } from './shrink.ts';
import { makeRivals, makeStory, nextShot, rivalRule, zoneRule, type Been, type Story } from './story.ts';

/** Rule sets that share one ground, one after the other. */
export const RULESETS_PER_GROUND = 10;
/** Packets without a past, and stories of several packets. */
export const PACKETS = 24;
const STORIES = 6;

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
  const rivals = d.chance(30);
  const before = { ...(rivals && { nat: [rivalRule(d)] }), ...(d.chance(10) && { raw: [zoneRule(d)] }) };
  const four: Load = { ...ground.load, ...makeRuleset(d, ground, before) };
  const shot = (): Shot => (six ? shotToSix(makeShot(d, four)) : makeShot(d, four));
  // since Linux 6.16 conntrack knows DCCP by its addresses only, before with its ports, as netwhy does: without either it is all the same
  const ported = (s: Shot): Shot => (s.proto === 'dccp' ? { ...s, proto: 'udplite' } : s);
  const rules = `${four.legacy ?? ''}${four.nft ?? ''}`;
  const asksPorts = /--ct(?:orig|repl)(?:src|dst)port/.test(rules);
  const nats = /-j (?:[DS]NAT|MASQUERADE|REDIRECT|NETMAP)/.test(rules);
  const single = d.some(packets, packets, () => (asksPorts ? ported(shot()) : shot()));
  const stories = [
    ...d.some(STORIES, STORIES, (i) => makeStory(d, () => ported(shot()), i, nats)),
    ...(rivals ? [makeRivals(d, six), makeRivals(d, six)] : []),
  ];
  return { at, load: six ? toSix(four) : four, fresh: ground.mixed || at % RULESETS_PER_GROUND === 0, single, stories };
}

/** One packet as the kernel handled it. */
interface Seen {
  readonly shot: Shot;
  readonly sighting: Sighting;
  /** It met no connection of a packet before it. */
  readonly alone: boolean;
  /** What `conntrack -I` made beforehand. */
  readonly prior?: readonly string[];
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

/** Where rules change a set, or one learns link-layer addresses, each packet finds the sets as they were captured. */
export function renewal(load: Ruleset): { readonly renew?: string; readonly renewNft?: string } {
  return { ...renewalOfSets(load), ...renewalOfNft(load.ruleset ?? '') };
}

function renewalOfNft(ruleset: string): { readonly renewNft?: string } {
  const lines: string[] = [];
  let table = '';
  for (const [, name, set, elements] of ruleset.matchAll(
    /^table (\S+ \S+) \{$|^set (\S+) \{\n[^}]*\bdynamic\b[^{}]*(?:elements = (\{[^}]*\});\n)?\}$/gm,
  )) {
    if (name !== undefined) table = name;
    else lines.push(`flush set ${table} ${set}\n${elements === undefined ? '' : `add element ${table} ${set} ${elements}\n`}`);
  }
  return lines.length > 0 ? { renewNft: lines.join('') } : {};
}

function renewalOfSets(load: Ruleset): { readonly renew?: string } {
  const rules = `${load.legacy ?? ''}${load.nft ?? ''}${load.legacy6 ?? ''}${load.nft6 ?? ''}`;
  if (load.ipset === undefined || !(rules.includes('-j SET') || load.ipset.includes('bitmap:ip,mac'))) return {};
  const names = [...load.ipset.matchAll(/^create (\S+)/gm)].map((m) => m[1]!);
  return { renew: [...names.map((n) => `flush ${n}`), ...load.ipset.split('\n').filter((l) => l.startsWith('add ')), ''].join('\n') };
}

/** nft's rules are read in words and in JSON by turns. */
function nftFile(at: number): string {
  return at % 2 === 0 ? NFT_WORDS : NFT_JSON;
}

function withoutNft(files: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(files).filter(([name]) => name !== NFT_WORDS && name !== NFT_JSON));
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
      const { [nftFile(c.at)]: listed } = this.ground;
      return { ...withoutNft(this.ground), ...(listed !== undefined && { [nftFile(c.at)]: listed }) };
    }
    try {
      const { ipset, legacy, nft, legacy6, nft6, ruleset } = c.load;
      const rules = Object.fromEntries(Object.entries({ ipset, legacy, nft, legacy6, nft6, ruleset }).filter(([, text]) => text !== undefined));
      await this.wait(node.swap(rules));
      const family = c.load.ip!.some((l) => l.startsWith('-6')) ? (['legacy6', 'nft6'] as const) : (['legacy', 'nft'] as const);
      const only = [...[...family, 'ipset' as const].map((k) => OF_RULES[k]), ...(ruleset === undefined ? [] : [nftFile(c.at)])];
      return { ...withoutNft(this.ground), ...(await this.wait(node.capture(only))) };
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
    for (const story of c.stories) {
      const { first, after, steps, prior, byTool } = story;
      const send = async (shot: Shot, begins = false): Promise<Sighting> => {
        const how = { list: byTool ? ('tool' as const) : true, ...(begins && !after && { fresh: true }), ...(begins && prior && { insert: prior }) };
        const [sighting] = await this.wait(node.packets([shot], { ...how, ...renew }));
        seen.push({ shot, sighting: sighting!, alone: begins && !after, ...(begins && prior && { prior }) });
        return sighting!;
      };
      const been: Been = { first: { shot: first, sighting: await send(first, true) } };
      for (const step of steps) {
        const shot = nextShot(c.load, story, step, been);
        if (shot) been[step] = { shot, sighting: await send(shot) };
      }
    }
    return { files, seen };
  }
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

/** What a comparison was about besides the packet's way: counted, so that a run shows what it has looked at. */
export function subjectsOf({ seen }: Played, all: readonly Comparison[]): string[] {
  return all.flatMap(({ taken, kernel }, i) => {
    if (!taken) return [];
    const { shot, sighting } = seen[i]!;
    const steps = taken.hops.flatMap((h) => h.steps);
    const known = steps.find((s) => s.step === 'conntrack' && s.at !== undefined);
    const line = known && 'at' in known && known.at ? (sighting.conntrack?.split('\n')[known.at.line - 1] ?? '') : '';
    const { undetermined } = taken.final;
    return [
      ...(sighting.answers.length > 0 ? [`answers ${/^\S+/.exec(kernel.answers[0]!)![0]}`] : []),
      ...(sighting.error === undefined ? [] : ['socket errors']),
      ...(shot.inner ? ['ICMP errors'] : []),
      ...(kernel.final?.about !== undefined && shot.inner && kernel.final.about !== aboutOf(shot.inner) ? ['ICMP errors translated'] : []),
      ...(steps.some((s) => s.step === 'nat' && s.because === 'clash') ? ['clashes'] : []),
      ...(undetermined?.sport || undetermined?.dport || undetermined?.id ? ['ports of a range'] : []),
      ...(line === '' ? [] : ['captured connections']),
      ...(/ mark=[1-9]/.test(line) ? ['with a mark'] : []),
      ...(/ zone(?:-orig|-reply)?=[1-9]/.test(line) ? ['in a zone'] : []),
      ...new Set(steps.flatMap(saysOfNft)),
    ];
  });
}

/** What a rule of a table that nft alone knows did, or asked. */
function saysOfNft(s: Step): string[] {
  if (s.step !== 'rule' || s.truth === false || !s.table.includes(' ')) return [];
  const kinds = s.ended ? ['half of a rule'] : s.then.map((x) => (x.kind === 'translate' ? 'map of addresses' : x.kind));
  const asked = [
    ...(/ @s\d/.test(s.text) ? ['named set'] : []),
    ...(/ \{/.test(s.text) ? ['set in a rule'] : []),
    ...(/ \. /.test(s.text) ? ['concatenation'] : []),
  ];
  return [...kinds, ...asked].map((k) => `nft ${k}`);
}

function aboutOf({ src, dst, sport, dport, id }: Shot): string {
  const side = (addr: string, port: number | undefined): string => `${addr}${port === undefined ? '' : `:${port}`}`;
  return `${side(src!, sport ?? id)} > ${side(dst, dport)}`;
}

/** The first packet that is disagreed about, with those of its connection before it, and what was there before them. */
export function disagreement({ seen }: Played, all: readonly Comparison[]): Omit<Suspect, 'load'> | undefined {
  const bad = all.findIndex((c) => !c.taken);
  if (bad < 0) return undefined;
  const from = seen.findLastIndex((s, i) => i <= bad && s.alone);
  const { prior } = seen[from]!;
  return { shots: seen.slice(from, bad + 1).map((s) => s.shot), ...(prior && { prior }) };
}
