// An answer as JSON: the stable form that `netwhy schema trace` documents. Addresses are text, places are {file, line}.
import { formatAddr } from '../net/addr.ts';
import { formatBytes } from '../net/bytes.ts';
import { formatTime } from '../net/time.ts';
import { formatProtocol, formatTcpFlags } from '../net/proto.ts';
import type { Span } from '../model/finding.ts';
import { originOfRoute, originOfStep, type Origin } from '../model/origin.ts';
import type { Packet } from '../model/packet.ts';
import type { Answer, Course, Reason, Step, Trace, Translation } from '../model/trace.ts';
import { conditions, decisive, nearMiss, verdictOf } from './phrase.ts';

type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json | undefined };

/** The whole answer; with `all`, rules that did not match stand among the steps. */
export function answerJson(answer: Answer, options: { readonly all?: boolean } = {}): Json {
  const { question } = answer;
  return {
    question: {
      from: question.from,
      to: question.to,
      packet: packetJson(question.packet),
      node: question.node,
      namespace: question.namespace,
      arrives: question.arrives,
      device: question.device,
      notes: question.notes,
    },
    verdict: answer.verdict,
    outcomes: answer.courses.map((c) => courseJson(c, options.all ?? false)),
    findings: answer.findings.map((f) => ({
      severity: f.severity,
      code: f.code,
      message: f.message,
      at: spanJson(f.at),
      line: f.line,
      hint: f.hint,
    })),
    unknowns: answer.unknowns,
    bounded: answer.bounded,
    names: answer.names,
  };
}

function courseJson(c: Course, all: boolean): Json {
  const { trace } = c;
  return {
    verdict: c.verdict,
    probability: trace.probability,
    assumptions: trace.assumptions.map((a) => ({ what: a.what, forked: a.forked, probability: a.probability, at: spanJson(a.at) })),
    ...(traceJson(trace, all) as Record<string, Json>),
    summary: verdictOf(c),
    decisive: decisive(c),
    nearMisses: c.nearMisses.map((m) => ({
      node: m.node,
      namespace: m.namespace,
      hook: m.hook,
      family: m.family,
      backend: m.backend,
      table: m.table,
      chain: m.chain,
      number: m.number,
      text: m.text,
      origin: originJson(originOfStep(m)),
      at: spanJson(m.at),
      reason: reasonJson(m.reason),
      why: nearMiss(m),
    })),
    reply: trace.reply && traceJson(trace.reply, all),
  };
}

function traceJson(t: Trace, all: boolean): Json {
  const { outcome } = t;
  return {
    outcome: {
      kind: outcome.kind,
      node: outcome.node,
      namespace: outcome.namespace,
      at: spanJson(outcome.at),
      why: outcome.why,
      device: outcome.device,
      nextHop: outcome.nextHop,
    },
    sent: packetJson(t.packet),
    packet: { ...(packetJson(t.final) as Record<string, Json>), oif: outcome.device },
    translated: {
      src: translationJson(t.translated.src),
      dst: translationJson(t.translated.dst),
    },
    hops: t.hops.map((h) => ({
      node: h.node,
      namespace: h.namespace,
      tunnel: h.tunnel,
      steps: h.steps.map((s) => stepJson(all ? s : counted(s))),
    })),
  };
}

/** Without --all a rule that did not match is told as a count, like those around it; near misses stand apart. */
function counted(s: Step): Step {
  if (s.step !== 'rule' || s.truth !== false) return s;
  const { hook, backend, family, table, type, chain, number } = s;
  return { step: 'skipped', hook, backend, family, table, type, chain, from: number, to: number, count: 1, misses: { other: 1 } };
}

function translationJson(t: Translation | undefined): Json | undefined {
  // `at` and `by` are those of the first rewriting: the one nearest to the sender
  const steps = t?.steps.map((s) => ({ node: s.node, namespace: s.namespace, from: s.from, to: s.to, by: s.by, at: spanJson(s.at) }));
  return t && { from: t.from, to: t.to, by: steps?.[0]?.by, at: steps?.[0]?.at, steps: steps ?? [] };
}

function stepJson(s: Step): Json {
  switch (s.step) {
    case 'enter':
      return { step: s.step, local: s.local, device: s.device, packet: packetJson(s.packet) };
    case 'rule':
      return {
        step: s.step,
        hook: s.hook,
        backend: s.backend,
        family: s.family,
        table: s.table,
        chain: s.chain,
        number: s.number,
        text: s.text,
        origin: originJson(originOfStep(s)),
        at: spanJson(s.at),
        truth: s.truth,
        reason: reasonJson(s.reason),
        ended: s.ended && reasonJson(s.ended),
        did: s.did,
      };
    case 'skipped':
      return {
        step: s.step,
        hook: s.hook,
        backend: s.backend,
        family: s.family,
        table: s.table,
        chain: s.chain,
        from: s.from,
        to: s.to,
        count: s.count,
        misses: { ...s.misses },
      };
    case 'return':
      return { step: s.step, hook: s.hook, backend: s.backend, family: s.family, table: s.table, chain: s.chain };
    case 'policy':
      return {
        step: s.step,
        hook: s.hook,
        backend: s.backend,
        family: s.family,
        table: s.table,
        chain: s.chain,
        verdict: s.verdict,
        at: spanJson(s.at),
      };
    case 'conntrack':
      return { step: s.step, hook: s.hook, state: s.state, direction: s.direction, why: s.why, at: spanJson(s.at) };
    case 'nat':
      return { step: s.step, hook: s.hook, manip: s.manip, from: s.from, to: s.to, because: s.because, why: s.why, at: spanJson(s.at) };
    case 'ipvs':
      return {
        step: s.step,
        hook: s.hook,
        did: s.did,
        text: s.text,
        server: s.server,
        why: s.why,
        cure: s.cure,
        manip: s.manip,
        from: s.from,
        to: s.to,
        at: spanJson(s.at),
      };
    case 'route':
      return {
        step: s.step,
        purpose: s.purpose,
        result: s.result,
        text: s.text,
        // what is at no captured place is netwhy's own sentence
        origin: s.at && originJson(originOfRoute(s)),
        at: spanJson(s.at),
        rule: s.rule && { text: s.rule.text, at: spanJson(s.rule.at) },
      };
    case 'neighbour':
      return { step: s.step, addr: s.addr, device: s.device, result: s.result, at: spanJson(s.at) };
    case 'leave':
      return { step: s.step, device: s.device, to: s.to, packet: packetJson(s.packet) };
    case 'bridge':
      return { step: s.step, bridge: s.bridge, in: s.in, out: s.out, result: s.result, at: spanJson(s.at) };
    case 'encapsulate':
      return { step: s.step, device: s.device, kind: s.kind, how: s.how, packet: packetJson(s.packet), at: spanJson(s.at) };
    case 'decapsulate':
      return { step: s.step, device: s.device, packet: packetJson(s.packet) };
    case 'assume':
      return { step: s.step, what: s.what };
    case 'deliver':
      return { step: s.step, packet: packetJson(s.packet) };
  }
}

function reasonJson(r: Reason): Json {
  return {
    truth: r.truth,
    parts: conditions(r).map((c) => ({ truth: c.truth === 'yes' ? true : c.truth === 'NO' ? false : 'unknown', text: c.text, saw: c.saw, at: c.at })),
  };
}

function packetJson(p: Packet): Json {
  return {
    family: p.family,
    proto: formatProtocol(p.proto),
    src: formatAddr(p.src),
    dst: formatAddr(p.dst),
    sport: p.sport,
    dport: p.dport,
    flags: p.flags === undefined ? undefined : formatTcpFlags(p.flags),
    icmp: p.icmp && { type: p.icmp.type, code: p.icmp.code, id: p.icmp.id },
    ttl: p.ttl,
    length: p.length,
    tos: p.tos,
    mark: p.mark,
    payload: p.payload && formatBytes(p.payload),
    at: p.at === undefined ? undefined : `${formatTime(p.at)}Z`,
    undetermined: p.undetermined && {
      src: p.undetermined.src?.what,
      dst: p.undetermined.dst?.what,
      sport: p.undetermined.sport,
      dport: p.undetermined.dport,
      id: p.undetermined.id,
      mark: p.undetermined.mark,
    },
  };
}

function originJson(origin: Origin | undefined): Json | undefined {
  return origin && { by: origin.by, of: origin.of };
}

function spanJson(at: Span | undefined): Json | undefined {
  return at && at.file !== '' ? { file: at.file, line: at.line } : undefined;
}
