// What a rule says without any -m: -s -d -i -o -p -f. And the matches on addresses, devices and the link layer.
import { familyOf, maskLength, type Addr, type Masked } from '../net/addr.ts';
import { formatProtocol } from '../net/proto.ts';
import { ADDR_TYPE, PKT_TYPE, type Pred } from '../model/ruleset.ts';
import { has, match, option, valueOf, type Option } from './extension.ts';
import { addrIn, ALWAYS, fieldIn, negate, protocolIn } from './predicate.ts';
import { address, addressRange, bits, nothing, oneOf, protocol, type Value } from './value.ts';

const device: Value<string> = {
  shape: 'DEVICE[+]',
  read: (t = '') =>
    t.length > 15
      ? { error: `'${t}' is longer than the 15 characters of a device name`, column: 15 }
      : t === ''
        ? { error: 'an empty device name' }
        : t,
  print: (t) => t,
};

// xtables_parse_protocol(): a number, a name of the own list, or one of /etc/protocols.
const protocolName: Value<number> = { ...protocol, print: formatProtocol };

/** One address or, as a person may write it, several: `-s 10.0.0.1,10.0.0.2` makes as many rules. */
const addresses: Value<readonly Masked[]> = {
  shape: 'ADDR[/MASK]',
  read: (t = '') => {
    const out: Masked[] = [];
    let column = 0;
    for (const part of t.split(',')) {
      const one = address.read(part);
      if ('error' in one) {
        const name = /^[a-z_][\w.-]*$/i.test(part) && !/^[\da-f:.]*$/i.test(part);
        return {
          error: name ? `'${part}' is a host name, which was looked up when the rule was made` : one.error,
          column: column + (name ? 0 : (one.column ?? 0)),
        };
      }
      out.push(one);
      column += part.length + 1;
    }
    return out;
  },
  print: (list) => list.map((a) => address.print(a)).join(','),
};

const isAny = (list: readonly Masked[]): boolean => list.every((a) => maskLength(a.mask) === 0);

const addressOption = (name: '-s' | '-d', aliases: readonly string[], side: 'src' | 'dst'): Option =>
  option(name, {
    value: addresses,
    aliases,
    negatable: true,
    silent: isAny,
    lower: (list) => (list.length === 1 ? (isAny(list) ? ALWAYS : addrIn(side, list[0]!)) : { kind: 'any', of: list.map((a) => addrIn(side, a)) }),
  });

// `+` alone compares no character, so it is true even where there is no such device.
const deviceOption = (name: '-i' | '-o', aliases: readonly string[], field: 'iif' | 'oif'): Option =>
  option(name, {
    value: device,
    aliases,
    negatable: true,
    silent: (glob) => glob === '+',
    lower: (glob) => (glob === '+' ? ALWAYS : { kind: 'name', field, glob }),
  });

// ip_packet_match(), net/ipv4/netfilter/ip_tables.c: source, destination, devices, protocol, fragment.
/** The conditions of a rule that need no `-m`. */
export const standard = match({
  name: '',
  summary: 'Addresses, devices, protocol and fragment: -s -d -i -o -p -f.',
  options: [
    addressOption('-s', ['--source', '--src'], 'src'),
    addressOption('-d', ['--destination', '--dst'], 'dst'),
    deviceOption('-i', ['--in-interface'], 'iif'),
    deviceOption('-o', ['--out-interface'], 'oif'),
    option('-p', {
      value: protocolName,
      aliases: ['--protocol', '--proto'],
      negatable: true,
      silent: (n) => n === 0,
      lower: (n) => (n === 0 ? ALWAYS : protocolIn('proto', n)),
    }),
    option('-f', { value: nothing, aliases: ['--fragment', '--fragments'], negatable: true, lower: () => fieldIn('fragment', [1, 1]) }),
  ],
  check: (given, { family, chain }) => {
    for (const side of ['-s', '-d']) {
      const wrong = valueOf<readonly Masked[]>(given, side)?.find((a) => familyOf(a.addr) !== family);
      if (wrong)
        return { error: `${address.print(wrong)} is no IPv${family} address`, hint: `this is an ${family === 4 ? 'iptables' : 'ip6tables'} rule` };
    }
    if (given['-p']?.not && given['-p'].value === 0) return { error: '! -p all would never match' };
    if (has(given, '-f') && family === 6) return { error: '-f is of IPv4 only', hint: 'use -m frag' };
    if (has(given, '-i') && (chain === 'OUTPUT' || chain === 'POSTROUTING')) return { error: `-i cannot be used in ${chain}` };
    if (has(given, '-o') && (chain === 'INPUT' || chain === 'PREROUTING')) return { error: `-o cannot be used in ${chain}` };
    return undefined;
  },
});

const addressTypes = bits('TYPE[,TYPE...]', ADDR_TYPE);

// addrtype_mt_v1(), net/netfilter/xt_addrtype.c
/** -m addrtype */
export const addrtype = match({
  name: 'addrtype',
  summary: 'What kind of address the source or destination is by the routing tables: LOCAL, UNICAST, BROADCAST, ...',
  options: [
    option('--src-type', { value: addressTypes, negatable: true }),
    option('--dst-type', { value: addressTypes, negatable: true }),
    option('--limit-iface-in', { value: nothing }),
    option('--limit-iface-out', { value: nothing }),
  ],
  check: (o, { chain }) => {
    if (!has(o, '--src-type') && !has(o, '--dst-type')) return { error: 'addrtype needs --src-type or --dst-type' };
    if (has(o, '--limit-iface-in') && has(o, '--limit-iface-out')) return { error: '--limit-iface-in and --limit-iface-out exclude each other' };
    if (has(o, '--limit-iface-in') && (chain === 'OUTPUT' || chain === 'POSTROUTING'))
      return { error: `--limit-iface-in cannot be used in ${chain}` };
    if (has(o, '--limit-iface-out') && (chain === 'INPUT' || chain === 'PREROUTING'))
      return { error: `--limit-iface-out cannot be used in ${chain}` };
    return undefined;
  },
  lower: (o) => {
    const limit = has(o, '--limit-iface-in') ? ('iif' as const) : has(o, '--limit-iface-out') ? ('oif' as const) : undefined;
    const suffix = limit === 'iif' ? ' --limit-iface-in' : limit === 'oif' ? ' --limit-iface-out' : '';
    const parts: Pred[] = [];
    for (const side of ['src', 'dst'] as const) {
      const g = o[`--${side}-type`];
      if (!g) continue;
      const types = g.value as number;
      const pred: Pred = { kind: 'addrtype', side, types, ...(limit && { limit }) };
      parts.push({ ...(g.not ? negate(pred) : pred), text: `${g.not ? '! ' : ''}--${side}-type ${addressTypes.print(types)}${suffix}` });
    }
    return parts;
  },
});

const rangeOption = (name: string, field: 'src' | 'dst'): Option =>
  option(name, { value: addressRange, negatable: true, lower: ([lo, hi]) => fieldIn(field, [lo, hi]) });

/** -m iprange */
export const iprange = match({
  name: 'iprange',
  summary: 'A range of source or destination addresses.',
  options: [rangeOption('--src-range', 'src'), rangeOption('--dst-range', 'dst')],
  check: (o, { family }) => {
    if (!has(o, '--src-range') && !has(o, '--dst-range')) return { error: 'iprange needs --src-range or --dst-range' };
    const wrong = [o['--src-range'], o['--dst-range']].some((g) => g && familyOf((g.value as readonly [Addr, Addr])[0]) !== family);
    return wrong ? { error: `the range is not of IPv${family}` } : undefined;
  },
});

// rpfilter_mt(), net/ipv4/netfilter/ipt_rpfilter.c
/** -m rpfilter */
export const rpfilter = match({
  name: 'rpfilter',
  summary: 'Whether the route back to the source leaves by the device the packet came in on.',
  tables: ['raw', 'mangle'],
  options: [
    option('--loose', { value: nothing }),
    option('--validmark', { value: nothing }),
    option('--accept-local', { value: nothing }),
    option('--invert', { value: nothing }),
  ],
  check: (_, { chain }) =>
    ['INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'].includes(chain) ? { error: 'rpfilter works in PREROUTING only' } : undefined,
  lower: (o) => {
    const pred: Pred = { kind: 'rpfilter', loose: has(o, '--loose'), validMark: has(o, '--validmark'), acceptLocal: has(o, '--accept-local') };
    return [has(o, '--invert') ? negate(pred) : pred];
  },
});

type Hardware = readonly [0, 0, hi: number, lo: number];

const hardware: Value<Hardware> = {
  shape: 'aa:bb:cc:dd:ee:ff',
  read: (t = '') => {
    if (!/^[\da-f]{1,2}(:[\da-f]{1,2}){5}$/i.test(t)) return { error: `'${t}' is not a link-layer address of six bytes in hexadecimal` };
    const b = t.split(':').map((x) => parseInt(x, 16));
    return [0, 0, b[0]! * 256 + b[1]!, ((b[2]! << 24) | (b[3]! << 16) | (b[4]! << 8) | b[5]!) >>> 0];
  },
  print: ([, , hi, lo]) =>
    [hi >>> 8, hi & 255, lo >>> 24, (lo >>> 16) & 255, (lo >>> 8) & 255, lo & 255].map((x) => x.toString(16).padStart(2, '0')).join(':'),
};

/** -m mac */
export const mac = match({
  name: 'mac',
  summary: 'The link-layer source address.',
  options: [option('--mac-source', { value: hardware, negatable: true, required: true, lower: (w) => fieldIn('macsrc', [w, w]) })],
  check: (_, { chain }) => (chain === 'OUTPUT' || chain === 'POSTROUTING' ? { error: `mac cannot be used in ${chain}` } : undefined),
});

/** -m pkttype */
export const pkttype = match({
  name: 'pkttype',
  summary: 'Whether the frame came to us, to everybody or to a group.',
  options: [
    option('--pkt-type', {
      value: oneOf('unicast|broadcast|multicast', ['unicast', 'broadcast', 'multicast']),
      negatable: true,
      required: true,
      lower: (t) => fieldIn('pkttype', [PKT_TYPE[t], PKT_TYPE[t]]),
    }),
  ],
});

const portOption = (name: string, field: 'physin' | 'physout'): Option =>
  option(name, { value: device, negatable: true, lower: (glob) => ({ kind: 'name', field, glob }) });
const bridgedOption = (name: string, port: 'in' | 'out' | 'both'): Option =>
  option(name, { value: nothing, negatable: true, lower: () => ({ kind: 'bridged', port }) });

// physdev_mt(), net/netfilter/xt_physdev.c
/** -m physdev */
export const physdev = match({
  name: 'physdev',
  summary: 'The bridge ports a bridged packet came in on and leaves by.',
  options: [
    bridgedOption('--physdev-is-in', 'in'),
    portOption('--physdev-in', 'physin'),
    bridgedOption('--physdev-is-out', 'out'),
    portOption('--physdev-out', 'physout'),
    bridgedOption('--physdev-is-bridged', 'both'),
  ],
  check: (o) => (Object.keys(o).length === 0 ? { error: 'physdev needs at least one option' } : undefined),
});
