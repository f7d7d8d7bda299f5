// Patterns of those who write rules: refused, in the other backend, not allowed, too old.
import type { Finding } from '../model/finding.ts';
import type { Hop } from '../model/trace.ts';
import { findingsOf, isSamePlace, lineOf, placeName, rootOf, rulingOf, stepsOf, type Failure, type RuleStep } from './failure.ts';
import type { Sight } from './pattern.ts';

/** A finding's own words as a sight. */
function told(found: Finding | undefined, evidence: Sight['evidence'] = [], durable = found?.hint): Sight | undefined {
  return found && { message: `${found.message}.`, at: found.at, evidence, ...(durable !== undefined && { durable }) };
}

/** The table whose rule or policy ended it; undefined where it went astray instead. */
function tableThatEnded(f: Failure): string | undefined {
  if (f.outcome.kind !== 'dropped' && f.outcome.kind !== 'rejected') return undefined;
  return f.step?.step === 'rule' || f.step?.step === 'policy' ? f.step.table : undefined;
}

function restoreRefused(f: Failure): Sight | undefined {
  const ended = tableThatEnded(f);
  // a rule that stands refuses; that others were not written has nothing to do with it
  if (rulingOf(f)) return undefined;
  for (const found of findingsOf(f, 'restore-refused')) {
    const log = f.world.evidence?.find((e) => e.kind === 'restore-refused' && isSamePlace(e.at, found.at));
    const table = log?.kind === 'restore-refused' ? log.table : undefined;
    if (ended !== undefined && table !== undefined && table !== ended) continue;
    return told(
      found,
      splitOf(f),
      'let all programs of the node use one backend of iptables (Kubernetes 1.16 and later do without the chain of the other), and restart the one that was refused',
    );
  }
  return undefined;
}

function splitOf(f: Failure): Sight['evidence'] {
  return findingsOf(f, 'backend-split').map((x) => x.at);
}

function backendSplit(f: Failure): Sight | undefined {
  const [found] = findingsOf(f, 'backend-split');
  const ended = f.outcome.kind === 'dropped' || f.outcome.kind === 'rejected';
  const { step } = f;
  const isRuled = ended && (step?.step === 'rule' || step?.step === 'policy');
  if (!found || (ended && !isRuled)) return undefined;
  // what one backend refuses the other knows nothing of
  if (
    isRuled &&
    !f.ns?.tables.some(
      (t) =>
        t.family === step.family && t.backend !== step.backend && t.name === step.table && Object.values(t.chains).some((c) => c.rules.length > 0),
    )
  )
    return undefined;
  return told(found, isRuled && step.at ? [step.at] : []);
}

/** Jumps on the way that lead nowhere. */
function jumpsAstray(f: Failure): { readonly hop: Hop; readonly rule: RuleStep; readonly chain: string; readonly isEmpty: boolean }[] {
  return stepsOf(f.course).flatMap(({ hop, step }) => {
    if (step.step !== 'rule' || step.truth === false) return [];
    const table = rootOf(f.world, hop.node)?.tables.find(
      (t) => t.name === step.table && t.family === step.family && t.backend === step.backend && t.nft === undefined,
    );
    if (!table) return [];
    return step.then.flatMap((s) => {
      const chain = s.kind === 'jump' || s.kind === 'goto' ? s.chain : s.kind === 'opaque' ? /^-[jg] (\S+)$/.exec(s.as)?.[1] : undefined;
      if (chain === undefined) return [];
      const there = Object.hasOwn(table.chains, chain) ? table.chains[chain] : undefined;
      const isMissing = there === undefined && (s.kind !== 'opaque' || /^(?:KUBE|cali|CNI|DOCKER)/.test(chain));
      const isEmpty = there?.rules.length === 0 && step.type === 'nat' && /^KUBE-(?:SERVICES|POSTROUTING|MARK-MASQ)$/.test(chain);
      return isMissing || isEmpty ? [{ hop, rule: step, chain, isEmpty }] : [];
    });
  });
}

function chainMissing(f: Failure): Sight | undefined {
  if (rulingOf(f)) return undefined;
  const [first] = jumpsAstray(f);
  const [log] = findingsOf(f, 'chain-not-made');
  if (!first) return tableThatEnded(f) === undefined ? told(log) : undefined;
  const { hop, rule, chain, isEmpty } = first;
  return {
    message: `${rule.table} ${rule.chain} ${rule.number} of ${placeName(hop)} jumps to ${chain}, ${isEmpty ? 'which has no rules' : 'which is not there'}: what should be done with the packet there is not done.`,
    at: rule.at,
    evidence: log ? [log.at] : [],
    durable: log?.hint ?? `see why the program that owns ${chain} did not write it: its log, a restore that was refused, the other backend`,
  };
}

function ipsetRevision(f: Failure): Sight | undefined {
  const [log] = findingsOf(f, 'set-revision');
  const [refused] = findingsOf(f, 'ipset-refused');
  if (rulingOf(f) || tableThatEnded(f) !== undefined) return undefined;
  return told(log ?? refused, log && refused ? [refused.at] : [], log?.hint ?? refused?.hint);
}

/** Chains that the agent of a network plugin writes. */
const AGENT_CHAIN = /^(?:cali|KUBE-)/;

function notAuthorised(f: Failure): Sight | undefined {
  const rule = rulingOf(f);
  const [found] = findingsOf(f, 'not-authorised');
  if (!found || (rule && !AGENT_CHAIN.test(rule.chain)) || (!rule && tableThatEnded(f) !== undefined)) return undefined;
  return told(found, [lineOf(f)]);
}

function ipvsConnReuse(f: Failure): Sight | undefined {
  const { step } = f;
  if (f.outcome.kind !== 'dropped' || step?.step !== 'ipvs' || step.did !== 'refused') return undefined;
  const entry = f.ns?.ipvs?.connections?.find((c) => isSamePlace(c.at, step.at ?? f.outcome.at) || c.text === step.text);
  if (!entry) return undefined;
  const logs = findingsOf(f, 'sysctl-refused');
  return {
    message: `IPVS on ${placeName(f.outcome)} remembers the client's port: ${step.why}. The client has to try again.`,
    at: entry.at,
    evidence: logs.map((l) => l.at),
    durable: step.cure ?? 'a kernel of 5.9 or later, which no longer drops such a SYN; until then fewer clients behind one address',
  };
}

function orderAmbiguous(f: Failure): Sight | undefined {
  // that the other order works is what makes it matter
  if (f.answer.courses.every((c) => c.verdict === f.course.verdict)) return undefined;
  const bases = new Map<string, string>();
  for (const ns of f.world.namespaces)
    for (const t of ns.tables)
      for (const c of Object.values(t.chains))
        if (c.base)
          bases.set(
            `${c.at.file}:${c.at.line}`,
            `${t.nft ?? `${t.backend} ${t.name}`} ${c.name} on ${placeName({ node: ns.node, namespace: ns.name })}`,
          );
  for (const a of f.course.trace.assumptions) {
    const chain = a.forked && a.probability === undefined && a.at ? bases.get(`${a.at.file}:${a.at.line}`) : undefined;
    if (chain === undefined || !a.at) continue;
    return {
      message: `Another chain has the same priority as ${chain}, and no listing tells which of them runs first: one order lets the packet through, the other does not.`,
      at: a.at,
      evidence: [],
      durable: 'give one of the chains another priority, or load the tables in a fixed order',
    };
  }
  return undefined;
}

/** Patterns of those who write rules. */
export const LOG_PATTERNS = {
  'restore-refused': restoreRefused,
  'backend-split': backendSplit,
  'chain-missing': chainMissing,
  'ipset-revision': ipsetRevision,
  'agent-not-authorised': notAuthorised,
  'ipvs-conn-reuse': ipvsConnReuse,
  'order-ambiguous': orderAmbiguous,
};
