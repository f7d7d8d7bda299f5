// What random rules are made of. Every table here is a list of entries: a new match, target or set type is one line more.
import type { Dice } from './dice.ts';

export const PREFIXES = [
  '8.8.8.0/24',
  '8.8.8.8/31',
  '8.0.0.0/8',
  '10.1.0.0/16',
  '10.1.0.0/31',
  '10.1.0.2',
  '192.168.21.0/24',
  '192.168.21.20',
  '10.96.0.0/12',
  '0.0.0.0/1',
  '7.7.0.0/17',
  '10.9.0.0/24',
  '192.168.21.255',
  '10.96.0.1',
  '8.8.8.7',
];
export const SOURCES = ['8.8.8.8', '8.8.8.7', '8.8.9.0', '7.7.7.7', '7.7.128.0', '192.168.21.1', '10.9.0.7', '10.1.0.1', '10.1.0.2'];
export const TARGETS = [
  '10.1.0.1',
  '10.1.0.2',
  '10.1.0.3',
  '192.168.21.20',
  '10.9.0.20',
  '10.96.0.1',
  '10.96.0.2',
  '8.8.8.8',
  '7.7.7.7',
  '10.9.0.7',
  '192.168.21.255',
];
export const DEVICES = ['eth0', 'eth1', 'cali1', 'cali2'];
export const PORTS = [22, 53, 80, 443, 1024, 8080, 30000, 40000];
const MARKS = ['0x1', '0x10', '0x1/0x1', '0x10/0xf0', '0x0/0xff', '0x4000/0x4000', '0xff'];

export type Hook = 'PREROUTING' | 'INPUT' | 'FORWARD' | 'OUTPUT' | 'POSTROUTING';
export const HOOKS: Readonly<Record<string, readonly Hook[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};

export interface MadeSet {
  readonly name: string;
  readonly type: string;
  readonly dimensions: number;
  readonly text: string;
}

/** Where a rule may stand: one hook, or any of a table's (undefined). */
export interface Place {
  readonly table: string;
  readonly hook?: Hook;
  readonly base: boolean;
  /** The node will be turned into IPv6. */
  readonly six: boolean;
  readonly sets: readonly MadeSet[];
}

// -- set types

interface SetEntry {
  readonly type: string;
  readonly element: (d: Dice) => string;
  /** IPv4 only. */
  readonly four?: true;
  /** Options of `create` that may be given. */
  readonly options?: readonly string[];
}

const nomatch = (d: Dice): string => (d.chance(25) ? ' nomatch' : '');
const addr = (d: Dice): string => d.pick([...SOURCES, ...TARGETS]);
const net = (d: Dice): string => d.pick(PREFIXES);
const port = (d: Dice): string =>
  d.chance(15) ? d.pick(['icmp:8/0', 'icmp:0/0', '47:0', 'sctp:80']) : `${d.pick(['tcp', 'udp'])}:${d.pick([...PORTS, '5000-5003'])}`;
const plain = (d: Dice): string => `${d.pick(['tcp', 'udp'])}:${d.pick(PORTS)}`;

export const SET_TYPES: readonly SetEntry[] = [
  { type: 'hash:ip', element: addr, options: ['timeout 1000', 'counters', 'comment', 'netmask 24', 'hashsize 64 maxelem 20'] },
  { type: 'hash:net', element: (d) => net(d) + nomatch(d), options: ['timeout 1000', 'counters'] },
  { type: 'hash:net', element: (d) => net(d) + nomatch(d) },
  { type: 'hash:ip,port', element: (d) => `${addr(d)},${port(d)}`, options: ['timeout 1000', 'counters'] },
  { type: 'hash:ip,port,ip', element: (d) => `${addr(d)},${port(d)},${addr(d)}` },
  { type: 'hash:ip,port,net', element: (d) => `${addr(d)},${plain(d)},${net(d)}${nomatch(d)}` },
  { type: 'hash:net,port', element: (d) => `${net(d)},${plain(d)}${nomatch(d)}`, options: ['counters'] },
  { type: 'hash:net,iface', element: (d) => `${net(d)},${d.pick(DEVICES)}${nomatch(d)}` },
  { type: 'bitmap:port range 0-65535', element: (d) => String(d.pick(PORTS)), options: ['timeout 1000'] },
  { type: 'bitmap:ip range 10.1.0.0/24', element: (d) => d.pick(['10.1.0.0', '10.1.0.1', '10.1.0.2-10.1.0.9', '10.1.0.4/30']), four: true },
  { type: 'bitmap:ip range 8.8.0.0/16 netmask 24', element: (d) => d.pick(['8.8.8.0', '8.8.9.0']), four: true },
  {
    type: 'bitmap:ip,mac range 8.8.8.0/24',
    element: (d) => d.pick(['8.8.8.8', '8.8.8.7,06:00:00:00:00:01', '8.8.8.8,06:00:00:00:00:02']),
    four: true,
  },
];

export function makeSet(d: Dice, i: number, before: readonly MadeSet[], six: boolean): MadeSet {
  const name = `s${i}`;
  const types = SET_TYPES.filter((t) => !six || !t.four);
  if (before.length > 1 && d.below(types.length + 2) < 2) {
    const members = [...new Set(d.some(1, 3, () => d.pick(before)))].filter((m) => m.type !== 'list:set').map((m) => m.name);
    return { name, type: 'list:set', dimensions: 3, text: [`create ${name} list:set`, ...members.map((m) => `add ${name} ${m}`), ''].join('\n') };
  }
  const { type, element, options } = d.pick(types);
  const option = options && d.chance(35) ? ` ${d.pick(options)}` : '';
  const key = (e: string): string => e.replace(/ nomatch$/, '').replace(/^(8\.8\.8\.\d+),\d\d:.*/, '$1');
  const elements = [...new Map(d.some(0, 7, () => element(d)).map((e) => [key(e), e])).values()];
  return {
    name,
    type: type.split(' ')[0]!,
    dimensions: type.split(' ')[0]!.split(',').length,
    // -exist: under a netmask, or by overlapping ranges, two may be one
    text: [`create ${name} ${type}${option}`, ...elements.map((e) => `add ${name} ${e} -exist`), ''].join('\n'),
  };
}

// -- matches

interface MatchEntry {
  /** One of a kind in a rule. */
  readonly kind: string;
  readonly weight: number;
  /** Nothing where it cannot stand. */
  readonly text: (d: Dice, at: Place, not: () => string) => string | undefined;
}

const side = (d: Dice): string => d.pick(['src', 'dst']);
const incoming = (at: Place): boolean => at.hook === 'PREROUTING' || at.hook === 'INPUT';
const outgoing = (at: Place): boolean => at.hook === 'OUTPUT' || at.hook === 'POSTROUTING';
const device = (d: Dice): string => d.pick([...DEVICES, 'eth+', 'cali+', 'lo']);

export const MATCHES: readonly MatchEntry[] = [
  { kind: '-s', weight: 4, text: (d, _at, not) => `${not()}-s ${d.pick(PREFIXES)}` },
  { kind: '-d', weight: 4, text: (d, _at, not) => `${not()}-d ${d.pick(PREFIXES)}` },
  { kind: '-i', weight: 2, text: (d, at, not) => (at.base && outgoing(at) ? undefined : `${not()}-i ${device(d)}`) },
  { kind: '-o', weight: 2, text: (d, at, not) => (at.base && incoming(at) ? undefined : `${not()}-o ${device(d)}`) },
  { kind: 'mark', weight: 2, text: (d, _at, not) => `-m mark ${not()}--mark ${d.pick(MARKS)}` },
  { kind: 'connmark', weight: 2, text: (d, _at, not) => `-m connmark ${not()}--mark ${d.pick(MARKS)}` },
  {
    kind: 'conntrack',
    weight: 4,
    text: (d, _at, not) =>
      `-m conntrack ${not()}--ctstate ${d.pick(['NEW', 'ESTABLISHED', 'RELATED,ESTABLISHED', 'RELATED', 'INVALID', 'DNAT', 'SNAT', 'UNTRACKED', 'NEW,INVALID', 'NEW,DNAT', 'SNAT,DNAT'])}`,
  },
  {
    kind: 'state',
    weight: 1,
    text: (d, _at, not) => `-m state ${not()}--state ${d.pick(['NEW', 'ESTABLISHED', 'RELATED,ESTABLISHED', 'INVALID', 'UNTRACKED'])}`,
  },
  {
    kind: 'conntrack',
    weight: 3,
    text: (d, _at, not) =>
      `-m conntrack ${not()}${d.pick([
        `--ctorigdst ${d.pick(PREFIXES)}`,
        `--ctorigsrc ${d.pick(PREFIXES)}`,
        `--ctreplsrc ${d.pick(PREFIXES)}`,
        `--ctrepldst ${d.pick(PREFIXES)}`,
        `--ctorigdstport ${d.pick(PORTS)}`,
        `--ctorigsrcport 1024:40000`,
        `--ctreplsrcport ${d.pick(PORTS)}:40000`,
        `--ctrepldstport ${d.pick(PORTS)}`,
        '--ctstatus SEEN_REPLY',
        '--ctstatus ASSURED,CONFIRMED',
        '--ctstatus ASSURED',
        '--ctproto 6',
        '--ctproto 17',
      ])}${d.chance(20) ? ` --ctdir ${d.pick(['ORIGINAL', 'REPLY'])}` : ''}`,
  },
  { kind: 'conntrack', weight: 1, text: (d) => `-m conntrack --ctdir ${d.pick(['ORIGINAL', 'REPLY'])}` },
  {
    kind: 'set',
    weight: 6,
    text: (d, at, not) => {
      if (at.sets.length === 0) return undefined;
      const set = d.pick(at.sets);
      const flags = d.some(1, d.chance(80) ? set.dimensions : 3, () => side(d));
      while (d.chance(85) && flags.length < set.dimensions) flags.push(side(d));
      return `-m set ${not()}--match-set ${set.name} ${flags.join(',')}${d.chance(8) ? ' --return-nomatch' : ''}`;
    },
  },
  {
    kind: 'addrtype',
    weight: 3,
    text: (d, { hook }, not) =>
      `-m addrtype ${not()}--${side(d)}-type ${d.pick(['LOCAL', 'UNICAST', 'BROADCAST', 'LOCAL,BROADCAST', 'UNREACHABLE', 'BLACKHOLE'])}${
        hook === 'PREROUTING' || hook === 'INPUT' || hook === 'FORWARD'
          ? d.chance(20)
            ? ' --limit-iface-in'
            : ''
          : hook !== undefined && d.chance(20)
            ? ' --limit-iface-out'
            : ''
      }`,
  },
  {
    kind: 'iprange',
    weight: 2,
    text: (d, _at, not) =>
      `-m iprange ${not()}--${side(d)}-range ${d.pick(['8.8.8.0-8.8.8.7', '8.8.8.8-8.8.8.8', '10.1.0.1-10.1.0.2', '0.0.0.0-10.1.0.1', '10.9.0.7-200.0.0.0'])}`,
  },
  {
    kind: 'owner',
    weight: 1,
    text: (d, at, not) =>
      outgoing(at)
        ? `-m owner ${not()}${d.pick(['--uid-owner 0', '--uid-owner 1000', '--uid-owner 1-2000', '--gid-owner 1000', '--socket-exists'])}`
        : undefined,
  },
  {
    kind: 'rpfilter',
    weight: 1,
    text: (d, at) =>
      at.hook === 'PREROUTING' && at.table !== 'nat'
        ? `-m rpfilter${d.pick(['', ' --loose', ' --invert', ' --accept-local', ' --validmark'])}`
        : undefined,
  },
  {
    kind: 'mac',
    weight: 1,
    text: (d, at, not) => (at.hook === undefined || outgoing(at) ? undefined : `-m mac ${not()}--mac-source 06:00:00:00:00:0${d.pick([1, 2])}`),
  },
  {
    kind: 'ttl',
    weight: 1,
    text: (d, _at, not) => d.pick(['-m ttl --ttl-gt 62', '-m ttl --ttl-lt 64', `-m ttl ${not()}--ttl-eq 63`, '-m ttl --ttl-lt 10']),
  },
  { kind: 'length', weight: 1, text: (d, _at, not) => `-m length ${not()}--length ${d.pick(['40:60', '40', ':39', '35', '61:65535'])}` },
  { kind: 'tos', weight: 1, text: (d, _at, not) => `-m tos ${not()}--tos ${d.pick(['0x10/0x3f', '0x0/0xff', '0x10', '0x10/0xf0'])}` },
  {
    kind: 'dscp',
    weight: 1,
    text: (d, _at, not) => `-m dscp ${not()}${d.pick(['--dscp 0x04', '--dscp 0', '--dscp-class CS1', '--dscp-class AF11'])}`,
  },
  { kind: 'pkttype', weight: 1, text: (d, _at, not) => `-m pkttype ${not()}--pkt-type ${d.pick(['unicast', 'broadcast', 'multicast'])}` },
  { kind: 'comment', weight: 1, text: () => '-m comment --comment "a -j DROP in words"' },
  {
    kind: 'statistic',
    weight: 1,
    text: (d) => d.pick(['-m statistic --mode random --probability 0.5', '-m statistic --mode nth --every 3 --packet 0']),
  },
  // what netwhy leaves open has to stay open
  {
    kind: 'open',
    weight: 1,
    // in a chain that is met twice they may hold once
    text: (d, at) =>
      at.base
        ? d.pick([
            '-m limit --limit 1/sec --limit-burst 2',
            '-m cpu --cpu 0',
            '-m connbytes --connbytes 2: --connbytes-dir both --connbytes-mode packets',
            '-m quota --quota 400',
          ])
        : undefined,
  },
];

const TOTAL = MATCHES.reduce((n, m) => n + m.weight, 0);

/** One match, with its kind. */
export function makeMatch(d: Dice, at: Place): { readonly kind: string; readonly text: string } | undefined {
  let roll = d.below(TOTAL);
  const entry = MATCHES.find((m) => (roll -= m.weight) < 0)!;
  const text = entry.text(d, at, () => (d.chance(25) ? '! ' : ''));
  return text === undefined ? undefined : { kind: entry.kind, text };
}

// -- protocols

const range = (d: Dice): string => d.pick([String(d.pick(PORTS)), `${d.pick([22, 53])}:${d.pick([80, 443])}`, `1024:`, `:1023`]);

export const PROTOCOLS: readonly ((d: Dice, not: () => string) => string)[] = [
  (d, not) => `-p tcp ${not()}--dport ${range(d)}`,
  (d, not) => `-p tcp ${not()}--dport ${range(d)}`,
  (d, not) => `-p udp ${not()}--dport ${range(d)}`,
  (d, not) => `-p ${d.pick(['tcp', 'udp'])} ${not()}--sport ${range(d)}`,
  (d, not) => `-p tcp --sport ${range(d)} ${not()}--dport ${range(d)}`,
  (d, not) =>
    `-p ${d.pick(['tcp', 'udp', 'sctp'])} -m multiport ${not()}--${d.pick(['dports', 'sports', 'ports'])} ${d.pick(['22,80', '80:443,8080', '53', '1024:40000'])}`,
  (d, not) =>
    d.pick([
      '-p tcp ! --syn',
      '-p tcp --syn',
      `-p tcp ${not()}--tcp-flags SYN,ACK SYN`,
      `-p tcp ${not()}--tcp-flags ALL ACK`,
      '-p tcp --tcp-flags ALL NONE',
      '-p tcp --tcp-flags RST,FIN RST',
    ]),
  (d) => d.pick(['-p icmp --icmp-type echo-request', '-p icmp ! --icmp-type 8', '-p icmp', '! -p icmp', '-p icmp --icmp-type echo-reply']),
  (d, not) => `${not()}-p ${d.pick(['tcp', 'udp', 'sctp', '47', 'all'])}`.replace('! -p all', '-p all'),
  (d, not) => `-p sctp ${not()}--dport ${range(d)}`,
  (d, not) => `-p ${d.pick(['dccp', 'udplite -m multiport'])} ${not()}${d.pick(['--sport', '--dport'])} ${d.pick(PORTS)}`,
  (d, not) => `${not()}-p ${d.pick(['esp', 'ah', 'udplite', 'dccp', 'gre'])}`,
];

// -- targets

interface TargetEntry {
  readonly weight: number;
  readonly tables?: readonly string[];
  readonly hooks?: readonly Hook[];
  /** What has to stand before it. */
  readonly needs?: (d: Dice) => string;
  /** Nothing where it cannot stand. */
  readonly text: (d: Dice, at: Place) => string | undefined;
}

const ported = (d: Dice): string => `-p ${d.pick(['tcp', 'udp'])}`;
const one = (d: Dice): string => String(d.pick(PORTS));
const INNER = ['10.1.0.1', '10.1.0.2', '10.1.0.1-10.1.0.2', '8.8.8.8', '192.168.21.20', '10.9.0.20'];
const OUTER = ['192.168.21.20', '10.9.0.21', '172.16.0.1-172.16.0.9', '7.7.7.9'];
const DEST: readonly Hook[] = ['PREROUTING', 'OUTPUT'];
const SRC: readonly Hook[] = ['POSTROUTING', 'INPUT'];
const mangle = ['mangle'];
const say =
  (...texts: string[]) =>
  (d: Dice): string =>
    d.pick(texts);

export const TARGETS_OF_RULES: readonly TargetEntry[] = [
  { weight: 30, tables: ['nat'], hooks: DEST, text: (d) => `DNAT --to-destination ${d.pick(INNER)}` },
  {
    weight: 40,
    tables: ['nat'],
    hooks: DEST,
    needs: ported,
    text: (d) => `DNAT --to-destination ${d.pick(INNER)}:${one(d)}${d.pick(['', '', '', ' --persistent', ' --random'])}`,
  },
  { weight: 5, tables: ['nat'], hooks: DEST, needs: ported, text: (d) => `DNAT --to-destination ${d.pick(INNER)}:8000-8003` },
  { weight: 7, tables: ['nat'], hooks: DEST, text: () => 'REDIRECT' },
  { weight: 7, tables: ['nat'], hooks: DEST, needs: ported, text: (d) => `REDIRECT --to-ports ${d.pick([one(d), '8000-8003'])}` },
  { weight: 10, tables: ['nat'], hooks: SRC, text: (d) => `SNAT --to-source ${d.pick(OUTER)}` },
  { weight: 20, tables: ['nat'], hooks: SRC, needs: ported, text: (d) => `SNAT --to-source ${d.pick(OUTER)}:${one(d)}` },
  { weight: 5, tables: ['nat'], hooks: SRC, needs: ported, text: (d) => `SNAT --to-source ${d.pick(OUTER)}:2000-2100` },
  { weight: 25, tables: ['nat'], hooks: ['POSTROUTING'], text: say('MASQUERADE', 'MASQUERADE', 'MASQUERADE --random', 'MASQUERADE --random-fully') },
  { weight: 7, tables: ['nat'], hooks: ['POSTROUTING'], needs: ported, text: say('MASQUERADE --to-ports 2000-2100', 'MASQUERADE --to-ports 40000') },
  {
    weight: 8,
    tables: ['nat'],
    text: (d, at) => (at.hook === undefined ? undefined : `NETMAP --to ${d.pick(['10.1.0.0/30', '10.9.0.0/24', '8.8.8.8', '7.7.0.0/16'])}`),
  },
  { weight: 15, text: () => 'ACCEPT' },
  { weight: 10, text: () => 'RETURN' },
  { weight: 7, text: (_d, at) => (at.table === 'nat' ? 'ACCEPT' : 'DROP') },
  {
    weight: 4,
    tables: ['filter'],
    text: (d) =>
      `REJECT${d.pick(['', ...['net-unreachable', 'host-unreachable', 'proto-unreachable', 'port-unreachable', 'net-prohibited', 'host-prohibited', 'admin-prohibited'].map((x) => ` --reject-with icmp-${x}`)])}`,
  },
  { weight: 3, tables: ['filter'], needs: () => '-p tcp', text: () => 'REJECT --reject-with tcp-reset' },
  { weight: 4, tables: ['raw'], text: say('CT --notrack', 'CT --notrack', 'NOTRACK') },
  { weight: 4, tables: ['raw'], text: say('CT --zone 1', 'CT --zone 2', 'CT --zone-orig 1', 'CT --zone-reply 2', 'CT --zone mark') },
  { weight: 4, tables: mangle, text: say('TTL --ttl-set 9', 'TTL --ttl-inc 1', 'TTL --ttl-dec 1', 'TTL --ttl-set 63') },
  {
    weight: 4,
    tables: mangle,
    text: say(
      'TOS --set-tos 0x10',
      'TOS --set-tos 0x10/0xf0',
      'TOS --or-tos 0x20',
      'TOS --and-tos 0xe0',
      'DSCP --set-dscp 0x04',
      'DSCP --set-dscp-class CS1',
    ),
  },
  {
    weight: 1,
    tables: mangle,
    needs: () => '-p tcp --tcp-flags SYN,RST SYN',
    text: (d, at) => (at.hook === 'POSTROUTING' ? d.pick(['TCPMSS --clamp-mss-to-pmtu', 'TCPMSS --set-mss 1400']) : undefined),
  },
  {
    weight: 1,
    tables: mangle,
    text: (_d, at) => (at.hook !== undefined && at.hook !== 'PREROUTING' && at.hook !== 'INPUT' ? 'CLASSIFY --set-class 1:2' : undefined),
  },
  { weight: 1, tables: mangle, text: () => 'CHECKSUM --checksum-fill' },
  {
    weight: 14,
    text: say(
      'MARK --set-mark 0x1',
      'MARK --set-mark 0x10/0xf0',
      'MARK --set-xmark 0xff/0x1',
      'MARK --or-mark 0x4000',
      'MARK --and-mark 0xff',
      'MARK --xor-mark 0x4001',
    ),
  },
  {
    weight: 10,
    text: say(
      'CONNMARK --save-mark',
      'CONNMARK --restore-mark',
      'CONNMARK --set-xmark 0x10/0xff',
      'CONNMARK --set-mark 0x1',
      'CONNMARK --or-mark 0x11',
      'CONNMARK --save-mark --nfmask 0xf0 --ctmask 0xff',
      'CONNMARK --restore-mark --nfmask 0xff --ctmask 0xf0',
    ),
  },
  { weight: 3, text: say('LOG', 'NFLOG --nflog-group 5', 'LOG --log-prefix "a b "') },
  {
    weight: 1,
    text: (d, at) => {
      const sets = at.sets.filter((s) => s.type.startsWith('hash:') && !s.type.includes('iface'));
      if (sets.length === 0) return undefined;
      const set = d.pick(sets);
      return `SET --${d.pick(['add', 'add', 'del'])}-set ${set.name} ${Array.from({ length: set.dimensions }, () => side(d)).join(',')}`;
    },
  },
  { weight: 10, text: () => '' },
];

/** A target that may stand here, and what has to stand before it. */
export function makeTarget(d: Dice, at: Place, chains: readonly string[]): { readonly needs?: string; readonly text: string } {
  if (chains.length > 0 && d.chance(22)) return { text: d.pick(chains) };
  const list = TARGETS_OF_RULES.filter(
    (t) => (!t.tables || t.tables.includes(at.table)) && (!t.hooks || (at.hook !== undefined && t.hooks.includes(at.hook))),
  );
  let roll = d.below(list.reduce((n, t) => n + t.weight, 0));
  const entry = list.find((t) => (roll -= t.weight) < 0)!;
  const needs = entry.needs?.(d);
  const text = entry.text(d, at);
  return text === undefined ? { text: '' } : { text, ...(needs !== undefined && { needs }) };
}
