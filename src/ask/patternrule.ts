// Patterns of rules that refuse.
import { formatAddr } from '../net/addr.ts';
import type { Namespace } from '../model/host.ts';
import type { Pred, Table } from '../model/ruleset.ts';
import { lineOf, placeName, rulingOf, type Failure } from './failure.ts';
import type { Sight } from './pattern.ts';
import { portUnknown } from './patternservice.ts';

/** Chains and tables of those who connect containers; what others write is foreign to them. */
const CLUSTER_CHAIN = /^(?:KUBE-|cali|CNI|FLANNEL|DOCKER|CILIUM|WEAVE)/;
const CLUSTER_TABLE = /\b(?:kube-proxy|calico|docker-bridges|flannel|cilium)\b/;

function isOfCluster(s: { readonly chain: string; readonly table: string }): boolean {
  return CLUSTER_CHAIN.test(s.chain) || CLUSTER_TABLE.test(s.table);
}

/** A node that connects containers: somebody's chains are there. */
function connectsContainers(ns: Namespace | undefined): boolean {
  const isTable = (t: Table): boolean => CLUSTER_TABLE.test(t.nft ?? '') || Object.keys(t.chains).some((c) => CLUSTER_CHAIN.test(c));
  return ns?.tables.some(isTable) ?? false;
}

function forwardPolicyDrop(f: Failure): Sight | undefined {
  const { step } = f;
  if (f.outcome.kind !== 'dropped' || step?.step !== 'policy' || step.hook !== 'FORWARD') return undefined;
  const accepting = f.course.nearMisses.filter((m) => m.hook === 'FORWARD' && m.table === step.table);
  return {
    message:
      `${placeName(f.outcome)} drops what it forwards unless a rule accepts it: the policy of ${step.table} ${step.chain} is DROP, ` +
      `and no rule accepts ${formatAddr(f.way.final.src)} to ${formatAddr(f.way.final.dst)}.`,
    at: step.at,
    evidence: accepting.map((m) => m.at),
    durable: `set the policy to ACCEPT where it is made (Docker sets DROP when it starts: "ip-forward-no-drop": true in its daemon.json), or have the network plugin accept the pods' network in ${step.chain}`,
  };
}

function foreignReject(f: Failure): Sight | undefined {
  if (!connectsContainers(f.ns)) return undefined;
  const rule = rulingOf(f);
  if (rule && !isOfCluster(rule))
    return {
      message: `A rule on ${placeName(f.outcome)} that is not the cluster's refuses it: ${rule.table} ${rule.chain} ${rule.number}, '${rule.text}'.`,
      at: rule.at,
      evidence: [],
      durable: 'find who writes that rule (firewalld, ufw, a start script, an administrator) and let it accept the cluster there, or switch it off',
    };
  const { step } = f;
  if (f.outcome.kind === 'dropped' && step?.step === 'policy' && step.hook !== 'FORWARD' && !isOfCluster(step))
    return {
      message: `${placeName(f.outcome)} drops it by the policy of ${step.table} ${step.chain}, which is not the cluster's, and no rule accepts it.`,
      at: step.at,
      evidence: f.course.nearMisses.filter((m) => m.hook === step.hook).map((m) => m.at),
      durable: 'let whoever set that policy also accept what the cluster needs',
    };
  return undefined;
}

/** A comment that kube-proxy gives its rules, or the map of its nft table. */
const NO_ENDPOINTS = /has no endpoints|@no-endpoint-services|@no-endpoint-nodeports/;
const NO_LOCAL = /has no local endpoints/;

function noEndpoints(f: Failure): Sight | undefined {
  const { outcome, step } = f;
  const asked = `${formatAddr(f.course.trace.packet.dst)}${f.course.trace.packet.dport === undefined ? '' : `:${f.course.trace.packet.dport}`}`;
  const durable =
    "see whether the Service's selector names its pods and whether they are ready: kubectl get endpointslices, kubectl describe service";
  if (outcome.kind === 'no-server' && step?.step === 'ipvs')
    return {
      message: `The virtual server '${step.text}' on ${placeName(outcome)} has no real server that takes it.`,
      at: step.at ?? lineOf(f),
      evidence: [],
      durable,
    };
  const rule = rulingOf(f);
  if (!rule || !isOfCluster(rule)) return undefined;
  const [by] = (f.hop?.steps ?? []).filter((s) => s.step === 'rule' && NO_ENDPOINTS.test(`${s.comment ?? ''} ${s.text}`));
  if (outcome.kind === 'rejected' && by?.step === 'rule') {
    const service = /^(\S+) has no/.exec(by.comment ?? '')?.[1];
    const what = service === undefined ? 'the service' : `the service ${service}`;
    return { message: `${asked} is refused on ${placeName(outcome)}: ${what} has no endpoints.`, at: by.at, evidence: [rule.at], durable };
  }
  if (outcome.kind === 'rejected' && /cluster-ips-check|KUBE-IPVS-FILTER/.test(rule.chain))
    return {
      message: `${placeName(outcome)} refuses ${asked}: the address is a service's, and no service has that port or protocol.`,
      at: rule.at,
      evidence: [],
      durable: "ask a port that the Service has, or add it to the Service's ports",
    };
  return undefined;
}

/** ipsets of addresses and ports that kube-proxy leaves to endpoints on the node itself. */
const LOCAL_SET = /^KUBE-(?:NODE-PORT|LOAD-BALANCER|EXTERNAL-IP)-LOCAL/;

function etpLocal(f: Failure): Sight | undefined {
  const durable =
    'send to a node that has such a pod (a load balancer asks healthCheckNodePort), run the pod on each node, or set externalTrafficPolicy: Cluster';
  const rule = rulingOf(f);
  const by =
    rule && (f.hop?.steps ?? []).find((s) => s.step === 'rule' && (NO_LOCAL.test(s.comment ?? '') || s.chain === 'nodeport-endpoints-check'));
  const { trace } = f.course;
  if (by?.step === 'rule' && f.outcome.kind === 'dropped')
    return {
      message: `externalTrafficPolicy is Local, and ${placeName(f.outcome)} has no endpoint of ${formatAddr(trace.packet.dst)}:${trace.packet.dport ?? ''}: it is dropped there.`,
      at: by.at,
      evidence: [],
      durable,
    };
  if (!f.isReply || trace.translated.src) return undefined;
  for (const hop of trace.hops)
    for (const s of hop.steps)
      if (
        s.step === 'rule' &&
        s.truth === true &&
        s.reason.pred.kind !== 'opaque' &&
        memberOf(s.reason.pred, LOCAL_SET) &&
        hop.node !== (f.way.hops[0]?.node ?? hop.node)
      )
        return {
          message: `externalTrafficPolicy is Local, so ${placeName(hop)} leaves the source as it is, and yet sends it to an endpoint of another node: the answer goes past ${placeName(hop)}.`,
          at: s.at,
          evidence: (trace.translated.dst?.steps ?? []).flatMap((x) => (x.at ? [x.at] : [])),
          durable,
        };
  return undefined;
}

function memberOf(pred: Pred, name: RegExp): boolean {
  if (pred.kind === 'member') return name.test(pred.set);
  return pred.kind === 'all' && pred.of.some((p) => memberOf(p, name));
}

/** Patterns of rules. */
export const RULE_PATTERNS = {
  'forward-policy-drop': forwardPolicyDrop,
  'foreign-reject': foreignReject,
  'no-endpoints': (f: Failure): Sight | undefined => noEndpoints(f) ?? portUnknown(f),
  'etp-local-no-endpoint': etpLocal,
};
