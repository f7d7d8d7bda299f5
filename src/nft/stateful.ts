// Statements that keep a state, in a rule, in a set and in each of its elements: counter, limit, quota, ct count, last.
import type { StatementSyntax } from './syntax.ts';
import { readCount, readNumber } from './value.ts';
import type { Words } from './words.ts';

/** The statement that stands here, if it is one of these; those with a name are others. */
export function readStateful(w: Words): StatementSyntax | undefined {
  switch (w.kind === 'word' ? w.word : '') {
    case 'counter':
      w.step();
      return readCounter(w);
    case 'limit':
      w.step();
      return readLimit(w);
    case 'quota':
      w.step();
      return readQuota(w);
    case 'last':
      w.step();
      return readLast(w);
    case 'ct':
      if (w.peek() !== 'count') return undefined;
      w.step();
      w.step();
      return { kind: 'connlimit', over: w.take('over'), count: readCount(w) };
    default:
      return undefined;
  }
}

function readCounter(w: Words): StatementSyntax {
  if (!w.take('packets')) return { kind: 'counter' };
  const packets = readCount(w);
  if (!w.take('bytes')) w.fail('a counter has packets and bytes');
  return { kind: 'counter', packets, bytes: readCount(w) };
}

// nft_limit_init(), net/netfilter/nft_limit.c: without a burst, packets may come five at once.
const DEFAULT_BURST = 5;

/** `rate [over] 10/second burst 5 packets`, `rate 10 mbytes/second burst 5 kbytes` */
function readLimit(w: Words): StatementSyntax {
  if (!w.take('rate')) w.fail('limit rate');
  const over = w.take('over');
  const [head, tail] = split(w, '/');
  const rate = readNumber(head);
  let unit = 'packets';
  let per = tail;
  if (tail === '') [unit, per] = split(w, '/');
  if (rate === undefined || !PERIODS.has(per)) w.fail(`${head} is no rate like 10/second`);
  const limit = { kind: 'limit', over, rate: rate ?? 0, unit, per } as const;
  if (!w.take('burst')) return unit === 'packets' ? { ...limit, burst: DEFAULT_BURST } : limit;
  const burst = readCount(w);
  if (w.take('packets')) return { ...limit, burst };
  return UNITS.has(w.word) ? { ...limit, burst, burstUnit: w.next() } : { ...limit, burst };
}

const PERIODS: ReadonlySet<string> = new Set(['second', 'minute', 'hour', 'day', 'week']);
const UNITS: ReadonlyMap<string, number> = new Map([
  ['bytes', 1],
  ['kbytes', 1024],
  ['mbytes', 1024 * 1024],
]);

function split(w: Words, mark: string): [string, string] {
  const word = w.next();
  const at = word.indexOf(mark);
  return at < 0 ? [word, ''] : [word.slice(0, at), word.slice(at + 1)];
}

function readQuota(w: Words): StatementSyntax {
  const over = w.take('over');
  if (!over) w.take('until');
  const bytes = readBytes(w);
  return w.take('used') ? { kind: 'quota', over, bytes, used: readBytes(w) } : { kind: 'quota', over, bytes };
}

function readBytes(w: Words): number {
  const n = readCount(w);
  const unit = UNITS.get(w.word);
  if (unit === undefined) w.fail('a quota is of bytes, kbytes or mbytes');
  else w.step();
  return n * (unit ?? 1);
}

/** `last used 5s`, `last used never` */
function readLast(w: Words): StatementSyntax {
  return { kind: 'last', words: w.take('used') ? `used ${w.next()}` : '' };
}
