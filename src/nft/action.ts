// What the statements of nft do, as statements of the model.
import type { Operand } from '../model/operand.ts';
import type { AssignedField, NatRange, Statement } from '../model/ruleset.ts';
import type { ConntrackSettings } from '../model/zone.ts';
import type { Addr } from '../net/addr.ts';
import type { Datatype } from './datatype.ts';
import { HEADERS } from './header.ts';
import { lowerKey, lowerMap, lowerOperand, rangeOf, referTo, type Context, type Lowered } from './operand.ts';
import { printStatement } from './print.ts';
import { printExpression } from './printexpr.ts';
import { guardFamily } from './relation.ts';
import type { ElementSyntax, ExprSyntax, StatementSyntax } from './syntax.ts';

type Of<K extends StatementSyntax['kind']> = StatementSyntax & { readonly kind: K };

/** A statement that is no comparison; conditions that nft adds to it stand before it. */
export function lowerStatement(s: Exclude<StatementSyntax, { kind: 'match' }>, context: Context): Statement[] {
  const as = printStatement(s);
  const note: Statement = { kind: 'note', as };
  switch (s.kind) {
    case 'counter':
    case 'last':
      return [];
    case 'log':
    case 'flow':
    case 'dup':
    case 'reset':
      return [note];
    case 'object':
      return s.of === 'ct helper' || s.of === 'ct timeout' || s.of === 'secmark' ? [note] : [{ kind: 'opaque', as, why: `${s.of} is not modelled` }];
    case 'verdict':
      if (s.verdict === 'jump' || s.verdict === 'goto') return [{ kind: s.verdict, chain: s.chain }];
      return s.verdict === 'continue' ? [] : [{ kind: 'verdict', verdict: s.verdict }];
    case 'queue':
      if (s.flags.includes('bypass'))
        return [
          { kind: 'gate', as, claim: 'the program behind the queue accepts the packet, or there is none' },
          { kind: 'verdict', verdict: 'accept' },
        ];
      return [
        { kind: 'gate', as, claim: 'a program behind the queue accepts the packet' },
        { kind: 'verdict', verdict: 'accept' },
      ];
    case 'reject':
      return lowerReject(s, context);
    case 'notrack':
      return [{ kind: 'notrack' }];
    case 'vmap': {
      const keys = lowerKey(s.key, context, s.data.kind === 'reference' ? context.sets[s.data.name]?.types : undefined);
      const map = referTo(
        s.data,
        context,
        keys.map((k) => k.type),
        ['verdict'],
      );
      if (map === undefined) return [{ kind: 'opaque', as, why: 'the map is not understood' }];
      return [...conditions(keys), { kind: 'vmap', key: keys.map((k) => k.operand), map, text: as }];
    }
    case 'assign':
      return lowerAssign(s, as, context);
    case 'nat':
      return lowerNat(s, as, context);
    case 'element':
      return lowerElement(s, as, context);
    case 'limit':
    case 'quota':
    case 'connlimit':
      return [{ kind: 'if', pred: { kind: 'opaque', as, why: METERS[s.kind], claim: meterClaim(s, as), text: as } }];
    case 'tproxy':
      return [
        ...guardFamily(s.family, context).map((pred): Statement => ({ kind: 'if', pred })),
        { kind: 'gate', as, claim: 'a transparent socket takes the packet' },
      ];
    case 'synproxy':
      return [{ kind: 'opaque', as, why: 'the kernel answers in place of the server' }];
    case 'fwd':
      return [{ kind: 'opaque', as, why: 'the packet is sent by another device there' }];
    case 'xt':
      // a comment is a match of iptables that always holds; of a listing in words nobody knows even which it is
      if (s.name === 'comment') return [];
      return s.type === 'match'
        ? [{ kind: 'if', pred: { kind: 'opaque', as: xtWords(s), why: XT, text: xtWords(s) } }]
        : [{ kind: 'opaque', as: xtWords(s), why: XT }];
    case 'opaque':
      return [{ kind: 'opaque', as: s.words, why: s.why }];
  }
}

const XT = 'nft does not show what iptables put here: capture iptables-nft-save';
const METERS = {
  limit: 'depends on the packets before it',
  quota: 'how much of the quota is used up is not captured',
  connlimit: 'depends on the other connections of the host',
} as const;

function xtWords(s: Of<'xt'>): string {
  return `xt ${s.type}${s.name === undefined ? '' : ` ${s.name}`}`;
}

function meterClaim(s: Of<'limit' | 'quota' | 'connlimit'>, as: string): string {
  switch (s.kind) {
    case 'limit':
      return s.over ? `the rate is exceeded: ${as} (not captured)` : `the rate is not exceeded: ${as} (not captured)`;
    case 'quota':
      return `the quota of ${s.bytes} bytes is ${s.over ? 'used up' : 'not used up'} (not captured)`;
    case 'connlimit':
      return `there are ${s.over ? 'more than' : 'at most'} ${s.count} such connections (not captured)`;
  }
}

function conditions(of: readonly Lowered[]): Statement[] {
  return of.flatMap((l) => l.guards.map((pred): Statement => ({ kind: 'if', pred })));
}

const ICMP4: Readonly<Record<string, string>> = {
  'net-unreachable': 'icmp-net-unreachable',
  'host-unreachable': 'icmp-host-unreachable',
  'prot-unreachable': 'icmp-proto-unreachable',
  'port-unreachable': 'icmp-port-unreachable',
  'net-prohibited': 'icmp-net-prohibited',
  'host-prohibited': 'icmp-host-prohibited',
  'admin-prohibited': 'icmp-admin-prohibited',
};
const ICMP6: Readonly<Record<string, string>> = {
  'no-route': 'icmp6-no-route',
  'admin-prohibited': 'icmp6-adm-prohibited',
  'addr-unreachable': 'icmp6-addr-unreachable',
  'port-unreachable': 'icmp6-port-unreachable',
  'policy-fail': 'icmp6-policy-fail',
  'reject-route': 'icmp6-reject-route',
};

function lowerReject(s: Of<'reject'>, context: Context): Statement[] {
  const { family } = context;
  const code = s.code === undefined ? 'port-unreachable' : printExpression(s.code);
  const type = s.type ?? (family === 'ip' ? 'icmp' : family === 'ip6' ? 'icmpv6' : 'icmpx');
  switch (type) {
    case 'tcp reset':
      return [
        { kind: 'if', pred: { kind: 'in', field: 'proto', ranges: [[6, 6]], text: 'meta l4proto tcp' } },
        { kind: 'reject', with: 'tcp-reset' },
      ];
    case 'icmpx':
      return [{ kind: 'reject', with: `icmpx-${code}` }];
    case 'icmp':
    case 'icmpv6': {
      const guard = guardFamily(type === 'icmp' ? 'ip' : 'ip6', context).map((pred): Statement => ({ kind: 'if', pred }));
      return [...guard, { kind: 'reject', with: (type === 'icmp' ? ICMP4 : ICMP6)[code] ?? `${type} code ${code}` }];
    }
  }
}

/** Header fields, marks and what conntrack is told; the rest changes nothing that netwhy follows, or is not modelled. */
function lowerAssign(s: Of<'assign'>, as: string, context: Context): Statement[] {
  const { to } = s;
  const give = (field: AssignedField, type: Datatype): Statement[] => {
    const guards = to.kind === 'payload' ? lowerOperand(to, context).guards : [];
    const value = lowerOperand(s.value, context, type);
    return [
      ...guards.map((pred): Statement => ({ kind: 'if', pred })),
      ...conditions([value]),
      { kind: 'assign', to: field, value: value.operand, text: as },
    ];
  };
  if (to.kind === 'meta') {
    if (to.key === 'mark') return give('mark', 'mark');
    if (to.key === 'pkttype') return give('pkttype', 'pkt_type');
    return [{ kind: 'note', as }];
  }
  if (to.kind === 'ct') {
    if (to.key === 'mark') return give('ctmark', 'mark');
    if (to.key === 'zone') {
      const zone = lowerOperand(s.value, context).operand;
      if (zone.kind !== 'constant' || typeof zone.value !== 'number')
        return to.direction ? [{ kind: 'opaque', as, why: 'a computed zone of one direction is not modelled' }] : give('ctzone', 'integer');
      const settings: ConntrackSettings = { kind: 'ct', zone: zone.value, late: true, ...(to.direction && { side: to.direction }) };
      return [settings];
    }
    return [{ kind: 'note', as }];
  }
  if (to.kind === 'payload') {
    const field = HEADERS[to.protocol]?.fields[to.field];
    const known = field?.field;
    if (known === 'ttl' || known === 'src' || known === 'dst' || known === 'sport' || known === 'dport') return give(known, field!.type);
    if (to.field === 'dscp' || to.field === 'ecn') return give(to.field, to.field);
    if (to.protocol === 'tcp' && to.field === 'flags') return give('flags', 'tcp_flag');
    // what no question tells of a packet stays as open as it was
    if (UNTOLD.has(to.field)) return [{ kind: 'note', as }];
    return [{ kind: 'opaque', as, why: 'writing this header field is not modelled' }];
  }
  // an option of TCP is between the ends of the connection
  return [{ kind: 'note', as }];
}

const UNTOLD = new Set(['id', 'frag-off', 'flowlabel', 'checksum', 'sequence', 'ackseq', 'window', 'urgptr', 'vtag']);

function lowerNat(s: Of<'nat'>, as: string, context: Context): Statement[] {
  const guard = guardFamily(s.family, context).map((pred): Statement => ({ kind: 'if', pred, idle: true }));
  const range: NatRange = {
    ...(s.flags.includes('fully-random') ? { random: 'fully' as const } : s.flags.includes('random') ? { random: 'random' as const } : {}),
    ...(s.flags.includes('persistent') && { persistent: true }),
  };
  const family = s.family ?? (context.family === 'ip' || context.family === 'ip6' ? context.family : undefined);
  const addrType: Datatype =
    family === 'ip6' || (family === undefined && s.addr && printExpression(s.addr).includes(':')) ? 'ipv6_addr' : 'ipv4_addr';
  const addrs = s.addr && constantRange(s.addr, addrType);
  const ports = s.port && constantRange(s.port, 'inet_service');
  if ((!s.addr || addrs) && (!s.port || ports) && s.form !== 'prefix' && s.form !== 'concat') {
    const to: NatRange = {
      ...range,
      ...(addrs && { addrs: addrs as readonly [Addr, Addr] }),
      ...(ports && { ports: ports as readonly [number, number] }),
    };
    return [...guard, { kind: s.type, ...to }];
  }
  if (s.form === 'prefix' && s.addr?.kind === 'prefix' && !s.port) {
    const addr = rangeOf(s.addr.addr, addrType)?.[0];
    if (addr !== undefined && typeof addr !== 'string') return [...guard, { kind: 'netmap', to: { addr: addr as Addr, length: s.addr.length } }];
  }
  const [addr, port] = natOperands(s, addrType, context);
  const of = [addr, port].filter((l) => l !== undefined);
  const only = (l: Lowered | undefined): Operand | undefined => l?.operand;
  return [
    ...guard,
    ...conditions(of),
    {
      kind: 'translate',
      by: s.type,
      ...(addr && { addr: only(addr)! }),
      ...(port && { port: only(port)! }),
      range,
      ...(s.form === 'prefix' && { prefix: true }),
      text: as,
    },
  ];
}

/** Address and port, which one map may give together (`addr . port`). */
function natOperands(s: Of<'nat'>, addrType: Datatype, context: Context): readonly (Lowered | undefined)[] {
  const given = (e: ExprSyntax | undefined, types: readonly Datatype[]): (Lowered | undefined)[] => {
    if (!e) return types.map(() => undefined);
    if (e.kind === 'map') return lowerMap(e, context, types);
    if (e.kind === 'concat') return e.of.map((part, i) => lowerOperand(part, context, types[i]));
    return [lowerOperand(e, context, types[0])];
  };
  if (s.addr?.kind === 'map' && !s.port) {
    // whether the map gives ports too, its type says; of a map in the rule its values
    const { data } = s.addr;
    const named = data.kind === 'reference' ? context.sets[data.name]?.data : undefined;
    const both = s.form === 'concat' || (named ? named.length > 1 : data.kind === 'set' && data.elements.some((x) => x.data?.kind === 'concat'));
    return given(s.addr, both ? [addrType, 'inet_service'] : [addrType]);
  }
  if (s.form === 'concat') return given(s.addr, [addrType, 'inet_service']);
  return [given(s.addr, [addrType])[0], given(s.port, ['inet_service'])[0]];
}

function constantRange(e: ExprSyntax, type: Datatype): readonly [unknown, unknown] | undefined {
  const range = e.kind === 'value' || e.kind === 'range' || e.kind === 'prefix' ? rangeOf(e, type) : undefined;
  return range && typeof range[0] !== 'string' ? range : undefined;
}

function lowerElement(s: Of<'element'>, as: string, context: Context): Statement[] {
  const of = context.sets[s.set];
  if (!of && s.meter !== undefined) {
    // nft does not list the set of a meter: what it holds of the packet's key decides
    const gate = gateOf(s.element) ?? as;
    return [...conditions(lowerKey(s.element.key, context)), { kind: 'if', pred: { kind: 'opaque', as, why: METERS.limit, claim: gate, text: as } }];
  }
  if (!of) {
    context.odd(`there is no set ${s.set} in the table`);
    return [{ kind: 'opaque', as, why: `there is no set ${s.set} in the table` }];
  }
  const keys = lowerKey(s.element.key, context, of.types);
  const data = s.element.data ? lowerKey(s.element.data, context, of.data) : undefined;
  const gate = gateOf(s.element) ?? of.syntax.then.map(mayEnd).find((x) => x !== undefined);
  return [
    ...conditions([...keys, ...(data ?? [])]),
    {
      kind: 'element',
      op: s.op,
      set: s.set,
      key: keys.map((k) => k.operand),
      ...(data && { data: data.map((d) => d.operand) }),
      ...(gate !== undefined && { gate }),
      text: as,
    },
  ];
}

/** A statement of an element that may end the rule. */
export function gateOf(e: ElementSyntax): string | undefined {
  return (e.then ?? []).map(mayEnd).find((x) => x !== undefined);
}

function mayEnd(s: StatementSyntax): string | undefined {
  return s.kind === 'limit' || s.kind === 'quota' || s.kind === 'connlimit' ? meterClaim(s, printStatement(s)) : undefined;
}
