// One rule of a chain, as nft prints it: statements with one blank between them, its comment, its handle.
import { type Reading, lineAt, spanAt } from './damage.ts';
import { EXTHDR, PAYLOAD, isBareMetaKey } from './field.ts';
import { isStatement, readStatement } from './statement.ts';
import type { RuleSyntax, StatementSyntax } from './syntax.ts';
import { readNumber } from './value.ts';
import type { Words } from './words.ts';

type Draft = { -readonly [K in keyof RuleSyntax]: RuleSyntax[K] };

/** The rule that begins here. `hidden`: how many statements nft printed as nothing before the first word. */
export function readRule(r: Reading, hidden: number): RuleSyntax {
  const { w } = r;
  const { start, line } = w;
  const statements: StatementSyntax[] = [];
  hide(statements, hidden);
  const rule: Draft = { statements, text: '', at: { file: r.file, line } };
  let end = start;
  while (!w.isDone) {
    const between = w.start === start ? 0 : w.gap - 1;
    if (w.at('#') && readRemark(w, rule)) {
      hide(statements, between);
      break;
    }
    hide(statements, between);
    if (w.at('comment')) {
      w.step();
      rule.comment = w.next();
      continue;
    }
    statements.push(w.at('#') ? readRemarked(w, statements) : readOrSkip(r));
    end = w.start - w.gap;
  }
  // A blank behind the last word is of a statement that was printed as nothing.
  if (w.kind === 'line') hide(statements, w.gap);
  rule.text = w.text.slice(start, end).trimEnd();
  return rule;
}

/** A rule of nothing but a statement that was printed as nothing. */
export function hiddenRule(file: string, line: number): RuleSyntax {
  return { statements: [{ kind: 'xt', type: 'match' }], text: '', at: { file, line } };
}

// iptables-nft counts between its matches and its target: nft_ipv4_add(), iptables/nft-ipv4.c.
function typeOf(before: readonly StatementSyntax[]): 'match' | 'target' {
  return before.some((s) => s.kind === 'counter') ? 'target' : 'match';
}

function hide(statements: StatementSyntax[], n: number): void {
  for (let i = 0; i < n; i++) statements.push({ kind: 'xt', type: typeOf(statements) });
}

/** `# handle 12`, or a remark of somebody's: both go to the end of the line. `# xt_recent` is a statement, and is left where it is. */
function readRemark(w: Words, rule: Draft): boolean {
  if (w.peek().startsWith('xt_')) return false;
  w.step();
  if (w.take('handle')) {
    const handle = readNumber(w.word);
    if (handle !== undefined) rule.handle = handle;
  }
  w.seek(w.endOfLine());
  return true;
}

function readRemarked(w: Words, before: readonly StatementSyntax[]): StatementSyntax {
  w.step();
  return { kind: 'xt', type: typeOf(before), name: w.next().slice(3) };
}

/** A statement; where it cannot be read, its words up to where something known surely follows, and a finding. */
function readOrSkip(r: Reading): StatementSyntax {
  const { w } = r;
  const { start, line, word } = w;
  const statement = readStatement(w);
  if (w.failure === undefined) return statement;
  const why = w.failure;
  w.failure = undefined;
  w.seek(start, line);
  const end = skip(w, start);
  const words = w.text.slice(start, end).trimEnd();
  w.seek(end);
  w.failure = undefined;
  const isKnown = isStatement(word) || PAYLOAD.has(word) || EXTHDR.has(word) || isBareMetaKey(word);
  r.report.tell({
    severity: 'warning',
    code: isKnown ? 'unknown-expression' : 'unknown-statement',
    message: `"${words}" is not understood: ${why}`,
    at: spanAt(r, line, start, start + words.length),
    line: lineAt(w, start),
    hint: 'What this rule does to a packet is not told from here on. If nft printed it, please report the line.',
  });
  return { kind: 'opaque', words, why };
}

const KNOWN = / (?:counter packets \d+ bytes \d+\b| ?(?:accept|drop|return|continue|(?:jump|goto) [\w./-]+)$)/;

/** Where words that are not understood end: before a counter, before the verdict that ends the line, at its comment or handle, or with it. */
function skip(w: Words, start: number): number {
  const rest = w.text.slice(start, w.endOfLine(start));
  const tail = / (?:comment "[^"]*")?(?: ?# handle \d+)?$/.exec(rest);
  const body = tail === null ? rest : rest.slice(0, tail.index);
  // An anonymous chain goes on below; a { that merely is not closed costs its line.
  if (body.endsWith('{')) return closing(w);
  const known = KNOWN.exec(body);
  return start + (known === null ? body.length : known.index + 1);
}

/** Behind the `}` of a block that goes over several lines. */
function closing(w: Words): number {
  let depth = 0;
  while (!w.isEnd) {
    if (w.at('{')) depth++;
    const closes = w.at('}') && --depth === 0;
    if (closes) return w.end;
    w.step();
  }
  return w.end;
}
