// nft's expressions as operands of the model: what a rule computes of a packet, and the conditions that nft adds by itself.
import type { NftSet, Operand, SetReference, ValueRange } from '../model/operand.ts';
import { CT_STATE_BIT, type Field, type Pred } from '../model/ruleset.ts';
import { fieldIn } from '../iptables-parser/predicate.ts';
import { valueOf, widthOf, type Datatype } from './datatype.ts';
import { HEADERS, ICMP_FIELD_TYPES, type HeaderField } from './header.ts';
import { printExpression } from './printexpr.ts';
import type { ExprSyntax, NftFamily, SetSyntax, TypeSyntax } from './syntax.ts';

/** What lowering a rule needs of its table. */
export interface Context {
  readonly family: NftFamily;
  readonly sets: Readonly<Record<string, { readonly syntax: SetSyntax; readonly types: readonly Datatype[]; readonly data: readonly Datatype[] }>>;
  /** Lowers the elements of a set that stands in a rule. */
  anonymous(set: ExprSyntax & { kind: 'set' }, key: readonly Datatype[], data: readonly Datatype[]): NftSet;
  /** Reports what is not understood. */
  odd(why: string): void;
}

/** An expression: what it computes, of which type, and what must hold of the packet for it to have a value. */
export interface Lowered {
  readonly operand: Operand;
  readonly type: Datatype;
  readonly guards: readonly Pred[];
}

const NFPROTO = { ip: 2, ip6: 10 } as const;

/** The condition that a packet is of a family; none where the table has that family only. */
export function ofFamily(context: Context, nfproto: number): Pred[] {
  const own = context.family === 'ip' ? 2 : context.family === 'ip6' ? 10 : undefined;
  return own === nfproto ? [] : [{ ...fieldIn('nfproto', [nfproto, nfproto]), text: `meta nfproto ${nfproto === 2 ? 'ipv4' : 'ipv6'}` }];
}

function hidden(text: string, why: string): Operand {
  return { kind: 'hidden', why, text };
}

const META: Readonly<Record<string, readonly [Field, Datatype]>> = {
  mark: ['mark', 'mark'],
  length: ['length', 'integer'],
  l4proto: ['proto', 'inet_proto'],
  nfproto: ['nfproto', 'nf_proto'],
  pkttype: ['pkttype', 'pkt_type'],
  protocol: ['ethertype', 'ether_type'],
  skuid: ['uid', 'uid'],
  skgid: ['gid', 'gid'],
};
const DEVICE: Readonly<Record<string, 'iif' | 'oif' | 'physin' | 'physout'>> = {
  iif: 'iif',
  iifname: 'iif',
  oif: 'oif',
  oifname: 'oif',
  ibrname: 'physin',
  obrname: 'physout',
};
const CT: Readonly<Record<string, readonly [Field, Datatype]>> = {
  state: ['ctstate', 'ct_state'],
  status: ['ctstatus', 'ct_status'],
  mark: ['ctmark', 'mark'],
  direction: ['ctdir', 'ct_dir'],
  zone: ['ctzone', 'integer'],
};
const META_TYPES: Readonly<Record<string, Datatype>> = { hour: 'hour', day: 'day', time: 'time', iiftype: 'iface_type', oiftype: 'iface_type' };

/** The datatypes of a set's key or value. */
export function typesOf(t: TypeSyntax | undefined, context: Pick<Context, 'family'>): readonly Datatype[] {
  if (!t) return [];
  if (t.kind === 'type') return t.names.map((n) => (n === 'cgroupsv2' ? 'string' : (n as Datatype)));
  const of = t.of.kind === 'concat' ? t.of.of : [t.of];
  return of.map((e) => typeOf(e, context));
}

/** The type of an expression, without what else it takes to compute it. */
export function typeOf(e: ExprSyntax, context: Pick<Context, 'family'>): Datatype {
  switch (e.kind) {
    case 'payload':
      return HEADERS[e.protocol]?.fields[e.field]?.type ?? 'integer';
    case 'meta':
      return e.key in DEVICE ? (e.key.endsWith('name') ? 'ifname' : 'iface_index') : (META[e.key]?.[1] ?? META_TYPES[e.key] ?? 'integer');
    case 'ct':
      if (CT[e.key]) return CT[e.key]![1];
      if (e.key === 'saddr' || e.key === 'daddr') return (e.family ?? context.family) === 'ip6' ? 'ipv6_addr' : 'ipv4_addr';
      if (e.key === 'proto-src' || e.key === 'proto-dst') return 'inet_service';
      return e.key === 'protocol'
        ? 'inet_proto'
        : e.key === 'l3proto'
          ? 'nf_proto'
          : e.key === 'label'
            ? 'ct_label'
            : e.key === 'helper'
              ? 'string'
              : 'integer';
    case 'fib':
      return e.result === 'type' ? 'fib_addrtype' : e.result === 'oifname' ? 'ifname' : 'iface_index';
    case 'rt':
      return e.key === 'nexthop' ? ((e.family ?? context.family) === 'ip6' ? 'ipv6_addr' : 'ipv4_addr') : 'integer';
    case 'binary':
      return typeOf(e.left, context);
    default:
      return 'integer';
  }
}

/** Lowers an expression that gives one value. */
export function lowerOperand(e: ExprSyntax, context: Context, wanted: Datatype = 'integer'): Lowered {
  const text = printExpression(e);
  const type = typeOf(e, context);
  const plain = (operand: Operand, guards: readonly Pred[] = [], as = type): Lowered => ({ operand, type: as, guards });
  switch (e.kind) {
    case 'value': {
      const value = valueOf(wanted, e.value);
      if (value === undefined) context.odd(`'${e.value}' is not known as a value of the type ${wanted}`);
      return plain(value === undefined ? hidden(text, 'what this word stands for is not known') : { kind: 'constant', value, text }, [], wanted);
    }
    case 'payload':
      return lowerPayload(e.protocol, e.field, text, context);
    case 'raw': {
      const base = { ll: 'link', nh: 'network', th: 'transport', ih: undefined }[e.base] as HeaderField['base'] | undefined;
      return plain(
        base && e.length <= 128
          ? { kind: 'payload', base, offset: e.offset, length: e.length, text }
          : hidden(text, 'the inner header is not modelled'),
      );
    }
    case 'meta': {
      const device = DEVICE[e.key];
      if (device) return plain({ kind: 'device', field: device, text });
      const field = META[e.key]?.[0];
      if (field) return plain({ kind: 'field', field, text });
      if (e.key === 'random') return plain({ kind: 'drawn', mod: 4294967296, offset: 0, by: 'random', text });
      return plain(hidden(text, META_TYPES[e.key] ? 'not given in the question' : `meta ${e.key} is not modelled`));
    }
    case 'ct': {
      if (e.key === 'l3proto') return plain({ kind: 'field', field: 'nfproto', text }, [TRACKED]);
      const known = e.direction === undefined ? CT[e.key] : undefined;
      if (known) return plain({ kind: 'field', field: known[0], text });
      const field = tupleField(e.key, e.direction);
      if (field === undefined) return plain(hidden(text, 'what this connection has of it is not captured'), [TRACKED]);
      const family = e.family ?? (context.family === 'ip' || context.family === 'ip6' ? context.family : undefined);
      return plain({ kind: 'field', field, text }, field.startsWith('ctorigs') && family ? ofFamily(context, NFPROTO[family]) : []);
    }
    case 'fib': {
      const side = e.flags.includes('saddr') ? 'src' : 'dst';
      const limit = e.flags.includes('iif') ? 'iif' : e.flags.includes('oif') ? 'oif' : undefined;
      const operand: Operand = {
        kind: 'fib',
        side,
        mark: e.flags.includes('mark'),
        ...(limit && { limit }),
        result: e.result === 'type' ? 'type' : 'device',
        text,
      };
      return plain(operand);
    }
    case 'numgen':
      return plain({ kind: 'drawn', mod: e.mod, offset: e.offset, by: e.mode, text });
    case 'hash':
      return plain({ kind: 'drawn', mod: e.mod, offset: e.offset, by: 'hash', text }, e.of ? lowerKey(e.of, context).flatMap((k) => k.guards) : []);
    case 'binary': {
      const left = lowerOperand(e.left, context, wanted);
      const right = lowerOperand(e.right, context, left.type);
      const width = Math.max(widthOf(left.type) || 32, 8);
      return {
        operand: { kind: 'bits', op: e.op, of: left.operand, by: right.operand, width, text },
        type: left.type,
        guards: [...left.guards, ...right.guards],
      };
    }
    case 'list': {
      // flags written as a list are one value: all their bits
      const bits = e.of.map((x) => (x.kind === 'value' ? valueOf(wanted, x.value) : undefined));
      const known = bits.every((b): b is number => typeof b === 'number');
      return plain(known ? { kind: 'constant', value: bits.reduce((a, b) => (a | b) >>> 0, 0), text } : hidden(text, 'not understood'), [], wanted);
    }
    case 'map': {
      const [only] = lowerMap(e, context, [wanted]);
      return only ?? plain(hidden(text, 'not understood'));
    }
    case 'exthdr':
    case 'option':
      return plain(hidden(text, 'what stands in its options and extension headers is not given'));
    case 'osf':
    case 'socket':
    case 'ipsec':
    case 'rt':
      return plain(hidden(text, `${text} is not modelled`));
    default:
      context.odd(`'${text}' is not understood here`);
      return plain(hidden(text, e.kind === 'opaque' ? e.why : 'not understood'));
  }
}

const TRACKED: Pred = { ...fieldIn('ctstatus', [0, 0xffffffff]), text: 'tracked' };

function tupleField(key: string, direction: 'original' | 'reply' | undefined): Field | undefined {
  const side = direction === 'reply' ? 'repl' : 'orig';
  switch (key) {
    case 'saddr':
    case 'daddr':
      return direction ? `ct${side}${key === 'saddr' ? 'src' : 'dst'}` : undefined;
    case 'proto-src':
    case 'proto-dst':
      return direction ? `ct${side}${key === 'proto-src' ? 'src' : 'dst'}port` : undefined;
    case 'protocol':
      return 'ctproto';
    default:
      return undefined;
  }
}

function lowerPayload(protocol: string, field: string, text: string, context: Context): Lowered {
  const found = HEADERS[protocol]?.fields[field];
  if (!found) {
    context.odd(`the header field '${text}' is not known`);
    return { operand: hidden(text, 'the header field is not known'), type: 'integer', guards: [] };
  }
  const { nfproto, proto } = HEADERS[protocol]!.needs ?? {};
  const guards: Pred[] = [
    ...(nfproto === undefined ? [] : ofFamily(context, nfproto)),
    ...(proto === undefined ? [] : [{ ...fieldIn('proto', [proto, proto]), text: `meta l4proto ${protocol === 'icmpv6' ? 'ipv6-icmp' : protocol}` }]),
  ];
  const types = ICMP_FIELD_TYPES[`${protocol} ${field}`];
  if (types) guards.push({ ...fieldIn('icmp', ...types.map((t): [number, number] => [t * 256, t * 256 + 255])), text: `${protocol} type` });
  const { base, offset, length, type } = found;
  const operand: Operand = found.field === undefined ? { kind: 'payload', base, offset, length, text } : { kind: 'field', field: found.field, text };
  return { operand, type, guards };
}

/** The components of a key: a concatenation's, or the one there is. */
export function lowerKey(e: ExprSyntax, context: Context, types: readonly Datatype[] = []): readonly Lowered[] {
  return (e.kind === 'concat' ? e.of : [e]).map((part, i) => lowerOperand(part, context, types[i]));
}

/** `KEY map DATA`: one operand for each component of its values. */
export function lowerMap(e: ExprSyntax & { kind: 'map' }, context: Context, wanted: readonly Datatype[]): Lowered[] {
  const of = e.data.kind === 'reference' ? context.sets[e.data.name] : undefined;
  const keys = lowerKey(e.key, context, of?.types);
  const map = referTo(
    e.data,
    context,
    keys.map((k) => k.type),
    wanted,
  );
  if (map === undefined) return [];
  const key = keys.map((k) => k.operand);
  const guards = keys.flatMap((k) => k.guards);
  const types = of?.data ?? wanted;
  return types.map((type, part) => ({ operand: { kind: 'map', key, map, part, text: printExpression(e) }, type, guards }));
}

/** A set by its name, or one that stands in the rule. */
export function referTo(e: ExprSyntax, context: Context, key: readonly Datatype[], data: readonly Datatype[] = []): SetReference | undefined {
  if (e.kind === 'reference') return e.name;
  if (e.kind === 'set') return context.anonymous(e, key, data);
  context.odd(`'${printExpression(e)}' is no set`);
  return undefined;
}

/** The values that an expression on the right stands for; undefined where a word of it is not known. */
export function rangeOf(e: ExprSyntax, type: Datatype): ValueRange | undefined {
  switch (e.kind) {
    case 'value': {
      const value = valueOf(type, e.value);
      return value === undefined ? undefined : [value, value];
    }
    case 'range': {
      const [from, to] = [rangeOf(e.from, type), rangeOf(e.to, type)];
      return from && to ? [from[0], to[1]] : undefined;
    }
    case 'prefix': {
      const from = rangeOf(e.addr, type)?.[0];
      return from === undefined || typeof from === 'string' ? undefined : prefixRange(from, e.length, widthOf(type));
    }
    case 'list': {
      const bits = e.of.map((x) => rangeOf(x, type)?.[0]);
      if (!bits.every((b): b is number => typeof b === 'number')) return undefined;
      const sum = bits.reduce((a, b) => (a | b) >>> 0, 0);
      return [sum, sum];
    }
    case 'binary': {
      const value = constantOf(e, type);
      return value === undefined ? undefined : [value, value];
    }
    default:
      return undefined;
  }
}

/** The number that an expression of constants comes to: `fin | syn`, `1 << 3`. */
export function constantOf(e: ExprSyntax, type: Datatype): number | undefined {
  if (e.kind === 'binary') {
    const [a, b] = [constantOf(e.left, type), constantOf(e.right, type)];
    if (a === undefined || b === undefined) return undefined;
    return compute(e.op, a, b);
  }
  const value = rangeOf(e, type);
  return value && typeof value[0] === 'number' && value[0] === value[1] ? value[0] : undefined;
}

export function compute(op: '&' | '|' | '^' | '<<' | '>>', a: number, b: number): number {
  switch (op) {
    case '&':
      return (a & b) >>> 0;
    case '|':
      return (a | b) >>> 0;
    case '^':
      return (a ^ b) >>> 0;
    case '<<':
      return b > 31 ? 0 : (a << b) >>> 0;
    case '>>':
      return b > 31 ? 0 : a >>> b;
  }
}

function prefixRange(from: number | readonly [number, number, number, number], length: number, width: number): ValueRange {
  if (typeof from === 'number') {
    const host = width - length >= 32 ? 0xffffffff : (2 ** (width - length) - 1) >>> 0;
    return [(from & ~host) >>> 0, (from | host) >>> 0];
  }
  const skip = 128 - width; // an address of 48 bits lies at the end of its words
  const mask = [0, 1, 2, 3].map((i) => {
    const bits = Math.min(32, Math.max(0, skip + length - i * 32));
    return bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
  });
  const word = (f: (w: number, m: number) => number): readonly [number, number, number, number] =>
    from.map((w, i) => f(w, mask[i]!) >>> 0) as unknown as readonly [number, number, number, number];
  return [word((w, m) => w & m), word((w, m) => w | ~m)];
}

/** Every value of `ct state`: one bit each. */
export const CT_STATES = Object.values(CT_STATE_BIT);
