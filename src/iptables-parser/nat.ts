// The targets that translate addresses and ports.
import { familyOf, formatAddr, type Addr, type Prefix } from '../net/addr.ts';
import { DCCP, ICMP, ICMPV6, parsePort, SCTP, TCP, UDP, UDPLITE } from '../net/proto.ts';
import type { NatRange, Statement } from '../model/ruleset.ts';
import { has, option, target, valueOf, type Context, type Option, type Options } from './extension.ts';
import { addressRange, isBad, network, nothing, range, type Bad, type Span2, type Value } from './value.ts';

/** What --to-source and --to-destination say. `base` is the port that the first of `ports` stands for (port shifting). */
interface To {
  readonly addrs?: readonly [Addr, Addr];
  readonly ports?: Span2;
  readonly base?: number;
}

const port = (t: string): number | undefined => parsePort(t);
const ports: Value<Span2> = range('PORT[-PORT]', 65535, '-', false, port);

// parse_to(), extensions/libxt_NAT.c: `ADDR[-ADDR][:PORT[-PORT]]`, IPv6 addresses with ports in brackets.
const to: Value<To> = {
  shape: '[ADDR[-ADDR]][:PORT[-PORT]]',
  read: (t = ''): To | Bad => {
    const [addrText, portText, column] = split(t);
    const addrs = addrText === '' ? undefined : addressRange.read(addrText);
    if (isBad(addrs)) return { ...addrs, column: (addrs.column ?? 0) + (t.startsWith('[') ? 1 : 0) };
    if (portText === undefined) return addrs ? { addrs } : { error: 'neither address nor port' };
    const [rangeText = '', baseText] = portText.split('/');
    const read = ports.read(rangeText);
    if (isBad(read)) return { ...read, column: column + (read.column ?? 0) };
    const base = baseText === undefined ? undefined : port(baseText);
    if (baseText !== undefined && base === undefined) return { error: `'${baseText}' is not a port`, column: column + rangeText.length + 1 };
    return { ...(addrs && { addrs }), ports: read, ...(base !== undefined && { base }) };
  },
  print: (v) => {
    const addrs = v.addrs && (formatAddr(v.addrs[0]) === formatAddr(v.addrs[1]) ? formatAddr(v.addrs[0]) : addressRange.print(v.addrs));
    if (!v.ports) return addrs ?? '';
    const boxed = addrs?.includes(':') ? `[${addrs}]` : (addrs ?? '');
    return `${boxed}:${ports.print(v.ports).replace(':', '-')}${v.base === undefined ? '' : `/${v.base}`}`;
  },
};

/** Address text, port text if there is any, and the column of the latter. */
function split(t: string): readonly [addr: string, port: string | undefined, column: number] {
  if (t.startsWith('[')) {
    const close = t.indexOf(']');
    if (close < 0) return [t, undefined, 0];
    return [t.slice(1, close), t[close + 1] === ':' ? t.slice(close + 2) : undefined, close + 2];
  }
  const colon = t.indexOf(':');
  if (colon < 0 || t.indexOf(':', colon + 1) >= 0) return [t, undefined, 0];
  return [t.slice(0, colon), t.slice(colon + 1), colon + 1];
}

const RANDOM = option('--random', { value: nothing });
const FULLY = option('--random-fully', { value: nothing });
const PERSISTENT = option('--persistent', { value: nothing });
const TO_PORTS = option('--to-ports', { value: ports, aliases: ['--to-port'] });
const PORT_PROTOCOLS: readonly number[] = [TCP, UDP, SCTP, DCCP, UDPLITE, ICMP, ICMPV6];

function lowerRange(o: Options, name: string): NatRange {
  const v = valueOf<To>(o, name);
  const p = v?.ports ?? valueOf<Span2>(o, '--to-ports');
  const random = has(o, '--random-fully') ? 'fully' : has(o, '--random') ? 'random' : undefined;
  return {
    ...(v?.addrs && { addrs: v.addrs }),
    ...(p && { ports: p }),
    ...(random && { random }),
    ...(has(o, '--persistent') && { persistent: true }),
  };
}

function checkRange(o: Options, name: string, { family, protocol }: Context): Bad | undefined {
  const v = valueOf<To>(o, name);
  if (v?.addrs && familyOf(v.addrs[0]) !== family) return { error: `${to.print(v)} is not of IPv${family}` };
  const p = v?.ports ?? valueOf<Span2>(o, '--to-ports');
  return p && (protocol === undefined || !PORT_PROTOCOLS.includes(protocol))
    ? { error: 'ports can be translated only with a protocol that has them', hint: 'add -p tcp, -p udp, ...' }
    : undefined;
}

function checkChain({ chain }: Context, name: string, hooks: readonly string[]): Bad | undefined {
  return /^(PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)$/.test(chain) && !hooks.includes(chain)
    ? { error: `${name} cannot stand in ${chain}`, hint: `it belongs in ${hooks.join(' or ')}` }
    : undefined;
}

const translation = (name: 'DNAT' | 'SNAT', flag: string, hooks: readonly string[], summary: string, more: readonly Option[]) =>
  target({
    name,
    tables: ['nat'],
    summary,
    options: [option(flag, { value: to, required: true }), RANDOM, ...more, PERSISTENT],
    check: (o, context) => checkChain(context, name, hooks) ?? checkRange(o, flag, context),
    lower: (o): readonly Statement[] => {
      const base = valueOf<To>(o, flag)?.base;
      return [{ kind: name === 'DNAT' ? 'dnat' : 'snat', ...lowerRange(o, flag), ...(base !== undefined && { base }) }];
    },
  });

/** -j DNAT */
export const DNAT = translation('DNAT', '--to-destination', ['PREROUTING', 'OUTPUT'], 'Translates the destination.', []);
/** -j SNAT */
export const SNAT = translation('SNAT', '--to-source', ['POSTROUTING', 'INPUT'], 'Translates the source.', [FULLY]);

/** -j MASQUERADE */
export const MASQUERADE = target({
  name: 'MASQUERADE',
  tables: ['nat'],
  summary: 'Translates the source to an address of the device the packet leaves by.',
  options: [TO_PORTS, RANDOM, FULLY],
  check: (o, context) => checkChain(context, 'MASQUERADE', ['POSTROUTING']) ?? checkRange(o, '', context),
  lower: (o) => [{ kind: 'masquerade', ...lowerRange(o, '') }],
});

/** -j REDIRECT */
export const REDIRECT = target({
  name: 'REDIRECT',
  tables: ['nat'],
  summary: 'Translates the destination to the host itself.',
  options: [TO_PORTS, RANDOM],
  check: (o, context) => checkChain(context, 'REDIRECT', ['PREROUTING', 'OUTPUT']) ?? checkRange(o, '', context),
  lower: (o) => [{ kind: 'redirect', ...lowerRange(o, '') }],
});

/** -j NETMAP */
export const NETMAP = target({
  name: 'NETMAP',
  tables: ['nat'],
  summary: 'Translates a whole network to another, keeping the host part.',
  options: [option('--to', { value: network, required: true })],
  check: (o, { family }) => (familyOf(valueOf<Prefix>(o, '--to')!.addr) === family ? undefined : { error: `the network is not of IPv${family}` }),
  lower: (o) => [{ kind: 'netmap', to: valueOf<Prefix>(o, '--to')! }],
});
