// The same packets asked of the kernel and of netwhy, which reads what the real tools print of that kernel.
import { ask, isMisunderstood, type Asked } from '../../src/ask/question.ts';
import { trace } from '../../src/ask/trace.ts';
import { readBundle } from '../../src/capture/bundle.ts';
import { walkQuestion } from '../../src/engine/network.ts';
import type { World } from '../../src/model/host.ts';
import type { Packet } from '../../src/model/packet.ts';
import type { Rule, Table } from '../../src/model/ruleset.ts';
import type { Trace } from '../../src/model/trace.ts';
import { formatAddr, isError, parseAddr } from '../../src/net/addr.ts';
import { hasPorts, parseProtocol } from '../../src/net/proto.ts';
import { answerOf, answersFor, comesHome, errorFor, isAnswer, SILENCE } from './answers.ts';
import type { Header, Load, Node, Shot, Sighting } from './node.ts';

/** What became of one packet, on the kernel or in one of netwhy's courses. */
export interface Told {
  /** `filter FORWARD 3`, nft ones with `nft ` before; `nft inet t c 3` where the family of the table is not the packet's. */
  readonly rules: readonly string[];
  /** `out eth0`, `local`, `gone`. */
  readonly fate: string;
  readonly final?: {
    readonly src: string;
    readonly dst: string;
    readonly sport?: number;
    readonly dport?: number;
    readonly ttl: number;
    readonly mark: number;
    /** What an ICMP error quotes, where that can be seen. */
    readonly about?: string;
  };
  /** The packet that it left in, without what nobody can know of it. */
  readonly carrier?: string;
  /** What the socket that sends it is told: ENETUNREACH, ... */
  readonly error?: string;
  /** What its sender hears of it; several where the kernel rations its answers. */
  readonly answers: readonly string[];
  /** What came out besides, where the kernel was not seen to make it. */
  readonly stray?: string;
}

/** The node's own name in the world that netwhy reads. */
const NODE = 'n';
const COURSES = 4096;

/** Families of tables that see packets of several. */
const WIDER: Readonly<Record<number, string>> = { 1: 'inet ', 5: 'netdev ' };

/** How many packets were compared in this process. */
export const tally = { packets: 0, courses: 0, loads: 0 };

/** Reads what the tools printed. */
export function worldOf(files: Readonly<Record<string, string>>): World {
  const list = Object.entries(files).map(([path, text]) => ({ path, text }));
  const { namespaces, findings } = readBundle(list, { node: NODE });
  const wrong = findings.filter((f) => f.severity === 'error' && !f.message.endsWith('not modelled'));
  if (wrong.length > 0)
    throw new Error(
      `netwhy cannot read what the tools printed: ${wrong.map((f) => `${f.at.file}:${f.at.line} ${f.message}: ${f.line ?? ''}`).join('\n')}`,
    );
  return { namespaces, wires: [], findings };
}

/** The kernel's answer in the words of the comparison. */
export function seen(s: Sighting): Told {
  const rules = s.path.map((r) => `${r.by === 'nft' ? 'nft ' : ''}${WIDER[r.family] ?? ''}${r.table} ${r.chain} ${r.number}`);
  const fate = s.fate === 'sent' ? `out ${s.device}` : s.fate;
  const stray = s.answers.length === 0 && s.frames.length > 0 ? { stray: JSON.stringify(s.frames) } : {};
  const base = { rules, fate, answers: [answerOf(s)], ...stray, ...(s.error !== undefined && { error: s.error }) };
  if (!s.last) return base;
  // an error quotes a packet, anything else carries it
  const carried = s.last.type === undefined ? s.last.inner : undefined;
  const { src, dst, ttl, inner } = carried ?? s.last;
  if (carried) return { ...base, carrier: carrierOf(s.last), final: { src, dst, ...portsOf(carried), ttl, mark: s.mark } };
  return { ...base, final: { src, dst, ...portsOf(s.last), ttl, mark: s.mark, ...(inner && { about: quoted({ ...inner, ...portsOf(inner) }) }) } };
}

function portsOf({ sport, dport, id }: Header): { readonly sport?: number; readonly dport?: number } {
  return sport !== undefined ? { sport, dport: dport! } : id !== undefined ? { sport: id } : {};
}

function carrierOf({ src, dst, proto, ttl, dport }: Pick<Header, 'src' | 'dst' | 'proto' | 'ttl' | 'dport'>): string {
  return `protocol ${proto} ${src} > ${dst}${dport === undefined ? '' : `:${dport}`} ttl ${ttl}`;
}

function quoted(p: { readonly src: string; readonly dst: string; readonly sport?: number; readonly dport?: number }): string {
  return `${p.src}${p.sport === undefined ? '' : `:${p.sport}`} > ${p.dst}${p.dport === undefined ? '' : `:${p.dport}`}`;
}

function told(world: World, shot: Shot, t: Trace): Told {
  // a rule that ended half-way is none to the kernel's trace: nft_do_chain()
  const rules = t.hops.flatMap((hop) =>
    hop.steps.flatMap((s) =>
      s.step === 'rule' && s.truth !== false && !s.ended ? [`${s.backend === 'nft' ? 'nft ' : ''}${plainly(s.table)} ${s.chain} ${s.number}`] : [],
    ),
  );
  const fate = fateOf(t);
  const error = errorFor(t, shot);
  const base = { rules, fate, answers: answersFor(world, t), ...(error !== undefined && { error }) };
  if (fate === 'gone') return base;
  const last = t.hops.at(-1)!.steps.at(-1)!;
  if (t.hops.at(-1)!.tunnel === undefined || last.step !== 'leave') return { ...base, final: finalOf(t.final) };
  const { src, dst, mark, ...rest } = last.packet;
  return { ...base, carrier: carrierOf({ ...rest, src: formatAddr(src), dst: formatAddr(dst) }), final: { ...finalOf(t.final), mark } };
}

function finalOf(p: Packet): NonNullable<Told['final']> {
  const ports = p.icmp
    ? QUERIES.has(`${p.proto}/${p.icmp.type}`)
      ? { sport: p.icmp.id }
      : {}
    : p.sport !== undefined
      ? { sport: p.sport, dport: p.dport! }
      : {};
  return { src: formatAddr(p.src), dst: formatAddr(p.dst), ...ports, ttl: p.ttl, mark: p.mark, ...(p.inner && { about: quoted(finalOf(p.inner)) }) };
}

/** Messages whose identifier the kernel translates. */
const QUERIES = new Set(['1/0', '1/8', '1/13', '1/14', '1/15', '1/16', '1/17', '1/18', '58/128', '58/129']);

function fateOf(t: Trace): string {
  switch (t.outcome.kind) {
    case 'delivered':
      return 'local';
    case 'left':
      return `out ${t.outcome.device ?? '?'}`;
    case 'reply-lost': {
      // of the way there only its last step tells
      const last = t.hops.at(-1)!.steps.at(-1)!;
      return last.step === 'leave' ? `out ${last.device}` : 'local';
    }
    default:
      return 'gone';
  }
}

/** What chains of equal priority leave open. */
interface Ties {
  readonly some: boolean;
  /** Of nat tables: in the other order one of them may not be walked at all. */
  readonly nat: readonly string[];
}

/** Chains that are tied may come in either order; netwhy follows one where it is all the same to the packet. */
function sameRules(course: Told, kernel: Told, { some, nat }: Ties): boolean {
  const order = ({ rules }: Told): string => (some ? rules.filter((r) => !nat.some((t) => r.startsWith(t))).toSorted() : rules).join();
  return order(course) === order(kernel) || (some && kernel.fate === 'gone');
}

const PRIORITIES: Readonly<Record<string, number>> = { raw: -300, mangle: -150, filter: 0, security: 50, 'nft security': 150 };

/** Base chains of different tables that have a priority in common: which was made last decides, and no dump tells it. */
function tiesOf({ namespaces }: World): Ties {
  const seen = new Map<string, Table>();
  const nat = new Set<string>();
  let some = false;
  for (const { tables } of namespaces) {
    for (const table of tables) {
      for (const { base } of Object.values(table.chains)) {
        if (!base) continue;
        const isNat = base.type === 'nat' || (base.type === undefined && table.name === 'nat');
        const usual = isNat
          ? base.hook === 'PREROUTING' || base.hook === 'OUTPUT'
            ? -100
            : 100
          : (PRIORITIES[`${table.backend} ${table.name}`] ?? PRIORITIES[table.name]);
        const place = `${table.family} ${base.hook} ${isNat ? 'nat' : ''} ${base.priority ?? usual}`;
        const other = seen.get(place) ?? table;
        seen.set(place, table);
        if (other === table) continue;
        some = true;
        if (isNat) for (const t of [other, table]) nat.add(`${called(t)} `);
      }
    }
  }
  return { some, nat: [...nat] };
}

/** A table as the lines of a comparison begin. */
function called({ backend, nft, name }: Table): string {
  return `${backend === 'nft' ? 'nft ' : ''}${plainly(nft ?? name)}`;
}

/** Without the family that goes without saying. */
function plainly(table: string): string {
  return table.replace(/^ip6? /, '');
}

/** Reports whether a course is what the kernel did; where netwhy leaves a value open, the kernel's must be possible. */
function agrees(course: Told, kernel: Told, p: Packet, ties: Ties): boolean {
  if (course.carrier !== kernel.carrier || course.fate !== kernel.fate || !sameRules(course, kernel, ties)) return false;
  if (course.error !== kernel.error || !kernel.answers.every((seen) => course.answers.some((a) => isAnswer(a, seen)))) return false;
  const [a, b] = [course.final, kernel.final];
  if (!a || !b) return !a && !b;
  const { undetermined } = p;
  const number = (x: number | undefined, y: number | undefined, any?: readonly [number, number]): boolean =>
    any && y !== undefined ? y >= any[0] && y <= any[1] : x === y;
  return (
    (undetermined?.src !== undefined || a.src === b.src) &&
    (undetermined?.dst !== undefined || a.dst === b.dst) &&
    number(a.sport, b.sport, p.icmp ? undetermined?.id : undetermined?.sport) &&
    number(a.dport, b.dport, undetermined?.dport) &&
    a.ttl === b.ttl &&
    (undetermined?.mark !== undefined || a.mark === b.mark) &&
    (b.about === undefined || a.about === b.about)
  );
}

function question(world: World, shot: Shot, length: number | undefined): Asked {
  const port = shot.dport ?? 80;
  const proto = shot.proto ?? 'tcp';
  const number = parseProtocol(proto);
  const ported = number !== undefined && hasPorts(number);
  const v6 = shot.dst.includes(':');
  const text = (n: number | undefined): string | undefined => (n === undefined ? undefined : String(n));
  const options = {
    from: shot.iif === undefined ? 'local' : shot.src!,
    to: `${v6 ? `[${shot.dst}]` : shot.dst}${ported ? `:${port}` : ''}`,
    proto,
    sport: ported ? String(shot.sport ?? 40000) : undefined,
    in: shot.iif === undefined ? undefined : `${NODE}:${shot.iif}`,
    flags: shot.flags === '' ? 'NONE' : shot.flags,
    icmpType: number === 1 || number === 58 ? `${shot.type ?? (v6 ? 128 : 8)}/${shot.code ?? 0}` : undefined,
    ttl: text(shot.ttl),
    tos: text(shot.tos),
    mark: text(shot.mark),
    uid: shot.iif === undefined ? String(shot.uid ?? 0) : undefined,
    gid: shot.iif === undefined ? String(shot.gid ?? shot.uid ?? 0) : undefined,
    mac: shot.iif === undefined ? undefined : (shot.mac ?? '06:00:00:00:00:01'),
    length: text(length),
    payload: shot.payload,
    at: shot.at,
  };
  const given = Object.fromEntries(Object.entries(options).filter(([, v]) => v !== undefined)) as typeof options & { readonly from: string };
  const asked = ask(world, given as Parameters<typeof ask>[1]);
  if (isMisunderstood(asked)) throw new Error(`netwhy does not understand ${JSON.stringify(given)}: ${asked.error}`);
  let { packet, boundSource } = asked.question;
  if (packet.icmp && shot.id !== undefined) packet = { ...packet, icmp: { ...packet.icmp, id: shot.id } };
  if (shot.inner) packet = { ...packet, inner: question(world, { iif: shot.iif ?? '', ...shot.inner }, undefined).question.packet };
  if (shot.local && shot.src !== undefined) {
    const src = parseAddr(shot.src);
    if (isError(src)) throw new Error(src.error);
    packet = { ...packet, src };
    boundSource = true;
  }
  return { ...asked, question: { ...asked.question, packet, boundSource } };
}

/** What one packet came to on both sides. */
export interface Comparison {
  readonly shot: Shot;
  readonly kernel: Told;
  readonly courses: readonly Told[];
  readonly traces: readonly Trace[];
  /** The course that the kernel took, or undefined: they disagree. */
  readonly taken?: Trace;
}

/** What the tools would have printed just before a packet. */
export function filesBefore(files: Readonly<Record<string, string>>, s: Sighting): Readonly<Record<string, string>> {
  const { conntrack, servers, connections, saved } = s;
  const now = { 'conntrack.txt': conntrack, 'proc-net-ip_vs.txt': servers, 'proc-net-ip_vs_conn.txt': connections };
  return { ...files, ...saved, ...Object.fromEntries(Object.entries(now).flatMap(([name, text]) => (text === undefined ? [] : [[name, text]]))) };
}

/** Reports whether rules write into headers without a connection: an answer then quotes what its sender does not know. */
function isRewritten({ namespaces }: World): boolean {
  const writes = (r: Rule): boolean => r.then.some((s) => s.kind === 'assign' && /^(?:src|dst|sport|dport)$/.test(s.to));
  return namespaces.some((ns) => ns.tables.some((t) => Object.values(t.chains).some((c) => c.rules.some(writes))));
}

/** Asks netwhy for the packet that the kernel was seen to handle. */
export function judge(world: World, shot: Shot, sighting: Sighting): Comparison {
  const asked = question(world, shot, sighting.first?.length);
  const { traces } = walkQuestion(world, asked.question, { all: true, limit: COURSES });
  const kernel = seen(sighting);
  const courses = traces.map((t) => told(world, shot, t));
  const ties = tiesOf(world);
  const at = courses.findIndex((c, i) => agrees(c, kernel, traces[i]!.final, ties) && (isRewritten(world) || comesHome(traces[i]!.packet, sighting)));
  tally.packets++;
  tally.courses += courses.length;
  if (process.env['DBG'])
    console.log(
      'DBG',
      courses.length,
      at,
      new Set(courses.map(line)).size,
      courses.slice(0, 3).map((c) => c.rules.length),
    );
  // of lost replies one course may stand for packets that left by several interfaces
  const tells = ({ trace: t }: { readonly trace: Trace }): boolean =>
    fateOf(t) === kernel.fate || (t.outcome.kind === 'reply-lost' && kernel.fate !== 'gone');
  const answer = trace(world, asked);
  // where there are more courses than it follows it says so
  const answered = at >= 0 && (answer.bounded || answer.courses.some(tells));
  return { shot, kernel, courses, traces, ...(answered && { taken: traces[at]! }) };
}

/** How packets are compared. */
interface Compared {
  /** Each finds no connection. */
  readonly fresh?: boolean;
  /** nft's rules are read in words only, where its JSON leaves something out. */
  readonly words?: boolean;
}

/** Loads the node, reads it through its tools, and compares the packets; each meets the connections of those before it. */
export async function compare(node: Node, load: Load, shots: readonly Shot[], how: Compared = {}): Promise<readonly Comparison[]> {
  await node.load(load);
  tally.loads++;
  const files = await node.capture();
  const sightings = await node.packets(shots, how.fresh ? { fresh: true } : { list: shots.length > 1 });
  const [words, json] = readings(files, how.words).map((reading) => {
    let now = reading;
    let world = worldOf(reading);
    return sightings.map((sighting, i) => {
      const changed = filesBefore(now, sighting);
      if (sighting.conntrack !== undefined) world = worldOf((now = changed));
      return judge(world, shots[i]!, sighting);
    });
  });
  return words!.map((w, i) => (w.taken && json ? json[i]! : w));
}

export const NFT_WORDS = 'nft-ruleset.txt';
export const NFT_JSON = 'nft.json';

/** The same node once with nft's rules in words, once in JSON. */
export function readings(files: Readonly<Record<string, string>>, wordsOnly = false): Readonly<Record<string, string>>[] {
  const { [NFT_WORDS]: words, [NFT_JSON]: json, ...rest } = files;
  if (words === undefined || json === undefined) return [files];
  return [{ ...rest, [NFT_WORDS]: words }, ...(wordsOnly ? [] : [{ ...rest, [NFT_JSON]: json }])];
}

/** Told on one line. */
export function line(t: Told): string {
  const end =
    t.final &&
    ` ${t.final.src}${t.final.sport === undefined ? '' : `:${t.final.sport}`} > ${t.final.dst}${t.final.dport === undefined ? '' : `:${t.final.dport}`}`;
  return `${t.rules.length > 0 ? `${t.rules.join(', ')} ` : ''}-> ${t.fate}${end ?? ''}${t.final ? ` ttl ${t.final.ttl}` : ''}${t.final?.about === undefined ? '' : ` about ${t.final.about}`}${t.carrier === undefined ? '' : ` in ${t.carrier}`}${t.final?.mark ? ` mark 0x${t.final.mark.toString(16)}` : ''}${t.error ? ` (${t.error})` : ''}${t.answers.join() === SILENCE ? '' : ` [${t.answers.join(' or ')}]`}${t.stray === undefined ? '' : ` and stray ${t.stray}`}`;
}

/** What to print of a disagreement. */
export function report(load: Load, c: Comparison): string {
  const courses = [...new Set(c.courses.map(line))];
  const { ipset, legacy, legacy6, nft, nft6, ruleset, ...rest } = load;
  const texts = Object.entries({ ipset, legacy, nft, legacy6, nft6, ruleset }).flatMap(([name, text]) =>
    text === undefined ? [] : [`${name}:\n${text.replaceAll(/^:.* ACCEPT .*\n/gm, '')}`],
  );
  return [
    `packet  ${JSON.stringify(c.shot)}`,
    `kernel  ${line(c.kernel)}`,
    ...courses.slice(0, 12).map((x) => `netwhy  ${x}`),
    `setup   ${JSON.stringify(rest)}`,
    ...texts,
  ].join('\n');
}

/** Compares, and fails on the first disagreement; returns what the kernel did, one line a packet. */
export async function agree(node: Node, load: Load, shots: readonly Shot[], how: Compared = {}): Promise<readonly string[]> {
  const all = await compare(node, load, shots, how);
  const differing = all.filter((c) => !c.taken);
  if (differing.length > 0)
    throw new Error(
      `netwhy and the kernel disagree about ${differing.length} of ${all.length} packets\n${report(load, differing[0]!)}${differing
        .slice(1, 9)
        .map(
          (c) =>
            `\npacket  ${JSON.stringify(c.shot)}\nkernel  ${line(c.kernel)}\n${[...new Set(c.courses.map(line))]
              .slice(0, 4)
              .map((x) => `netwhy  ${x}`)
              .join('\n')}`,
        )
        .join('')}`,
    );
  return all.map((c) => line(c.kernel));
}
