// What the rules of one table did at one hook, as rows: those that decided, how the others missed, and who made each.
import { originOfStep } from '../model/origin.ts';
import type { Step } from '../model/trace.ts';
import { conditions, location, maker, misses } from './phrase.ts';

/** One line of a detailed answer, in columns. */
export interface Row {
  readonly where: string;
  readonly what: string;
  readonly text: string;
  readonly at: string;
}

type TableStep = Extract<Step, { step: 'rule' | 'skipped' | 'return' | 'policy' }>;

function isTableStep(s: Step): s is TableStep {
  return s.step === 'rule' || s.step === 'skipped' || s.step === 'return' || s.step === 'policy';
}

/** The consecutive steps of one table at one hook. */
export function tableBlock(steps: readonly Step[], from: number): TableStep[] {
  const first = steps[from] as TableStep;
  const block: TableStep[] = [];
  for (let i = from; i < steps.length; i++) {
    const s = steps[i]!;
    if (!isTableStep(s) || s.table !== first.table || s.backend !== first.backend || s.hook !== first.hook) break;
    block.push(s);
  }
  return block;
}

/** What is worth telling of them; `wide`, each rule in full. */
export function tableRows(block: readonly TableStep[], wide: boolean): Omit<Row, 'where'>[] {
  const rows: Omit<Row, 'where'>[] = [];
  const table = block[0]!.table;
  let count = 0;
  const counts: Record<string, number> = {};
  let silent = 0;
  for (const s of block) {
    if (s.step === 'skipped') {
      count += s.count;
      for (const [kind, n] of Object.entries(s.misses)) counts[kind] = (counts[kind] ?? 0) + n;
    } else if (s.step === 'policy' && s.verdict === 'drop') {
      rows.push({ what: table, text: `${s.chain} policy DROP`, at: location(s.at) });
    } else if (s.step === 'rule') {
      if (s.truth === false) rows.push(...nearMissRows(s));
      else if (wide || hasEffect(s))
        rows.push({
          what: table,
          text: `${s.chain} ${s.number}  ${s.did ?? ''}${byElement(s)}${s.truth === 'unknown' ? '  (supposed to match)' : ''}${wide ? `  ${s.text}` : ''}${provenance(s, wide)}`,
          at: location(s.at),
        });
      else silent++;
    }
  }
  const skipped = count === 0 ? '' : `${count} ${count === 1 ? 'rule' : 'rules'} did not match: ${misses(counts)}`;
  if (rows.length === 0) {
    if (!wide && table !== 'nat' && table !== 'filter') return [];
    if (count === 0 && silent === 0) return [];
    return [
      {
        what: table,
        text:
          silent === 0
            ? `no rule matched (${skipped.replace(' did not match', '').replace(/^(\d+) rules?: /, '$1: ')})`
            : `passes, no matching rule decides anything${skipped && ` (${skipped})`}`,
        at: '',
      },
    ];
  }
  if (skipped !== '') rows.push({ what: '', text: `(${skipped})`, at: '' });
  return rows.map((r, i) => (i > 0 ? { ...r, what: '' } : r));
}

/** A rule's comment and who made it, each without what the other has told; the hash that Calico comments with tells nobody anything. */
function provenance(s: Extract<Step, { step: 'rule' }>, wide: boolean): string {
  const origin = originOfStep(s);
  const of = origin?.of ?? '';
  const comment = wide || !s.comment || s.comment.startsWith('cali:') || of.endsWith(` ${s.comment.replace(/:$/, '')}`) ? '' : `  "${s.comment}"`;
  const isTold = of !== '' && comment.includes(of.slice(of.indexOf(' ') + 1));
  return `${comment}${origin ? `  [${isTold ? origin.by : maker(origin)}]` : ''}`;
}

/** The element of a map that said what to do. */
function byElement({ reason: { parts = [] } }: Extract<Step, { step: 'rule' }>): string {
  const last = parts.at(-1);
  return last?.pred.kind === 'lookup' && last.truth === true && last.at && last.saw?.startsWith(ELEMENT)
    ? ` (by the element at ${location(last.at)})`
    : '';
}

const ELEMENT = 'it is in it: ';

/** Jumps, and marks that change nothing, are steps on the way rather than events. */
function hasEffect(s: Extract<Step, { step: 'rule' }>): boolean {
  if (s.truth === 'unknown' && s.then.some((x) => x.kind !== 'note')) return true;
  return (
    s.then.some((x) => x.kind !== 'jump' && x.kind !== 'goto' && x.kind !== 'note' && !(x.kind === 'verdict' && x.verdict === 'return')) &&
    !/^(ct)?mark (\S+) -> \2$/.test(s.did ?? '')
  );
}

function nearMissRows(s: Extract<Step, { step: 'rule' }>): Omit<Row, 'where'>[] {
  const target =
    s.text
      .match(/ -[jg] .*$/)?.[0]
      .trim()
      .replace(/^-[jg] /, '') ?? '';
  const head = {
    what: s.table,
    text: `${s.chain} ${s.number} ${target} did not match${provenance({ ...s, comment: '' }, false)}`,
    at: location(s.at),
  };
  const parts = conditions(s.reason);
  const width = Math.max(...parts.map((c) => c.text.length));
  return [head, ...parts.map((c) => ({ what: '', text: `  ${c.truth.padEnd(3)}  ${c.text.padEnd(width)}  ${c.saw}`.trimEnd(), at: c.at }))];
}
