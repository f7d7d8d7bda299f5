// Which log lines bear on an answer. A line bears on the walks that came through its node and
//   restore-refused, chain-not-made, lock-held, not-authorised: passed a chain of that program (KUBE-*, cali-*; where a table
//     is told, in that table), asked kube-proxy's rules for the address of a service, or met a rule whose chain or set is not
//     there and is the one that the line names; where nobody knows whose line it is, refused rules bear on their table;
//   sysctl-refused: went to a virtual server (net.ipv4.vs.*), or hung on that setting;
//   set-revision: asked a set of that type, one of that program, or one that was not captured.
import type { LogEvidence, LogProgram } from '../model/evidence.ts';
import type { Finding } from '../model/finding.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import type { Pred, Statement } from '../model/ruleset.ts';
import type { Course, Step, Trace } from '../model/trace.ts';
import { equal, type Addr } from '../net/addr.ts';
import { isAlike, testimony } from './testimony.ts';

/** What the logs say that bears on these courses. */
export function evidenceFor(world: World, courses: readonly Course[]): Finding[] {
  const { evidence = [] } = world;
  if (evidence.length === 0) return [];
  const passages = passagesOf(world, courses);
  const told: { readonly pieces: [LogEvidence, ...LogEvidence[]]; readonly passage: Passage; readonly link: string }[] = [];
  for (const e of evidence) {
    const met = passages.flatMap((passage) => {
      const link = e.node === undefined || e.node === passage.ns.node ? touches(e, passage) : undefined;
      return link === undefined ? [] : [{ passage, link }];
    });
    const best = met.find((m) => m.link !== '') ?? met[0];
    const alike = best && told.find((t) => isAlike(t.pieces[0], e));
    if (alike) alike.pieces.push(e);
    else if (best) told.push({ pieces: [e], ...best });
  }
  return told.map(({ pieces, passage, link }) => testimony(pieces, passage.ns, link));
}

type RuleStep = Extract<Step, { step: 'rule' }>;

/** What an answer's packets met on one node. */
interface Passage {
  readonly ns: Namespace;
  /** `4 nat KUBE-SERVICES` */
  readonly chains: Set<string>;
  readonly rules: RuleStep[];
  readonly skipped: Extract<Step, { step: 'skipped' }>[];
  readonly packets: Packet[];
  /** What was supposed, or taken for granted. */
  readonly assumed: Set<string>;
  /** `file:line` of what was looked at. */
  readonly lines: Set<string>;
  /** Addresses of services, as the node and the records of the cluster have them. */
  isService(p: Packet): boolean;
}

function passagesOf(world: World, courses: readonly Course[]): Passage[] {
  const passages = new Map<string, Passage>();
  const visit = (t: Trace): void => {
    for (const hop of t.hops) {
      const ns = hop.namespace === '' ? world.namespaces.find((n) => n.node === hop.node && n.name === '' && n.stub !== true) : undefined;
      if (!ns) continue;
      let p = passages.get(ns.node);
      if (!p) {
        const isService = (packet: Packet): boolean => isServiceOf(ns, packet) || isRecorded(world, packet);
        p = { ns, chains: new Set(), rules: [], skipped: [], packets: [], assumed: new Set(), lines: new Set(), isService };
        passages.set(ns.node, p);
      }
      for (const s of hop.steps) look(s, p);
    }
    for (const p of passages.values()) for (const a of t.assumptions) p.assumed.add(a.what);
    const end = passages.get(t.outcome.node);
    if (t.outcome.at) end?.lines.add(`${t.outcome.at.file}:${t.outcome.at.line}`);
    if (t.reply) visit(t.reply);
  };
  for (const c of courses) visit(c.trace);
  return [...passages.values()];
}

function look(s: Step, p: Passage): void {
  if ('chain' in s) p.chains.add(`${s.family} ${s.table} ${s.chain}`);
  if ('packet' in s) p.packets.push(s.packet);
  if ('at' in s && s.at) p.lines.add(`${s.at.file}:${s.at.line}`);
  if (s.step === 'rule') p.rules.push(s);
  if (s.step === 'skipped') p.skipped.push(s);
}

/** An address that the node balances, or the port of one: IPVS services, and what kube-proxy puts on kube-ipvs0. */
function isServiceOf(ns: Namespace, p: Packet): boolean {
  const here = (s: { readonly addr?: Addr; readonly port?: number; readonly mark?: number }): boolean =>
    s.mark === undefined ? s.addr !== undefined && equal(s.addr, p.dst) && (!s.port || p.dport === s.port) : s.mark === p.mark;
  return (ns.ipvs?.services.some(here) ?? false) || ns.addresses.some((a) => a.device === 'kube-ipvs0' && equal(a.addr, p.dst));
}

function isRecorded(world: World, p: Packet): boolean {
  return (world.witness?.services ?? []).some(
    (s) =>
      [...s.clusterIps, ...s.externalIps, ...s.loadBalancerIps].some((a) => equal(a.addr, p.dst)) ||
      s.ports.some((port) => port.nodePort !== undefined && port.nodePort === p.dport && port.proto === p.proto),
  );
}

/** What makes a chain or a set one of a program's own. */
const OWN: Readonly<Record<LogProgram, RegExp>> = { 'kube-proxy': /^KUBE-/, kubelet: /^KUBE-/, felix: /^cali/, 'calico-node': /^cali/ };

/** Whether a log line bears on the walk: undefined, or in words what on the way it is about ('' for nothing in particular). */
function touches(e: LogEvidence, p: Passage): string | undefined {
  const own = e.program && OWN[e.program];
  switch (e.kind) {
    case 'set-revision': {
      const set = setsAsked(p).find((name) => {
        const known = Object.hasOwn(p.ns.sets, name) ? p.ns.sets[name] : undefined;
        return !known || known.incomplete !== undefined || known.type === e.type || name === e.set || own?.test(name) === true;
      });
      return set && `a rule on the way asks about ${set}`;
    }
    case 'sysctl-refused':
      return e.key.startsWith('net.ipv4.vs.') ? bears(p.packets.some((x) => p.isService(x))) : bears(hangsOn(e.key, p));
    case 'not-authorised':
      return bears((own !== undefined && passes(p, own, e)) || (e.program === 'kube-proxy' && p.packets.some((x) => p.isService(x))));
    case 'restore-refused':
    case 'chain-not-made':
    case 'lock-held': {
      const named = e.kind === 'restore-refused' ? (e.missing?.name ?? e.chain) : e.kind === 'chain-not-made' ? e.chain : undefined;
      const wanted = named === undefined ? undefined : wantedBy(p, named);
      const maker = own ?? Object.values(OWN).find((o) => o.test(named ?? ''));
      const family = 'family' in e ? e.family : undefined;
      const isAsked =
        maker === OWN['kube-proxy'] && e.program !== 'kubelet' && p.packets.some((x) => p.isService(x) && (family ?? x.family) === x.family);
      return wanted ?? bears(isAsked || passes(p, maker ?? /(?:)/, e));
    }
  }
}

function bears(does: boolean): string | undefined {
  return does ? '' : undefined;
}

/** Reports whether a walk came through a chain of such a name, in the table and family that the line is about. */
function passes(p: Passage, name: RegExp, e: LogEvidence): boolean {
  const told = { table: 'table' in e ? e.table : undefined, family: 'family' in e ? e.family : undefined };
  return [...p.chains].some((chain) => {
    const [family, table, own = ''] = chain.split(' ');
    return name.test(own) && (told.table ?? table) === table && String(told.family ?? family) === family;
  });
}

/** The rule on the way that wants a chain or a set of this name, which is not in the capture. */
function wantedBy(p: Passage, name: string): string | undefined {
  for (const s of p.rules) {
    // a jump to a chain that is not in its table is kept as words
    const lacksChain = s.then.some((x) => x.kind === 'opaque' && (x.as === `-j ${name}` || x.as === `-g ${name}`));
    const lacksSet = !Object.hasOwn(p.ns.sets, name) && [...setsIn(s.reason.pred), ...setsOf(s.then)].includes(name);
    if (lacksChain || lacksSet)
      return `${s.chain} ${s.number} (${s.at.file}:${s.at.line}) ${lacksChain ? 'jumps to it' : 'asks about it'}, and the capture does not have it`;
  }
  return undefined;
}

/** The sets that rules on the way asked about, or changed. */
function setsAsked(p: Passage): string[] {
  const names = p.rules.flatMap((s) => [...setsIn(s.reason.pred), ...setsOf(s.then)]);
  for (const s of p.skipped) {
    if (!s.misses.set) continue;
    const table = p.ns.tables.find((t) => t.name === s.table && t.family === s.family && t.backend === s.backend);
    const rules = table && Object.hasOwn(table.chains, s.chain) ? table.chains[s.chain]!.rules : [];
    for (const rule of rules.slice(s.from - 1, s.to)) names.push(...setsIn(rule.match));
  }
  return [...new Set(names)];
}

function setsIn(p: Pred): string[] {
  if (p.kind === 'member') return [p.set];
  if (p.kind === 'not') return setsIn(p.of);
  return p.kind === 'all' || p.kind === 'any' ? p.of.flatMap((x) => setsIn(x)) : [];
}

function setsOf(then: readonly Statement[]): string[] {
  return then.flatMap((s) => (s.kind === 'setmember' || s.kind === 'mapset' ? [s.set] : []));
}

function hangsOn(key: string, p: Passage): boolean {
  const at = p.ns.sysctls[key]?.at;
  return (at !== undefined && p.lines.has(`${at.file}:${at.line}`)) || [...p.assumed].some((what) => what.includes(key));
}
