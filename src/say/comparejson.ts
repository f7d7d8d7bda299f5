// Two worlds compared, as JSON: the stable forms that `netwhy schema whatif` and `netwhy schema diff` document.
import type { Compared, Edited, Fact, PartingSide, Structure, Unasked } from '../model/comparison.ts';
import type { Span } from '../model/finding.ts';
import type { Answer, Course, Outcome, Translation, Verdict } from '../model/trace.ts';
import { changeWord, insteadText, isUnasked, sideText } from './compare.ts';
import { verdictOf } from './phrase.ts';

type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json | undefined };

/** The answer of `netwhy whatif`. */
export function whatifJson(edits: readonly Edited[], questions: readonly Compared[], verdict: Verdict): Json {
  return {
    edits: edits.map((e) => ({ node: e.node, namespace: e.namespace, command: e.command, at: placeJson(e.at) })),
    verdict,
    questions: questions.map((c) => comparedJson(c, ['before', 'after'])),
  };
}

/** The answer of `netwhy diff`. */
export function diffJson(questions: readonly Compared[], structure: Structure, differs: boolean | 'cannot-tell'): Json {
  return {
    differs,
    questions: questions.map((c) => comparedJson(c, ['a', 'b'])),
    changes: structure.changes.map((c) => ({
      kind: c.kind,
      change: changeWord(c),
      node: (c.a ?? c.b)!.node,
      namespace: (c.a ?? c.b)!.namespace,
      a: c.a && factJson(c.a),
      b: c.b && factJson(c.b),
    })),
    uncaptured: structure.uncaptured.map((u) => ({ kind: u.kind, node: u.node, namespace: u.namespace, missing: u.missing })),
  };
}

function comparedJson(c: Compared, [first, second]: readonly [string, string]): Json {
  return {
    name: c.name,
    changed: c.changed,
    [first]: answerJson(c.a),
    [second]: answerJson(c.b),
    parting: c.parting && { back: c.parting.back, [first]: sideJson(c.parting.a), [second]: sideJson(c.parting.b) },
  };
}

function answerJson(x: Answer | Unasked): Json {
  if (isUnasked(x)) return { error: x.error, hint: x.hint };
  return { from: x.question.from, to: x.question.to, verdict: x.verdict, outcomes: x.courses.map(courseJson), bounded: x.bounded };
}

function courseJson(c: Course): Json {
  const { outcome, reply, translated, assumptions } = c.trace;
  return {
    verdict: c.verdict,
    probability: c.trace.probability,
    assumptions: assumptions.filter((a) => a.forked).map((a) => a.what),
    outcome: outcomeJson(outcome),
    reply: reply && outcomeJson(reply.outcome),
    translated: { src: translationJson(translated.src), dst: translationJson(translated.dst) },
    summary: verdictOf(c),
  };
}

function outcomeJson(o: Outcome): Json {
  return { kind: o.kind, node: o.node, namespace: o.namespace, why: o.why, at: placeJson(o.at), device: o.device, nextHop: o.nextHop };
}

function translationJson(t: Translation | undefined): Json | undefined {
  return t && { from: t.from, to: t.to };
}

function sideJson(side: PartingSide): Json {
  const { text, at, rests } = sideText(side);
  return {
    node: side.node,
    namespace: side.namespace,
    step: side.step?.step ?? 'end',
    text,
    at: placeJson(at),
    because: rests,
    instead: side.instead.map((c) => {
      const told = insteadText(c);
      return { kind: c.kind, text: told.text, at: placeJson(told.at) };
    }),
  };
}

function factJson(f: Fact): Json {
  return { text: f.text, at: placeJson(f.at) };
}

function placeJson(at: Span | undefined): Json | undefined {
  return at && at.file !== '' ? { file: at.file, line: at.line } : undefined;
}
