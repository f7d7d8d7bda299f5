// A comparison of nft as a predicate: in the same words as one of iptables where iptables has them, so that both are decided and
// explained alike.
import type { Operand, ValueRange } from '../model/operand.ts';
import { CT_STATE, CT_STATE_BIT, type Field, type Pred } from '../model/ruleset.ts';
import { ranges, type Range } from '../net/intervals.ts';
import type { Word } from '../net/addr.ts';
import { negate } from '../iptables-parser/predicate.ts';
import { isFlags, widthOf, type Datatype } from './datatype.ts';
import { compute, constantOf, CT_STATES, lowerKey, lowerOperand, ofFamily, rangeOf, referTo, type Context, type Lowered } from './operand.ts';
import { printStatement } from './print.ts';
import { printExpression } from './printexpr.ts';
import type { ExprSyntax, StatementSyntax } from './syntax.ts';

type Match = StatementSyntax & { readonly kind: 'match' };

/** The conditions of a match in the order in which nft has the kernel try them. */
export function lowerMatch(m: Match, context: Context): Pred[] {
  const text = printStatement(m);
  const spelled = (p: Pred): Pred => ({ ...p, text });
  const opaque = (why: string): Pred[] => {
    context.odd(`${text}: ${why}`);
    return [{ kind: 'opaque', as: text, why, text }];
  };
  const { left, right, op } = m;
  const states = left.kind === 'concat' ? undefined : acceptedStates(left, op, right);
  if (states) return [spelled({ kind: 'in', field: 'ctstate', ranges: ranges(states.map((s): Range => [s, s])) })];
  const header = lowerHeaderTest(m, text, context);
  if (header) return header;
  if (right.kind === 'reference' || left.kind === 'concat') {
    const named = right.kind === 'reference' ? context.sets[right.name] : undefined;
    const keys = lowerKey(left, context, named?.types);
    const set = referTo(
      right.kind === 'set' || right.kind === 'reference' ? right : oneElement(right),
      context,
      keys.map((k) => k.type),
    );
    if (set === undefined) return opaque('not understood');
    return [...keys.flatMap((k) => k.guards), spelled({ kind: 'lookup', key: keys.map((k) => k.operand), set, ...(op === '!=' && { not: true }) })];
  }
  const { operand, type, guards } = lowerOperand(left, context);
  if (operand.kind === 'hidden') return [...guards, { kind: 'opaque', as: text, why: operand.why, text, key: `nft:${text}` }];
  if (left.kind === 'fib' && left.result !== 'type') return [...guards, spelled(lowerFib(operand, op, right, type))];
  const bits = bitTest({ operand, type, guards }, m);
  if (bits) return [...guards, spelled(bits)];
  const among = amongOf(right, type);
  if (!among) return opaque(`'${printExpression(right)}' is not known as a value of the type ${type}`);
  const wide = op === '<' || op === '>' || op === '<=' || op === '>=' ? beyond(op, among, type) : among;
  if (!wide) return opaque(`'${op}' does not order such values`);
  return [...guards, spelled(oneOf(operand, wide, op === '!='))];
}

const IPV6_HEADERS: Readonly<Record<string, number>> = { hbh: 0, rt: 43, rt0: 43, rt2: 43, srh: 43, frag: 44, ah: 51, dst: 60, mh: 135 };

/** What is asked of options and extension headers: nft_exthdr.c. Where none can be, `missing` holds, and what would stand in one has no value. */
function lowerHeaderTest({ left, right, op }: Match, text: string, context: Context): Pred[] | undefined {
  const word = right.kind === 'value' ? right.value : undefined;
  const asks =
    word === 'exists' || word === 'missing' || word === 1 || word === 0
      ? (word === 'exists' || word === 1) === (op !== '!=')
        ? 'exists'
        : 'missing'
      : 'value';
  const open = (why: string): Pred => ({ kind: 'opaque', as: text, why, text });
  const never: Pred = { kind: 'any', of: [], text };
  const always: Pred = { kind: 'all', of: [], text };
  if (left.kind === 'option' && left.of === 'ip') {
    // a question's packet has no IP options
    const has = left.field === undefined ? asks : 'value';
    return [...ofFamily(context, 2), has === 'missing' ? always : never];
  }
  if (left.kind === 'option') {
    const tcp: Pred = {
      kind: 'in',
      field: 'proto',
      ranges: [[left.of === 'sctp' ? 132 : left.of === 'dccp' ? 33 : 6, left.of === 'sctp' ? 132 : left.of === 'dccp' ? 33 : 6]],
      text,
    };
    const unknown = open('the options of the packet are not given');
    return left.field === undefined && asks === 'missing' ? [{ kind: 'any', of: [{ kind: 'not', of: tcp }, unknown], text }] : [tcp, unknown];
  }
  if (left.kind !== 'exthdr') return undefined;
  const number = IPV6_HEADERS[left.header];
  if (number === undefined) return [...ofFamily(context, 10), open('the extension header is not known')];
  const others = Object.values(IPV6_HEADERS).filter((n) => n !== number);
  const behind: Pred = {
    kind: 'all',
    of: [
      { kind: 'in', field: 'nexthdr', ranges: ranges(others.map((n): Range => [n, n])) },
      open('what follows its extension header is not part of the packet'),
    ],
  };
  const there: Pred = { kind: 'any', of: [{ kind: 'in', field: 'nexthdr', ranges: [[number, number]] }, behind], text };
  if (left.field !== undefined || asks === 'value') return [...ofFamily(context, 10), there, open('its extension header is not given')];
  return [...ofFamily(context, 10), asks === 'exists' ? there : { kind: 'not', of: there, text }];
}

function oneElement(e: ExprSyntax): ExprSyntax {
  return { kind: 'set', elements: [{ key: e }] };
}

/** The intervals of a value, a range, a prefix or a set of such. */
function amongOf(right: ExprSyntax, type: Datatype): ValueRange[] | undefined {
  if (right.kind !== 'set') {
    const one = rangeOf(right, type);
    return one && [one];
  }
  const list = right.elements.map((e) => rangeOf(e.key, type));
  return list.every((r) => r !== undefined) ? list : undefined;
}

/** Membership in the words that iptables has for it, where there are such. */
function oneOf(operand: Operand, among: readonly ValueRange[], not: boolean): Pred {
  if (operand.kind === 'device') {
    const { field } = operand;
    const names = among.map(([name]): Pred => ({ kind: 'name', field, glob: globOf(String(name)) }));
    const any: Pred = names.length === 1 ? names[0]! : { kind: 'any', of: names };
    return not ? { kind: 'not', of: any } : any;
  }
  // xt_owner says of a packet without a socket that it is not somebody's, nft_meta_get_eval_skugid() breaks
  const owned = operand.kind === 'field' && (operand.field === 'uid' || operand.field === 'gid');
  if (operand.kind === 'field' && operand.field !== 'ctstate' && !(owned && not)) {
    const pred: Pred = { kind: 'in', field: operand.field, ranges: ranges(among as readonly Range[]) };
    return not ? negate(pred) : pred;
  }
  if (operand.kind === 'drawn') {
    const lo = operand.offset;
    const hi = operand.offset + operand.mod - 1;
    const hits = ranges(among as readonly Range[]).reduce(
      (n, [a, b]) => n + Math.max(0, Math.min(b as number, hi) - Math.max(a as number, lo) + 1),
      0,
    );
    const probability = hits / operand.mod;
    if (operand.by !== 'hash') return { kind: 'chance', probability: not ? 1 - probability : probability, as: operand.text };
  }
  return { kind: 'value', of: operand, among, ...(not && { not: true }) };
}

/** nft's `eth*` as iptables writes it. */
function globOf(name: string): string {
  return name.endsWith('\\*') ? `${name.slice(0, -2)}*` : name.endsWith('*') ? `${name.slice(0, -1)}+` : name;
}

function beyond(op: '<' | '>' | '<=' | '>=', among: readonly ValueRange[], type: Datatype): ValueRange[] | undefined {
  const [lo, hi] = among[0] ?? [];
  const top: Word = widthOf(type) > 32 ? [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff] : 0xffffffff;
  if (among.length !== 1 || typeof lo !== 'number' || typeof hi !== 'number' || typeof top !== 'number') return undefined;
  switch (op) {
    case '<':
      return lo === 0 ? [] : [[0, lo - 1]];
    case '<=':
      return [[0, lo]];
    case '>':
      return hi === top ? [] : [[hi + 1, top]];
    case '>=':
      return [[hi, top]];
  }
}

/** Tests of bits: `tcp flags syn`, `tcp flags & (fin | syn) == syn`, `meta mark & 0xff != 1`, `! syn`. */
function bitTest({ operand, type }: Lowered, { op, left, right }: Match): Pred | undefined {
  if ((op === 'in' || op === '!') && isFlags(type) && right.kind !== 'set' && left.kind !== 'binary') {
    const mask = constantOf(right, type);
    const field = operand.kind === 'field' ? operand.field : undefined;
    if (mask === undefined || field === undefined) return undefined;
    const none: Pred = { kind: 'masked', field, value: 0, mask };
    return op === '!' ? none : negate(none);
  }
  if (left.kind !== 'binary' || left.op !== '&' || operand.kind !== 'bits' || operand.of.kind !== 'field') return undefined;
  const mask = constantOf(left.right, type);
  const value = right.kind === 'set' ? undefined : constantOf(right, type);
  const field: Field = operand.of.field;
  if (mask === undefined || value === undefined || field === 'ctstate' || (op !== '==' && op !== '!=' && op !== 'in')) return undefined;
  const pred: Pred = { kind: 'masked', field, value, mask };
  return op === '!=' ? negate(pred) : pred;
}

/** What a comparison of `ct state` comes to: it has five values, so each is tried. */
function acceptedStates(left: ExprSyntax, op: Match['op'], right: ExprSyntax): number[] | undefined {
  const isState = (e: ExprSyntax): boolean =>
    (e.kind === 'ct' && e.key === 'state') || (e.kind === 'binary' && isState(e.left) && constantOf(e.right, 'ct_state') !== undefined);
  if (!isState(left)) return undefined;
  const among = amongOf(right, 'ct_state');
  if (!among) return undefined;
  const value = (e: ExprSyntax, state: number): number =>
    e.kind === 'binary' ? compute(e.op, value(e.left, state), constantOf(e.right, 'ct_state')!) : state;
  const within = (v: number): boolean => among.some(([lo, hi]) => v >= (lo as number) && v <= (hi as number));
  const mask = right.kind === 'set' ? undefined : constantOf(right, 'ct_state');
  const holds = (v: number): boolean => {
    if (op === 'in' && mask !== undefined && left.kind === 'ct') return (v & mask) !== 0;
    if (op === '!' && mask !== undefined) return (v & mask) === 0;
    return op === '!=' ? !within(v) : within(v);
  };
  const names = Object.entries(CT_STATE_BIT);
  return CT_STATES.filter((bit) => holds(value(left, bit))).map((bit) => CT_STATE[names.find(([, b]) => b === bit)![0] as keyof typeof CT_STATE]);
}

/** `fib saddr . iif oif missing`, `fib daddr oifname "eth0"`: the device, '' for none. */
function lowerFib(operand: Operand, op: Match['op'], right: ExprSyntax, type: Datatype): Pred {
  const word = right.kind === 'value' ? right.value : undefined;
  const none = word === 'missing' || word === 0 || word === false.toString();
  const some = word === 'exists' || word === 1 || word === true.toString();
  const not = op === '!=';
  if (none || some) return { kind: 'value', of: operand, among: [['', '']], ...(some !== not && { not: true }) };
  return { kind: 'value', of: operand, among: amongOf(right, type) ?? [], ...(not && { not: true }) };
}

/** A packet of the family that an address of a statement is of. */
export function guardFamily(family: 'ip' | 'ip6' | undefined, context: Context): Pred[] {
  return family === undefined ? [] : ofFamily(context, family === 'ip' ? 2 : 10);
}
