// What lint calls dead, no packet gets to; what it says nothing of in healthy rule sets is healthy.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deadRules, type DeadRule } from '../../src/ask/deadrule.ts';
import { Effects } from '../../src/ask/effect.ts';
import { lint } from '../../src/ask/lint.ts';
import { load } from '../../src/cli/load.ts';
import { readBundle, worldOf, type IpSet, type Table, type World } from '../../src/index.ts';
import { aimedAt, dice, walkTo, type Dice } from './aimed.ts';

const root = join(import.meta.dirname, '../..');
/** Packets aimed at each rule that is said to be dead. */
const PACKETS = Number(process.env['NETWHY_LINT_PACKETS'] ?? 2000);
const SEED = Number(process.env['NETWHY_SEED'] ?? 1);

function worldWith(rules: string, more: Readonly<Record<string, string>> = {}): World {
  const files = [{ path: 'n/iptables-save.txt', text: rules }, ...Object.entries(more).map(([name, text]) => ({ path: `n/${name}`, text }))];
  return worldOf(readBundle(files));
}

function filter(...rules: readonly string[]): string {
  const chains = ['INPUT', 'FORWARD', 'OUTPUT'];
  const own = [...new Set(rules.flatMap((r) => [...r.matchAll(/-[Ajg] ([a-z]\w*)/g)].map((m) => m[1]!)))];
  return ['*filter', ...chains.map((c) => `:${c} ACCEPT [0:0]`), ...own.map((c) => `:${c} - [0:0]`), ...rules, 'COMMIT', ''].join('\n');
}

function codes(world: World): string[] {
  return lint(world).map((f) => `${f.severity} ${f.code} ${f.at.file.split('/').at(-1)}:${f.at.line}${f.because.map((b) => ` <${b.line}`).join('')}`);
}

function deadIn(table: Table, sets: Readonly<Record<string, IpSet>>): readonly DeadRule[] {
  return deadRules({ table, sets, changed: new Set() }, new Effects(table));
}

/** How many of the packets aimed at a rule met its condition without a look at the rules before; none may meet it behind them. */
function confirm(d: DeadRule, table: Table, sets: Readonly<Record<string, IpSet>>, packets: number, roll: Dice): void {
  // a repeated rule that lets packets on is met, and changes nothing
  if (d.kind === 'repeated' && !new Effects(table).ends(d.rule)) return;
  const before = d.chain.rules.slice(0, d.rule.number - 1);
  for (let i = 0; i < packets; i++) {
    const sight = aimedAt(d.rule, before, table, sets, roll);
    const way = walkTo(table, d.chain, d.rule, sight);
    if (way.kind === 'met') throw new Error(`${d.kind} ${d.rule.text} meets ${JSON.stringify(sight.packet)} by ${sight.iif} to ${sight.oif}`);
  }
}

describe('lint', () => {
  it('finds the rule behind one that takes all its packets, alone or with others', () => {
    expect(codes(worldWith(filter('-A FORWARD -s 10.0.0.0/8 -j DROP', '-A FORWARD -s 10.1.0.0/16 -p tcp -j ACCEPT')))).toEqual([
      'warning dead-rule iptables-save.txt:6 <5',
    ]);
    expect(
      codes(worldWith(filter('-A INPUT -s 10.0.0.0/9 -j DROP', '-A INPUT -s 10.128.0.0/9 -j DROP', '-A INPUT -s 10.0.0.0/8 -p udp -j ACCEPT'))),
    ).toEqual(['warning dead-rule iptables-save.txt:7 <5 <6']);
    expect(
      codes(worldWith(filter('-A INPUT -i eth+ -j ACCEPT', '-A INPUT -i eth0 -j DROP', '-A INPUT ! -i eth+ -j DROP', '-A INPUT -p icmp -j ACCEPT'))),
    ).toEqual(['warning dead-rule iptables-save.txt:6 <5', 'warning dead-rule iptables-save.txt:8 <5 <7']);
  });

  it('claims nothing where a limit, chance, a set that changes or a mark in between may let a packet by', () => {
    for (const rules of [
      ['-A FORWARD -m limit --limit 1/sec -j DROP', '-A FORWARD -j ACCEPT'],
      ['-A FORWARD -m statistic --mode random --probability 0.5 -j DROP', '-A FORWARD -s 10.0.0.1/32 -j ACCEPT'],
      ['-A FORWARD -m mark --mark 0x1/0x1 -j DROP', '-A FORWARD -j MARK --set-xmark 0x1/0x1', '-A FORWARD -m mark --mark 0x1/0x1 -j ACCEPT'],
      ['-A FORWARD -m set --match-set s src -j DROP', '-A FORWARD -j SET --add-set s src', '-A FORWARD -m set --match-set s src -j ACCEPT'],
      // a packet without a connection meets neither
      ['-A FORWARD -m connmark --mark 0x1 -j DROP', '-A FORWARD -m connmark ! --mark 0x1 -j DROP', '-A FORWARD -j ACCEPT'],
      ['-A FORWARD -m conntrack --ctdir ORIGINAL -j DROP', '-A FORWARD -m conntrack --ctdir REPLY -j DROP', '-A FORWARD -p udp -j ACCEPT'],
      ['-A FORWARD -j x', '-A FORWARD -j ACCEPT', '-A x -p tcp -j DROP'],
      ['-A FORWARD -m recent --name a --set', '-A FORWARD -m recent --name a --rcheck -j DROP', '-A FORWARD -m recent --name a --rcheck -j DROP'],
    ])
      expect(codes(worldWith(filter(...rules))), rules.join('; ')).toEqual([]);
  });

  it('tells what repeats, what excludes itself, and a chain that does not come back', () => {
    expect(
      codes(
        worldWith(
          filter('-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT', '-A INPUT -s 1.2.3.4/32 -j DROP', '-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT'),
        ),
      ),
    ).toEqual(['note duplicate-rule iptables-save.txt:7 <5']);
    expect(codes(worldWith(filter('-A INPUT -s 10.0.0.0/8 -m iprange --src-range 11.0.0.1-11.0.0.9 -j ACCEPT')))).toEqual([
      'warning never-matches iptables-save.txt:5',
    ]);
    expect(codes(worldWith(filter('-A INPUT -j x', '-A INPUT -p tcp -j ACCEPT', '-A x -p tcp -j LOG', '-A x -j DROP')))).toEqual([
      'warning dead-rule iptables-save.txt:7 <6',
    ]);
  });

  it('tells chains nobody gets to, also those behind a dead rule, once with all that hangs on them', () => {
    expect(codes(worldWith(filter('-A INPUT -j DROP', '-A INPUT -j a', '-A a -p tcp -j b', '-A b -s 10.0.0.0/8 -j ACCEPT')))).toEqual([
      'warning dead-rule iptables-save.txt:8 <7',
      'warning unreached-chain iptables-save.txt:5',
    ]);
  });

  it('tells translation that cannot be, by its own name', () => {
    const nat = (...rules: readonly string[]): string =>
      ['*nat', ...['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'].map((c) => `:${c} ACCEPT [0:0]`), ...rules, 'COMMIT', ''].join('\n');
    expect(codes(worldWith(nat('-A POSTROUTING -s 10.0.0.0/8 -j ACCEPT', '-A POSTROUTING -s 10.244.0.0/16 -o eth0 -j MASQUERADE')))).toEqual([
      'warning dead-nat iptables-save.txt:7 <6',
    ]);
  });

  it('tells of sets that nobody asks or fills, and takes the members of others for what they are', () => {
    const sets =
      'create s hash:net family inet\nadd s 10.0.0.0/8\nadd s 192.168.0.0/16\ncreate e hash:ip family inet\ncreate u hash:ip family inet\nadd u 1.2.3.4\n';
    const rules = filter(
      '-A FORWARD -m set --match-set s src -j DROP',
      '-A FORWARD -s 10.1.2.3/32 -j ACCEPT',
      '-A FORWARD -m set --match-set e dst -j ACCEPT',
    );
    expect(codes(worldWith(rules, { 'ipset-save.txt': sets }))).toEqual([
      'warning dead-rule iptables-save.txt:6 <5',
      'note empty-set ipset-save.txt:4 <7',
      'note unused-set ipset-save.txt:5',
    ]);
  });

  it('claims nothing of IP options, which packets may have, nor of frames that are no IP', () => {
    const nft = `table ip filter {
\tchain input {
\t\ttype filter hook input priority filter; policy accept;
\t\tip option lsrr exists drop
\t\tip option rr missing accept
\t\ttcp dport 22 accept
\t}
}
table netdev t {
\tchain in {
\t\ttype filter hook ingress device "eth0" priority filter; policy drop;
\t\tether type arp accept
\t\tmeta protocol ip accept
\t\tmeta protocol ip6 accept
\t\tmeta protocol != arp drop
\t}
}
`;
    const world = worldOf(readBundle([{ path: 'nft-ruleset.txt', text: nft }], { folder: 'n' }));
    expect(codes(world)).toEqual([]);
  });

  it('needs both families of an inet table', async () => {
    const text = `table inet t {
	chain c {
		type filter hook input priority filter; policy accept;
		ip6 saddr fd00::/8 accept
		tcp dport 22 drop
		ip saddr 10.0.0.0/8 tcp dport { 22 } accept
		meta nfproto ipv4 drop
		tcp dport 80 accept
		ip daddr 1.2.3.4 accept
	}
}
`;
    expect(codes(worldOf(readBundle([{ path: 'n/nft-ruleset.txt', text }])))).toEqual([
      'warning dead-rule nft-ruleset.txt:6 <5',
      'warning dead-rule nft-ruleset.txt:9 <7',
    ]);
  });
});

describe('every rule that is said to be dead', () => {
  const captures = readdirSync(join(root, 'test/captures'))
    .filter((d) => d.startsWith('kube-proxy'))
    .map((d) => `test/captures/${d}`);
  const scenarios = readdirSync(join(root, 'scenarios')).map((d) => `scenarios/${d}`);

  it.each([...captures, ...scenarios])('%s is met by no packet that is aimed at it', async (path) => {
    const { world } = await load(join(root, path));
    const roll = dice(SEED);
    for (const ns of world.namespaces)
      for (const table of ns.tables) for (const d of deadIn(table, ns.sets)) confirm(d, table, ns.sets, PACKETS, roll);
  });

  it('of random chains is met by no packet that is aimed at it', () => {
    const roll = dice(SEED);
    let dead = 0;
    for (let i = 0; i < 300; i++) {
      const ns = worldWith(randomRules(roll), { 'ipset-save.txt': SETS }).namespaces[0]!;
      for (const table of ns.tables)
        for (const d of deadIn(table, ns.sets)) {
          dead++;
          confirm(d, table, ns.sets, PACKETS / 10, roll);
        }
    }
    expect(dead).toBeGreaterThan(500);
  });

  it.each(captures)('%s, written by kube-proxy, gets no warning', async (path) => {
    const { world } = await load(join(root, path));
    expect(lint(world).filter((f) => f.severity === 'warning')).toEqual([]);
  });
});

const SETS = 'create s hash:net family inet\nadd s 10.0.0.0/9\nadd s 10.192.0.0/10\ncreate p hash:ip,port family inet\nadd p 10.0.0.1,tcp:80\n';

/** Rules of few values, so that they meet. */
function randomRules(roll: Dice): string {
  const pick = (list: readonly string[]): string => list[roll(list.length)]!;
  const not = (): string => (roll(5) === 0 ? '! ' : '');
  const nets = ['10.0.0.0/8', '10.0.0.0/9', '10.128.0.0/9', '10.0.0.1/32', '10.192.0.0/10'];
  const parts = [
    () => `${not()}-s ${pick(nets)}`,
    () => `${not()}-d ${pick(nets)}`,
    () => `${not()}-i ${pick(['eth0', 'eth+', 'eth1', 'e+'])}`,
    () => `-m mark ${not()}--mark ${pick(['0x1/0x1', '0x2/0x3', '0x0/0x1', '0x3'])}`,
    () => `-m conntrack ${not()}--ctstate ${pick(['NEW', 'RELATED,ESTABLISHED', 'INVALID', 'NEW,UNTRACKED'])}`,
    () => `-m set ${not()}--match-set ${pick(['s src', 's dst', 'p dst,dst'])}`,
    () => `-p tcp -m tcp ${not()}--dport ${pick(['80', '0:79', '81:65535', '0:1023'])}`,
    () => `-p ${pick(['tcp', 'udp', 'icmp'])}`,
    () => `-p tcp -m multiport ${not()}--ports ${pick(['80', '1:90,443'])}`,
    () => `-p tcp -m tcp --tcp-flags ${pick(['SYN,ACK SYN', 'SYN SYN', 'ALL NONE'])}`,
    () => `-m addrtype ${not()}--dst-type ${pick(['LOCAL', 'UNICAST', 'LOCAL,BROADCAST'])}`,
    () => '-m statistic --mode random --probability 0.5',
  ];
  const targets = [
    'ACCEPT',
    'DROP',
    'RETURN',
    'REJECT',
    'a',
    'b',
    'ACCEPT',
    'DROP',
    'MARK --set-xmark 0x1/0x1',
    'MARK --set-xmark 0x2/0x3',
    'MARK --set-xmark 0x3/0x3',
    'LOG',
    'TOS --set-tos 0x10/0x3f',
  ];
  const rule = (chain: string): string => {
    const chosen = new Set(Array.from({ length: roll(3) }, () => roll(parts.length)));
    const asked = [...chosen].map((i) => parts[i]!()).filter((t, i, all) => !t.startsWith('-p') || all.findIndex((o) => o.startsWith('-p')) === i);
    return `-A ${chain} ${asked.join(' ')} -j ${pick(chain === 'FORWARD' ? targets : targets.filter((t) => t !== 'a' && (t !== 'b' || chain === 'a')))}`;
  };
  const of = (chain: string, n: number): string[] => Array.from({ length: n }, () => rule(chain));
  return filter(...of('FORWARD', 10), ...of('a', 4), ...of('b', 3), '-A OUTPUT -j a', '-A OUTPUT -j b');
}
