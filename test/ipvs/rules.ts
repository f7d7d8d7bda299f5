// Random legacy rules about packets that IPVS may take: what kube-proxy puts there, and what nobody would.
import { save } from '../probes/claim.ts';
import type { Dice } from '../probes/dice.ts';
import type { Ruleset } from '../probes/node.ts';
import { MARKS, REALS, VIPS, type Service, type Tongue } from './services.ts';

const HOOKS: Readonly<Record<string, readonly string[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};
const PORTS = [443, 53, 80, 30080, 8080, 6443] as const;
const DEVICES = ['eth0', 'cali1', 'cali2', 'lo'] as const;

/** Where a rule stands. */
interface Place {
  readonly table: string;
  readonly hook: string;
  readonly t: Tongue;
  readonly services: readonly Service[];
  readonly sets: boolean;
}

type Maker = (d: Dice, at: Place) => string;

function not(d: Dice): string {
  return d.chance(20) ? '! ' : '';
}

/** By kind, of which a rule has one each. */
const MATCHES: Readonly<Record<string, Maker>> = {
  to: (d, { t }) => `${not(d)}-d ${t.addr(d.pick([...VIPS, ...VIPS, ...REALS, '8.8.8.8']))}`,
  from: (d, { t }) => `${not(d)}-s ${t.addr(d.pick([...VIPS, ...REALS, '8.8.8.8', '8.8.4.4']))}`,
  device: (d, { hook }) =>
    hook === 'PREROUTING' || hook === 'INPUT' || (hook === 'FORWARD' && d.chance(50))
      ? `${not(d)}-i ${d.pick(DEVICES)}`
      : `${not(d)}-o ${d.pick(DEVICES)}`,
  proto: (d) => `-p ${d.pick(['tcp', 'tcp', 'udp', 'sctp'])} ${not(d)}--${d.pick(['dport', 'dport', 'sport'])} ${d.pick(PORTS)}`,
  conntrack: (d, { t }) =>
    `-m conntrack ${not(d)}${d.pick([
      ...['NEW', 'ESTABLISHED', 'RELATED', 'INVALID', 'UNTRACKED', 'DNAT', 'SNAT'].map((s) => `--ctstate ${s}`),
      `--ctorigdst ${t.addr(d.pick(VIPS))}`,
      `--ctreplsrc ${t.addr(d.pick(REALS))}`,
      `--ctreplsrcport ${d.pick(PORTS)}`,
      '--ctstatus CONFIRMED',
      '--ctstatus SEEN_REPLY',
    ])}`,
  mark: (d) => `-m mark ${not(d)}--mark ${d.pick(['0x4000/0x4000', '0x4000/0x4000', ...MARKS])}`,
  ipvs: (d, { t }) => `-m ipvs ${d.chance(40) ? `${not(d)}--ipvs` : ipvsOptions(d, t)}`,
  set: (d, { sets }) => (sets ? `-m set ${not(d)}--match-set ${d.pick(['C dst,dst', 'C dst,dst', 'C src,src', 'P src', 'P dst'])}` : ''),
  type: (d) => `-m addrtype ${not(d)}--${d.pick(['dst', 'dst', 'src'])}-type ${d.pick(['LOCAL', 'UNICAST'])}`,
  ttl: (d, { t }) => (t.six ? `-m hl --hl-lt ${d.pick([64, 63])}` : `-m ttl --ttl-lt ${d.pick([64, 63])}`),
};

/** One to three of xt_ipvs' conditions, in the order in which iptables-save has them. */
function ipvsOptions(d: Dice, t: Tongue): string {
  const all = [
    `--vproto ${d.pick([6, 17, 132])}`,
    `--vaddr ${d.chance(50) ? t.addr(d.pick(VIPS)) : t.net('10.96.0.0', 24)}`,
    `--vport ${d.pick(PORTS)}`,
    `--vdir ${d.pick(['ORIGINAL', 'REPLY'])}`,
    `--vmethod ${d.pick(['MASQ', 'MASQ', 'GATE', 'IPIP'])}`,
    `--vportctl ${d.pick(PORTS)}`,
  ];
  const some = new Set(d.some(1, 2, () => d.below(d.chance(90) ? 5 : 6)));
  // --vdir has no negation
  return all
    .filter((_, i) => some.has(i))
    .map((o) => `${o.startsWith('--vdir') ? '' : not(d)}${o}`)
    .join(' ');
}

function makeTarget(d: Dice, { table, hook, t }: Place): { readonly text: string; readonly needs?: string } {
  const mark = `-j MARK --set-xmark ${d.pick(['0x4000/0x4000', '0x4000/0x4000', '0x1/0xffffffff', '0x5/0xffffffff', '0x4000/0x0'])}`;
  if (table === 'nat') {
    if (d.chance(25)) return { text: mark };
    if (d.chance(20)) return { text: d.pick(['-j ACCEPT', '-j RETURN', '']) };
    const port = d.pick(PORTS);
    const to = t.addr(d.pick([...VIPS, ...VIPS, ...REALS]));
    switch (hook) {
      case 'PREROUTING':
      case 'OUTPUT':
        return d.chance(60)
          ? { text: '' }
          : { needs: `-p ${d.pick(['tcp', 'udp'])}`, text: `-j DNAT --to-destination ${t.six ? `[${to}]` : to}:${port}` };
      case 'INPUT':
        return d.chance(80) ? { text: '' } : { text: `-j SNAT --to-source ${t.addr('10.9.0.7')}` };
      default:
        return { text: d.pick(['-j MASQUERADE', '-j MASQUERADE', '-j MASQUERADE --random-fully', `-j SNAT --to-source ${t.addr('192.168.21.30')}`]) };
    }
  }
  if (d.chance(4)) return { text: '-j DROP' };
  if (table === 'filter' && d.chance(5)) return d.chance(50) ? { text: '-j REJECT' } : { needs: '-p tcp', text: '-j REJECT --reject-with tcp-reset' };
  if (table === 'raw' && d.chance(15)) return { text: '-j CT --notrack' };
  if ((table === 'mangle' || table === 'raw') && d.chance(35)) return { text: mark };
  if (table === 'mangle' && d.chance(12))
    return { text: d.pick(['-j CONNMARK --save-mark', '-j CONNMARK --restore-mark', '-j CONNMARK --set-xmark 0x20/0xffffffff']) };
  return { text: d.pick(['', '', '', '', '-j ACCEPT', '-j RETURN', '-j U']) };
}

function makeRule(d: Dice, chain: string, at: Place): string {
  const target = makeTarget(d, at);
  const kinds = [...new Set(d.some(target.text.match(/DROP|REJECT/) ? 1 : 0, 2, () => d.pick(Object.keys(MATCHES))))];
  const texts = kinds.map((k) => (k === 'proto' && target.needs !== undefined ? '' : MATCHES[k]!(d, at))).filter(Boolean);
  const early = (m: string): boolean => /^(?:! )?-[sdio] /.test(m);
  const proto = target.needs ?? texts.find((m) => m.startsWith('-p '));
  return [
    '-A',
    chain,
    ...texts.filter(early),
    proto,
    ...texts.filter((m) => m.startsWith('-m ')),
    target.text === '-j U' && at.table === 'nat' ? '' : target.text,
  ]
    .filter((x) => x !== undefined && x !== '')
    .join(' ');
}

function makeTable(d: Dice, table: string, t: Tongue, services: readonly Service[], sets: boolean): string[] {
  return [
    ...(table === 'nat' ? [] : [':U -']),
    ...HOOKS[table]!.flatMap((hook) => {
      const at = { table, hook, t, services, sets };
      const policy = table === 'filter' && d.chance(3) ? [`:${hook} DROP`] : [];
      return [...policy, ...d.some(0, 4, () => makeRule(d, hook, at))];
    }),
    ...(table === 'nat'
      ? []
      : d.some(0, 2, () =>
          makeRule(d, 'U', { table, hook: 'POSTROUTING', t, services, sets })
            .replace(/ -j U$/, '')
            .replace(/ (?:! )?-[io] \S+/, ''),
        )),
  ];
}

/** What kube-proxy has in nat, as far as this node needs it. */
function kube(d: Dice, t: Tongue, services: readonly Service[], sets: boolean): string[] {
  const asked = sets
    ? ['-m set --match-set C dst,dst']
    : services.flatMap((s) => (s.proto === undefined || s.port === 0 ? [] : [`-d ${t.addr(s.addr)} -p ${s.proto} --dport ${s.port}`]));
  const others = d.chance(60) ? `! -s ${t.net('10.1.0.0', 24)} ` : '';
  const drop = d.chance(70) ? ['-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0'] : [];
  return [
    ':KUBE-SERVICES -',
    ':KUBE-MARK-MASQ -',
    ':KUBE-POSTROUTING -',
    '-A PREROUTING -j KUBE-SERVICES',
    '-A OUTPUT -j KUBE-SERVICES',
    '-A POSTROUTING -j KUBE-POSTROUTING',
    ...asked.map((m) => `-A KUBE-SERVICES ${m.startsWith('-m') ? others.replace('! -s', '! -s') : others}${m} -j KUBE-MARK-MASQ`),
    '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000',
    '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
    ...drop,
    `-A KUBE-POSTROUTING -j MASQUERADE${d.chance(50) ? ' --random-fully' : ''}`,
  ];
}

/** Rules and sets for a node with these services. */
export function makeRules(d: Dice, t: Tongue, services: readonly Service[]): Ruleset {
  const sets = d.chance(35);
  const tables: Record<string, string[]> = {};
  for (const table of Object.keys(HOOKS)) {
    if (d.chance(table === 'nat' ? 75 : table === 'security' ? 15 : 60)) tables[table] = makeTable(d, table, t, services, sets);
  }
  if (d.chance(60)) tables['nat'] = [...kube(d, t, services, sets), ...(tables['nat'] ?? [])];
  for (const s of services) {
    if (s.mark === undefined) continue;
    const rule = `-d ${t.addr(s.addr)} -j MARK --set-xmark ${s.mark}/0xffffffff`;
    tables['mangle'] = [`-A PREROUTING ${rule}`, ...(d.chance(60) ? [`-A OUTPUT ${rule}`] : []), ...(tables['mangle'] ?? [])];
  }
  const family = t.six ? ' family inet6' : '';
  const ports = services.flatMap((s) => (s.proto === undefined || s.port === 0 ? [] : [`add C ${t.addr(s.addr)},${s.proto}:${s.port}`]));
  const text = ['create C hash:ip,port' + family, 'create P hash:net' + family, ...new Set(ports), `add P ${t.net('10.1.0.0', 24)}`, ''].join('\n');
  const legacy = Object.keys(tables).length > 0 ? save(tables) : undefined;
  return { ...(sets && { ipset: text }), ...(legacy !== undefined && { [t.six ? 'legacy6' : 'legacy']: legacy }) };
}
