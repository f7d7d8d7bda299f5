// What an operand of a rule comes to, for the packet at hand: the expressions of nft, nft_payload_eval(), nft_meta_get_eval(), ...
import { formatAddr, type Word } from '../net/addr.ts';
import type { NftElement, Operand, SetReference, Value, ValueRange } from '../model/operand.ts';
import { CT_STATE, CT_STATE_BIT, type Field } from '../model/ruleset.ts';
import type { Span } from '../model/finding.ts';
import { formatProtocol } from '../net/proto.ts';
import { bytesOf } from './bytes.ts';
import { formatValue, hasValue, type LiveNftSet } from './nftset.ts';
import { ABSENT, formatMark, HIDDEN, read, undetermined } from './field.ts';
import type { Sight } from './sight.ts';
import { kindOf, rangeOf, watchElements, watchMasked, type ValueKind, type Watch } from './watch.ts';

export type Reading =
  | { readonly kind: 'known'; readonly value: Value; /** Of an interval: its end. */ readonly to?: Value; readonly at?: Span }
  /** The packet has no such thing: the rule ends. */
  | { readonly kind: 'none' }
  | {
      readonly kind: 'open';
      readonly why: string;
      /** Equal within one walk where the same is asked. */
      readonly key?: string;
      /** Where it is one of these numbers; `even` when each is as likely as another. */
      readonly among?: readonly [number, number];
      readonly even?: boolean;
    };

type Payload = Operand & { kind: 'payload' };

const NONE: Reading = { kind: 'none' };
const STATE_BIT = new Map(Object.entries(CT_STATE).map(([name, state]): [Value, number] => [state, CT_STATE_BIT[name as keyof typeof CT_STATE]]));

const known = (value: Value, at?: Span): Reading => ({ kind: 'known', value, ...(at && { at }) });

/** Elements that were chosen where a key is open, for one rule. */
export type Chosen = ReadonlyMap<readonly Operand[], NftElement | undefined>;

export function readOperand(op: Operand, s: Sight, chosen?: Chosen): Reading {
  switch (op.kind) {
    case 'constant':
      return known(op.value);
    case 'field': {
      const value = readField(op.field, s);
      if (value.kind !== 'known' || op.field !== 'ctstate') return value;
      return known(STATE_BIT.get(value.value)!);
    }
    case 'device': {
      const name = s[op.field];
      return name === undefined ? { kind: 'open', why: 'the interface is not known', key: `${s.visit}:${op.field}` } : known(name);
    }
    case 'payload':
      return readPayload(op, s);
    case 'bits':
      watchBits(op, s);
      return readBits(op, s, chosen);
    case 'map':
      return readMap(op, s, chosen);
    case 'fib':
      return s.fib(op);
    case 'drawn':
      if (op.mod === 1) return known(op.offset);
      return {
        kind: 'open',
        why: DRAWN[op.by],
        among: [op.offset, op.offset + op.mod - 1],
        even: op.by !== 'hash',
        ...(op.by === 'hash' && { key: `${s.visit}:${op.text}` }),
      };
    case 'hidden':
      return { kind: 'open', why: op.why, key: `${s.visit}:${op.text}` };
  }
}

function readField(field: Field, s: Sight): Reading {
  const value = read(field, s);
  if (value === ABSENT) return NONE;
  const among = undetermined(field, s);
  if (among) return { kind: 'open', why: `the kernel picks the port from ${among[0]}-${among[1]}`, among, key: `${s.visit}:${field}` };
  return value === HIDDEN ? { kind: 'open', why: 'not given in the question', key: `${s.visit}:${field}` } : known(value);
}

const DRAWN = {
  random: 'a random number, drawn for each packet',
  inc: 'a counter that each packet moves on',
  hash: 'a hash of the packet, which is not computed here',
} as const;

function readBits(op: Operand & { kind: 'bits' }, s: Sight, chosen: Chosen | undefined): Reading {
  const by = readOperand(op.by, s, chosen);
  const isMask = op.op === '&' && op.of.kind === 'payload' && op.of.base !== 'link' && op.of.length <= 32;
  const of = isMask && by.kind === 'known' && typeof by.value === 'number' ? readPayload(op.of, s, by.value) : readOperand(op.of, s, chosen);
  if (of.kind !== 'known') return of;
  if (by.kind !== 'known') return by;
  if (typeof of.value !== 'number' || typeof by.value !== 'number') {
    if (typeof of.value === 'string' || typeof by.value === 'string' || typeof of.value === 'number' || typeof by.value === 'number')
      return { kind: 'open', why: 'such values are not combined' };
    const [a, b] = [of.value, by.value];
    const each = (f: (x: number, y: number) => number): Word => a.map((x, i) => f(x, b[i]!) >>> 0) as unknown as Word;
    if (op.op === '<<' || op.op === '>>') return { kind: 'open', why: 'such values are not shifted' };
    return known(each((x, y) => (op.op === '&' ? x & y : op.op === '|' ? x | y : x ^ y)));
  }
  const [a, b] = [of.value, by.value];
  const cut = op.width >= 32 ? 0xffffffff : 2 ** op.width - 1;
  switch (op.op) {
    case '&':
      return known((a & b) >>> 0);
    case '|':
      return known((a | b) >>> 0);
    case '^':
      return known((a ^ b) >>> 0);
    case '<<':
      return known(b > 31 ? 0 : ((a << b) & cut) >>> 0);
    case '>>':
      return known(b > 31 ? 0 : a >>> b);
  }
}

/** nft_payload_eval(): bits of the packet as far as they are known; of up to 32, those outside of `needed` may be any. */
function readPayload(op: Payload, s: Sight, needed = 0xffffffff): Reading {
  const { packet: p } = s;
  if (op.base === 'link') return readLink(op, s);
  const header = p.family === 4 ? 20 : 40;
  const ported = portOf(op, s);
  if (ported) return readField(ported, s);
  const from = op.offset + (op.base === 'transport' ? header * 8 : 0);
  // addresses lie together at the end of the IP header, ports behind it; all else is alike for packets of a question
  const [open, end] = [p.family === 4 ? 96 : 64, header * 8 + (p.sport === undefined ? 0 : 32)];
  if (from < end && from + op.length > open) s.watch?.inexact(`'${op.text}' reads bytes of the packet`);
  const bytes = bytesOf(p);
  if (Math.ceil((from + op.length) / 8) > bytes.length) return NONE;
  let value = 0n;
  for (let bit = from; bit < from + op.length; bit++) {
    const b = bytes[bit >>> 3]!;
    const mask = 0x80 >>> (bit & 7);
    const place = op.length - 1 - (bit - from);
    const isNeeded = place > 31 || ((needed >>> place) & 1) === 1;
    if (isNeeded && !(b.mask & mask)) return { kind: 'open', why: 'not given in the question', key: `${s.visit}:${op.text}` };
    value = (value << 1n) | (b.value & mask ? 1n : 0n);
  }
  return known(wordOf(value, op.length));
}

/** The port that bytes of a transport header are. */
function portOf(op: Payload, { packet: p }: Sight): 'sport' | 'dport' | undefined {
  const isPort = op.base === 'transport' && (op.offset === 0 || op.offset === 16) && op.length === 16;
  return isPort && (p.sport !== undefined || p.undetermined?.sport) ? (op.offset === 0 ? 'sport' : 'dport') : undefined;
}

/** The kind of value that an operand is as it stands in the packet. */
function kindOfOperand(op: Operand): ValueKind | undefined {
  if (op.kind === 'field') return kindOf(op.field);
  return op.kind === 'payload' && op.base === 'transport' ? 'port' : undefined;
}

/** Tells how far a value may move that was compared with ranges. */
export function watchValue(op: Operand, value: Value, among: readonly ValueRange[], s: Sight): void {
  const kind = s.watch && kindOfOperand(op);
  if (kind && typeof value !== 'string')
    watchElements(
      s.watch,
      [{ kind, value }],
      among.map((r) => [rangeOf(r)]),
    );
}

function watchKey(key: readonly Operand[], readings: readonly Reading[], live: LiveNftSet, watch: Watch): void {
  const parts = key.map((op, i) => {
    const r = readings[i]!;
    return { kind: kindOfOperand(op), value: r.kind !== 'known' || typeof r.value === 'string' ? undefined : r.value };
  });
  watchElements(watch, parts, live.rangesOfKeys());
}

/** Reports whether an operand has the packet's own address or port in it; what a map gives for one is its element's. */
export function isOfPacket(op: Operand): boolean {
  switch (op.kind) {
    case 'field':
      return kindOf(op.field) !== undefined;
    case 'payload':
      return op.base !== 'link';
    case 'bits':
      return isOfPacket(op.of) || isOfPacket(op.by);
    default:
      return false;
  }
}

/** Bits of a value: what only loses its end may move within it. */
function watchBits(op: Operand & { kind: 'bits' }, s: Sight): void {
  const kind = s.watch && kindOfOperand(op.of);
  if (!kind) return;
  const value = readOperand(op.of, s);
  if (value.kind !== 'known' || typeof value.value === 'string') return;
  if (op.op === '&' && op.by.kind === 'constant' && typeof op.by.value !== 'string') watchMasked(s.watch, kind, value.value, op.by.value);
  else s.watch.inexact(`'${op.text}' computes with the packet`);
}

function wordOf(value: bigint, length: number): Word {
  if (length <= 32) return Number(value);
  const word = (n: bigint): number => Number((value >> n) & 0xffffffffn);
  return [word(96n), word(64n), word(32n), word(0n)];
}

/** The link-layer header, which what this host sends does not have yet. */
function readLink(op: Payload, s: Sight): Reading {
  if (s.iif === '') return NONE;
  const { mac, family } = s.packet;
  if (op.offset === 96 && op.length === 16) return known(family === 4 ? 0x0800 : 0x86dd);
  if (!mac || op.length !== 48 || (op.offset !== 0 && op.offset !== 48))
    return { kind: 'open', why: 'not given in the question', key: `${s.visit}:${op.text}` };
  const bytes = (op.offset === 0 ? mac.dst : mac.src).split(':').map((x) => parseInt(x, 16));
  return known([0, 0, (bytes[0]! << 8) | bytes[1]!, ((bytes[2]! << 24) | (bytes[3]! << 16) | (bytes[4]! << 8) | bytes[5]!) >>> 0]);
}

function readMap(op: Operand & { kind: 'map' }, s: Sight, chosen: Chosen | undefined): Reading {
  if (chosen?.has(op.key)) return dataOf(chosen.get(op.key), op.part);
  const found = lookUp(op.map, op.key, s);
  return found.kind === 'found' ? dataOf(found.element, op.part) : found.kind === 'open' ? { kind: 'open', why: found.why } : NONE;
}

function dataOf(element: NftElement | undefined, part: number): Reading {
  const range = element?.data?.[part];
  return range ? { kind: 'known', value: range[0], ...(range[1] !== range[0] && { to: range[1] }), at: element.at } : NONE;
}

export type Found =
  | { readonly kind: 'found'; readonly element: NftElement; readonly values: readonly Value[] }
  | { readonly kind: 'missing'; readonly values: readonly Value[] }
  /** A component is none: the rule ends. */
  | { readonly kind: 'none' }
  | { readonly kind: 'open'; readonly why: string; readonly readings: readonly Reading[]; readonly set: LiveNftSet | undefined };

/** nft_lookup_eval(): the element that covers a key. */
export function lookUp(set: SetReference, key: readonly Operand[], s: Sight, chosen?: Chosen): Found {
  const readings = key.map((k) => readOperand(k, s, chosen));
  if (readings.some((r) => r.kind === 'none')) return { kind: 'none' };
  const live = s.elements(set);
  // an open component does not keep the others from telling elements apart
  if (s.watch && live) watchKey(key, readings, live, s.watch);
  const open = readings.find((r) => r.kind === 'open');
  if (open?.kind === 'open') return { kind: 'open', why: open.why, readings, set: live };
  const values = readings.map((r) => (r as Reading & { kind: 'known' }).value);
  if (!live) return { kind: 'open', why: `the set ${typeof set === 'string' ? set : ''} was not captured`, readings, set: undefined };
  const element = live.find(values);
  if (element && (element.key || live.captured.incomplete === undefined)) return { kind: 'found', element, values };
  return live.captured.incomplete === undefined ? { kind: 'missing', values } : { kind: 'open', why: live.captured.incomplete, readings, set: live };
}

/** An element that an open key may meet, with its share where the key is drawn evenly. */
export interface Candidate {
  readonly element?: NftElement;
  readonly probability?: number;
}

/** Everything that a key with an open component may meet, nothing included. */
export function candidates(found: Found & { kind: 'open' }): readonly Candidate[] {
  const { readings, set } = found;
  const mayBe = (range: ValueRange, r: Reading): boolean => (r.kind === 'known' ? hasValue(range, r.value) : overlap(range, r) !== 0);
  const fits = (e: NftElement): boolean => e.key === undefined || e.key.every((range, i) => mayBe(range, readings[i]!));
  const elements = (set?.elements ?? []).filter(fits);
  const at = readings.findIndex((r) => r.kind === 'open');
  const drawn = readings[at];
  const many = readings.filter((r) => r.kind === 'open').length > 1;
  if (drawn?.kind !== 'open' || !drawn.among || !drawn.even || many)
    return [...elements.map((element) => ({ element })), ...(elements.some((e) => !e.key) ? [] : [{}])];
  const size = drawn.among[1] - drawn.among[0] + 1;
  const sized = elements.filter((e) => e.key).map((element) => ({ element, probability: overlap(element.key![at]!, drawn) / size }));
  const left = 1 - sized.reduce((n, c) => n + c.probability, 0);
  const any = elements.find((e) => !e.key);
  return left <= 1e-12 ? sized : [...sized, { ...(any && { element: any }), probability: left }];
}

/** How many numbers of an interval an open reading can be; 1 where that is not known. */
function overlap([lo, hi]: ValueRange, r: Reading): number {
  if (r.kind !== 'open' || !r.among || typeof lo !== 'number' || typeof hi !== 'number') return 1;
  return Math.max(0, Math.min(hi, r.among[1]) - Math.max(lo, r.among[0]) + 1);
}

/** A value as the rule's reader knows it: marks in hexadecimal, addresses as such. */
export function sayValue(op: Operand, value: Value): string {
  if (typeof value !== 'number') return formatValue(value);
  const of = op.kind === 'bits' ? op.of : op;
  if (of.kind === 'field') {
    if (kindOf(of.field) === 'addr') return formatAddr(value);
    if (of.field === 'mark' || of.field === 'ctmark') return formatMark(value);
    if (kindOf(of.field) === 'proto') return formatProtocol(value);
  }
  return formatValue(value);
}

/** How near a key came to an element: the values, and where it helps the element that differs in one component only. */
export function sayMissing(key: readonly Operand[], values: readonly Value[], set: LiveNftSet | undefined): string {
  const said = values.map((v, i) => sayValue(key[i]!, v)).join(' . ');
  const { elements = [] } = set ?? {};
  const named = set && set.captured.name !== '' ? `@${set.captured.name}` : 'it';
  const near = elements.length > MOST ? undefined : nearest(elements, values);
  return `${said} is not in ${named} (${elements.length} element${elements.length === 1 ? '' : 's'}${near ? `; nearest: ${near.text}` : ''})`;
}

/** Sets that are looked through for the nearest element. */
const MOST = 2000;

function nearest(elements: readonly NftElement[], values: readonly Value[]): NftElement | undefined {
  if (values.length < 2) return undefined;
  return elements.find((e) => e.key && e.key.filter((range, i) => hasValue(range, values[i]!)).length === values.length - 1);
}
