// Patterns of services: nobody has programmed them, or they lead to a port that nobody listens on.
import { ANY4, ANY6, equal, formatAddr, formatEndpoint, type Addr } from '../net/addr.ts';
import type { Span } from '../model/finding.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Pred } from '../model/ruleset.ts';
import type { Answer, Trace } from '../model/trace.ts';
import { formatProtocol } from '../net/proto.ts';
import { isSamePlace, lineOf, placeName, rootOf, rulingOf, type Failure } from './failure.ts';
import { earOf } from './listening.ts';
import type { Sight } from './pattern.ts';

/** Where a namespace, or the cluster's records, know an address as a service's. */
function serviceLine(world: World, addr: Addr): Span | undefined {
  for (const s of world.witness?.services ?? []) {
    const ip = [...s.clusterIps, ...s.externalIps, ...s.loadBalancerIps].find((a) => equal(a.addr, addr));
    if (ip) return ip.at;
  }
  for (const ns of world.namespaces) {
    const server = ns.ipvs?.services.find((s) => s.addr !== undefined && equal(s.addr, addr));
    if (server) return server.at;
    for (const t of ns.tables) {
      const rule = Object.hasOwn(t.chains, 'KUBE-SERVICES') ? t.chains['KUBE-SERVICES']!.rules.find((r) => isFor(r.match, addr)) : undefined;
      if (rule) return rule.at;
    }
  }
  return undefined;
}

/** A rule for one destination address, and that address it is. */
function isFor(p: Pred, addr: Addr): boolean {
  if (p.kind === 'all') return p.of.some((x) => isFor(x, addr));
  const [only, ...more] = p.kind === 'in' && p.field === 'dst' ? p.ranges : [];
  return only !== undefined && more.length === 0 && equal(only[0], addr) && equal(only[1], addr);
}

/** Ends of a packet that was sent on as if its address were a machine's. */
const ASTRAY: ReadonlySet<string> = new Set([
  'no-route',
  'no-neighbour',
  'not-for-us',
  'not-forwarding',
  'left',
  'blackhole',
  'prohibited',
  'ttl-exceeded',
  'loop',
]);

/** kube-proxy, in any of its modes, has written something here. */
function hasServices(ns: Namespace | undefined): boolean {
  return (
    (ns?.ipvs?.services.length ?? 0) > 0 ||
    (ns?.tables.some(
      (t) => /\bkube-proxy$/.test(t.nft ?? '') || (Object.hasOwn(t.chains, 'KUBE-SERVICES') && t.chains['KUBE-SERVICES']!.rules.length > 0),
    ) ??
      false)
  );
}

/** Its rules for services, those of translation, were written. */
function translates(ns: Namespace | undefined): boolean {
  const nat = ns?.tables.filter((t) => t.name === 'nat' && Object.hasOwn(t.chains, 'KUBE-SERVICES')) ?? [];
  return nat.some((t) => t.chains['KUBE-SERVICES']!.rules.length > 0) || (nat.length === 0 && hasServices(ns));
}

/** The way to a service's address that nobody translated, and the node that should have. */
function untranslated(f: Failure): { readonly node: string; readonly dst: Addr; readonly line: Span } | undefined {
  const { trace } = f.course;
  const node = trace.hops.find((h) => rootOf(f.world, h.node)?.stub !== true)?.node;
  if (!ASTRAY.has(f.outcome.kind) || f.isReply || trace.translated.dst || node === undefined || rulingOf(f)) return undefined;
  const line = serviceLine(f.world, trace.packet.dst);
  return line && { node, dst: trace.packet.dst, line };
}

function kubeProxyAbsent(f: Failure): Sight | undefined {
  const u = untranslated(f);
  if (!u || hasServices(rootOf(f.world, u.node))) return undefined;
  return {
    message: `${formatAddr(u.dst)} is a service's address, and ${u.node} has no rules of kube-proxy: it is sent on as if it were a machine's, and ${placeName(f.outcome)} has no way for it.`,
    at: lineOf(f),
    evidence: [u.line],
    durable: `start kube-proxy on ${u.node} (kubectl -n kube-system get pods -o wide -l k8s-app=kube-proxy), and read its log`,
  };
}

/** A service's address is asked for a port that no rule has. */
export function portUnknown(f: Failure): Sight | undefined {
  const u = untranslated(f);
  if (!u || !translates(rootOf(f.world, u.node))) return undefined;
  const asked = f.course.trace.packet.dport === undefined ? formatAddr(u.dst) : formatEndpoint(u.dst, f.course.trace.packet.dport);
  return {
    message: `${asked}: the address is a service's, and no rule of ${u.node} has that port or protocol, so it is sent on as if it were a machine's.`,
    at: u.line,
    evidence: [lineOf(f)],
    durable: "ask a port that the Service has, or see why kube-proxy has not written the service's rules",
  };
}

/** What a Service of kube-proxy's rules is called that leads to kube-apiserver. */
const API_SERVICE = /\bdefault\/kubernetes\b/;

/** Whoever a packet was sent to does not listen there, as its own listing of sockets says. */
function unheard(world: World, trace: Trace): Sight | undefined {
  const ear = earOf(world, trace);
  if (!ear || ear.takes) return undefined;
  const { dst, dport } = trace.final;
  const proto = formatProtocol(ear.proto);
  const end = formatEndpoint(dst, dport);
  const place = placeName(ear.place);
  const turned = trace.translated.dst?.steps.findLast((s) => s.at);
  const [deaf] = ear.elsewhere;
  const others = ear.others.slice(0, 4).map((l) => `${l.port}${l.process === undefined ? '' : ` (${l.process})`}`);
  const more = ear.others.length > others.length ? ' and more' : '';
  const instead = deaf
    ? `${deaf.process ?? 'somebody'} does on ${formatEndpoint(deaf.addr ?? (deaf.family === 6 ? ANY6 : ANY4), deaf.port)} only`
    : others.length > 0
      ? `what does listen there is on port ${others.join(', ')}${more}`
      : `and on no other port of ${proto}, either`;
  const rule = turned && trace.hops.flatMap((h) => h.steps).find((s) => s.step === 'rule' && isSamePlace(s.at, turned.at));
  const isApi = dport === 6443 || (rule?.step === 'rule' && API_SERVICE.test(rule.comment ?? rule.text));
  return {
    message: `Nobody listens on ${proto} port ${dport} of ${place}, so ${end} refuses whoever asks; ${instead}.`,
    at: turned?.at ?? deaf?.at ?? ear.at,
    evidence: [ear.at, ...ear.elsewhere.map((l) => l.at), ...ear.others.map((l) => l.at)].slice(0, 3),
    durable: deaf
      ? `have ${deaf.process ?? 'the program'} listen on ${formatAddr(dst)}, or on any address`
      : isApi
        ? `start what should listen there, kube-apiserver: on ${ear.place.node}, crictl ps -a --name kube-apiserver and its log, journalctl -u kubelet`
        : turned
          ? "correct the Service's targetPort: the port that the container listens on (ss -ltn in the pod); or start what should listen there"
          : `start what should listen on port ${dport} of ${place}, or ask a port that somebody listens on`,
  };
}

/** Somebody who heard the endpoint refuse: a connection that it reset; or no endpoint of the records has that port. */
function refused(world: World, trace: Trace): Sight | undefined {
  const { dst, dport } = trace.final;
  if (trace.outcome.kind === 'dropped' || !trace.translated.dst || dport === undefined) return undefined;
  const turned = trace.translated.dst.steps.find((s) => s.at)?.at;
  const records = world.witness?.endpoints.filter((r) => r.endpoints.some((e) => equal(e.addr, dst))) ?? [];
  const listed = records.flatMap((r) => r.ports.flatMap((p) => (p.port === undefined ? [] : [p.port])));
  const closed = world.namespaces
    .flatMap((n) => n.conntrack)
    .filter((c) => equal(c.reply.src, dst) && c.reply.sport === dport && c.reply.proto === trace.final.proto);
  const isRefused = closed.length > 0 && closed.every((c) => c.state === 'CLOSE') && earOf(world, trace)?.takes !== true;
  if ((records.length === 0 || listed.includes(dport)) && !isRefused) return undefined;
  const others = listed.length > 0 && !listed.includes(dport) ? `; its endpoints are on port ${[...new Set(listed)].join(', ')}` : '';
  return {
    message: `The service sends to ${formatEndpoint(dst, dport)}, ${isRefused ? 'and whoever asked there was reset' : 'and no endpoint of it has that port'}${others}.`,
    at: turned ?? closed[0]?.at ?? records[0]!.at,
    evidence: [...closed.map((c) => c.at), ...records.map((r) => r.at)].slice(0, 3),
    durable: "correct the Service's targetPort: the port that the container listens on (ss -ltn in the pod)",
  };
}

/** The first course that leads where nobody listens: who listens says more than who was refused. */
function wrongTargetPort(world: World, answer: Answer): Sight | undefined {
  const traces = answer.courses.map((c) => c.trace);
  for (const look of [unheard, refused]) {
    const seen = traces.map((t) => look(world, t)).find((s) => s !== undefined);
    if (seen) return seen;
  }
  return undefined;
}

/** Patterns of services: those of failed courses, and those that show in what is delivered. */
export const SERVICE_PATTERNS = {
  failed: { 'kube-proxy-absent': kubeProxyAbsent },
  always: { 'wrong-target-port': wrongTargetPort },
};
