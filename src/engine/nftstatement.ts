// Statements of nft brought down to what every chain knows: conditions behind an action, verdict maps, computed translations and
// values, sets that rules change. nft_do_chain(), net/netfilter/nf_tables_core.c
import { familyOf, maskLength, type Addr } from '../net/addr.ts';
import type { Span } from '../model/finding.ts';
import type { NftElement, Operand, SetReference, Value } from '../model/operand.ts';
import type { Chain, NatRange, Pred, Rule, Statement } from '../model/ruleset.ts';
import type { Reason } from '../model/trace.ts';
import { settle, unknownEffect, type Visitor } from './chain.ts';
import { NOT, type Option } from './choice.ts';
import { candidates, isOfPacket, lookUp, readOperand, sayMissing, sayValue, type Candidate, type Reading } from './operand.ts';
import { explain, impliedName } from './pred.ts';
import type { DeviceField } from './sight.ts';
import { watchAssignment } from './watch.ts';

type Nft = Extract<Statement, { kind: 'if' | 'vmap' | 'assign' | 'translate' | 'element' }>;

/** What a statement comes to for the packet at hand. */
export type Settled =
  | (Exclude<Statement, Nft> & { /** The element of a map that says it. */ readonly found?: Reason })
  /** NFT_BREAK: the rule ends, and the next one is tried. */
  | { readonly kind: 'ends'; readonly did?: string; readonly ends: Reason }
  /** Nothing more is done, though the rule counts as run. */
  | { readonly kind: 'idle' }
  | { readonly kind: 'done'; readonly did?: string }
  | { readonly kind: 'cannot-tell'; readonly why: string; readonly at: Span };

interface At {
  readonly rule: Rule;
  readonly chain: Chain;
  readonly v: Visitor;
  readonly supposed: Map<Pred, boolean>;
}

export function settleStatement(s: Statement, rule: Rule, chain: Chain, v: Visitor, supposed: Map<Pred, boolean>): Settled {
  const at: At = { rule, chain, v, supposed };
  switch (s.kind) {
    case 'if': {
      const { matched } = settle(s.pred, rule, chain, v, supposed);
      return matched ? { kind: 'done' } : s.idle ? { kind: 'idle' } : { kind: 'ends', ends: explain(s.pred, v.sight(supposed)) };
    }
    case 'vmap':
      return followMap(s, at);
    case 'assign':
      return assignValue(s, at);
    case 'translate':
      return translateTo(s, at);
    case 'element':
      return changeElement(s, at);
    default:
      return s;
  }
}

/** A statement that could not be carried out: `saw` says why. */
function ends(text: string, saw: string, did?: string): Settled {
  return { kind: 'ends', ends: { pred: { kind: 'all', of: [], text }, truth: false, saw }, ...(did !== undefined && { did }) };
}

/** The element that a key meets, chosen where several may be; `none` where the key has no value. */
function meet(map: SetReference, key: readonly Operand[], text: string, { rule, chain, v, supposed }: At): NftElement | 'missing' | 'none' | 'lost' {
  const found = lookUp(map, key, v.sight(supposed));
  if (found.kind === 'found') return gated(found.element, found.element.gate, rule, chain, v) ? found.element : 'none';
  if (found.kind === 'missing' || found.kind === 'none') return found.kind;
  const name = `${chain.name} ${rule.number}`;
  // what could not be read of a set may be the element that is asked for
  const isUnread = found.readings.every((r) => r.kind === 'known');
  const options = possible(candidates(found), found.readings, key, v);
  if (isUnread || options.length > MOST || !found.set) return 'lost';
  const said = key.map((k) => k.text).join(' . ');
  const all = options.map(({ element, probability }): Option<NftElement | 'missing'> => ({
    value: element ?? 'missing',
    what: element ? `${name}: '${said}' is ${element.text} (${found.why})` : `${name}: '${said}' is none of them (${found.why})`,
    at: element?.at ?? rule.at,
    ...(probability !== undefined && { probability }),
  }));
  const hidden = found.readings.flatMap((r) => (r.kind === 'open' && r.key !== undefined ? [r.key] : []));
  const picked = v.choices.choose(hidden.length > 0 ? `${hidden.join(',')}:${text}` : undefined, all);
  supposeDevice(picked, options, found.readings, key, v);
  if (picked === 'missing') return picked;
  return gated(picked, picked.gate, rule, chain, v) ? picked : 'none';
}

/** A device that nobody knows, as a component of a key: which, and how iptables writes an element's name there. */
function unknownDevice(
  readings: readonly Reading[],
  key: readonly Operand[],
): { readonly field: DeviceField; readonly globOf: (e: NftElement | undefined) => string | undefined } | undefined {
  const at = key.findIndex((k, i) => k.kind === 'device' && readings[i]!.kind === 'open');
  const op = key[at];
  if (op?.kind !== 'device') return undefined;
  return { field: op.field, globOf: (e) => (e?.key ? String(e.key[at]![0]).replace(/\*$/, '+') : undefined) };
}

/** Candidates that do not contradict what was supposed of the device before. */
function possible(options: readonly Candidate[], readings: readonly Reading[], key: readonly Operand[], v: Visitor): readonly Candidate[] {
  const device = unknownDevice(readings, key);
  if (!device) return options;
  const supposed = v.sight(new Map()).supposedNames(device.field);
  const implied = options.map((o) => {
    const glob = device.globOf(o.element);
    return glob === undefined ? 'unknown' : impliedName(glob, supposed);
  });
  return implied.includes(true) && key.length === 1 ? options.filter((_, i) => implied[i] === true) : options.filter((_, i) => implied[i] !== false);
}

/** What was chosen says which device it is, or which it is not. */
function supposeDevice(
  picked: NftElement | 'missing',
  options: readonly Candidate[],
  readings: readonly Reading[],
  key: readonly Operand[],
  v: Visitor,
): void {
  const device = unknownDevice(readings, key);
  if (!device) return;
  const glob = device.globOf(picked === 'missing' ? undefined : picked);
  if (glob !== undefined) v.supposeName(device.field, glob, true);
  else if (key.length === 1)
    for (const { element } of options) {
      const other = device.globOf(element);
      if (other !== undefined) v.supposeName(device.field, other, false);
    }
}

/** More ways than this are not followed. */
const MOST = 64;

/** A statement of the element may end the rule. */
function gated(_element: NftElement | undefined, gate: string | undefined, rule: Rule, chain: Chain, v: Visitor): boolean {
  if (gate === undefined) return true;
  const what = `${gate} (${chain.name} ${rule.number})`;
  return v.choices.choose(undefined, [
    { value: true, what, at: rule.at },
    { value: false, what: `${NOT}${what}`, at: rule.at },
  ]);
}

function lost(as: string, why: string, { rule, v }: At): Settled {
  const verdict = unknownEffect(as, why, rule, v);
  return verdict?.kind === 'cannot-tell' ? verdict : { kind: 'idle' };
}

function followMap(s: Statement & { kind: 'vmap' }, at: At): Settled {
  const met = meet(s.map, s.key, s.text, at);
  if (met === 'lost') return lost(s.text, 'its key is not known', at);
  const pred: Pred = { kind: 'lookup', key: s.key, set: s.map, text: s.text };
  if (met === 'missing' || met === 'none') {
    const sight = at.v.sight(at.supposed);
    const found = lookUp(s.map, s.key, sight);
    const saw = found.kind === 'missing' ? sayMissing(s.key, found.values, sight.elements(s.map)) : undefined;
    return { kind: 'ends', ends: { pred, truth: false, ...(saw !== undefined && { saw }) } };
  }
  if (!met.verdict) return lost(s.text, `what '${met.text}' says is not understood`, at);
  const { verdict } = met;
  const found: Reason = { pred, truth: true, saw: `it is in it: ${met.text}`, at: met.at };
  switch (verdict.kind) {
    case 'continue':
      return { kind: 'done', did: met.text };
    case 'jump':
    case 'goto':
      return { kind: verdict.kind, chain: verdict.chain, found };
    default:
      return { kind: 'verdict', verdict: verdict.kind, found };
  }
}

/** Reads an operand, choosing among what maps in it may give. */
function settleOperand(op: Operand, text: string, at: At, chosen: Map<readonly Operand[], NftElement | undefined>): Reading {
  chooseIn(op, text, at, chosen);
  return readOperand(op, at.v.sight(at.supposed), chosen);
}

function chooseIn(op: Operand, text: string, at: At, chosen: Map<readonly Operand[], NftElement | undefined>): void {
  if (op.kind === 'bits') {
    chooseIn(op.of, text, at, chosen);
    chooseIn(op.by, text, at, chosen);
  }
  if (op.kind !== 'map' || chosen.has(op.key)) return;
  for (const k of op.key) chooseIn(k, text, at, chosen);
  const met = meet(op.map, op.key, text, at);
  if (met === 'lost') return;
  chosen.set(op.key, typeof met === 'string' ? undefined : met);
}

function assignValue(s: Statement & { kind: 'assign' }, at: At): Settled {
  const { v } = at;
  const reading = settleOperand(s.value, s.text, at, new Map());
  if (reading.kind === 'none') return ends(s.text, 'there is no such value');
  if (reading.kind === 'open' || typeof reading.value === 'string') {
    const why = reading.kind === 'open' ? reading.why : 'a name is no number';
    if (s.to === 'mark') return { kind: 'anymark', as: s.text, why };
    return s.to === 'ctmark' || s.to === 'pkttype' ? { kind: 'opaque', as: s.text, why } : lost(s.text, why, at);
  }
  const { watch, packet } = v.sight(at.supposed);
  if (watch && isOfPacket(s.value)) watch.inexact(`'${s.text}' copies what the packet has`);
  else if (watch) watchAssignment(watch, packet, s.to, reading.value);
  const did = v.assign(s.to, reading.value);
  return { kind: 'done', ...(did !== undefined && { did }) };
}

/** nft_nat_eval(): what the registers hold, as a range to choose from. */
function translateTo(s: Statement & { kind: 'translate' }, at: At): Settled {
  const chosen = new Map<readonly Operand[], NftElement | undefined>();
  const addr = s.addr && settleOperand(s.addr, s.text, at, chosen);
  const port = s.port && settleOperand(s.port, s.text, at, chosen);
  if (addr?.kind === 'none' || port?.kind === 'none') return ends(s.text, 'the map has nothing for the packet');
  if (addr?.kind === 'open' || port?.kind === 'open') {
    const why = addr?.kind === 'open' ? addr.why : (port as Reading & { kind: 'open' }).why;
    return { kind: 'cannot-tell', why: `'${s.text}' translates, and ${why}`, at: at.rule.at };
  }
  if ([s.addr, s.port].some((op) => op && isOfPacket(op))) at.v.sight(at.supposed).watch?.inexact(`'${s.text}' copies what the packet has`);
  const addrs = addr && asAddresses(addr.value, addr.to);
  const ports = port && typeof port.value === 'number' ? ([port.value, typeof port.to === 'number' ? port.to : port.value] as const) : undefined;
  if (s.prefix && addrs) {
    const length = prefixOf(addrs);
    if (length !== undefined) return { kind: 'netmap', to: { addr: addrs[0], length } };
  }
  const range: NatRange = { ...s.range, ...(addrs && { addrs }), ...(ports && { ports }) };
  return { kind: s.by, ...range };
}

function asAddresses(value: Value, to: Value | undefined): readonly [Addr, Addr] | undefined {
  if (typeof value === 'string' || typeof to === 'string') return undefined;
  return [value as Addr, (to ?? value) as Addr];
}

/** The length of the prefix that two addresses are the ends of. */
function prefixOf([lo, hi]: readonly [Addr, Addr]): number | undefined {
  const words = (a: Addr): readonly number[] => (typeof a === 'number' ? [a] : a);
  const mask = words(lo).map((w, i) => ~(w ^ words(hi)[i]!) >>> 0);
  return maskLength((familyOf(lo) === 4 ? mask[0] : mask) as Addr);
}

/** nft_dynset_eval(): later rules of the walk see what it did. */
function changeElement(s: Statement & { kind: 'element' }, at: At): Settled {
  const { v, supposed, rule, chain } = at;
  const sight = v.sight(supposed);
  const live = sight.elements(s.set);
  const chosen = new Map<readonly Operand[], NftElement | undefined>();
  const readings = s.key.map((k) => settleOperand(k, s.text, at, chosen));
  const data = s.data?.map((d) => settleOperand(d, s.text, at, chosen));
  if ([...readings, ...(data ?? [])].some((r) => r.kind === 'none')) return ends(s.text, 'the packet has no such value');
  if (!live) return lost(s.text, `the set ${s.set} was not captured`, at);
  const values = readings.flatMap((r) => (r.kind === 'known' ? [r.value] : []));
  const gives = data?.flatMap((r) => (r.kind === 'known' ? [r.value] : []));
  if (values.length < readings.length || (data && gives!.length < data.length)) return { kind: 'done', did: s.text };
  const said = values.map((x, i) => sayValue(s.key[i]!, x)).join(' . ');
  if (s.op === 'delete') return { kind: 'done', did: live.remove(values) ? `deletes ${said} from @${s.set}` : `${said} is not in @${s.set}` };
  const there = live.find(values);
  const isFull = there === undefined && live.captured.size !== undefined && live.elements.length >= live.captured.size;
  // nft_dynset_new(): without room the rule ends
  if (isFull) return ends(s.text, `@${s.set} is full (${live.captured.size} elements)`);
  if (!there) {
    const element: NftElement = {
      key: values.map((x) => [x, x] as const),
      text: said,
      at: rule.at,
      ...(gives && { data: gives.map((x) => [x, x] as const) }),
      ...(s.gate !== undefined && { gate: s.gate }),
    };
    live.add(values, element);
  }
  if (!gated(there, s.gate, rule, chain, v)) return ends(s.text, `not so: ${s.gate}`);
  return { kind: 'done', did: there ? `${said} is in @${s.set} already` : `adds ${said} to @${s.set}` };
}
