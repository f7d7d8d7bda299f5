// Each command is carried out by the real tool in a namespace and by an edit of what was captured before: both refuse it for the same
// reason, or the tables are the same after it.
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { applyEdit, isRefused } from '../../src/ask/edit.ts';
import { readNamespace } from '../../src/capture/namespace.ts';
import type { Namespace, World } from '../../src/model/host.ts';
import type { Chain, Rule } from '../../src/model/ruleset.ts';
import { BUILT_IN } from '../../src/iptables-parser/save.ts';
import { describeKernel } from '../oracle/kernel.ts';

const seed = Number(process.env['NETWHY_SEED'] ?? 2020);

interface Told {
  readonly command: string;
  readonly status: number;
  readonly said: string;
  readonly capture: string;
}

/** Runs the commands one after the other in a namespace of their own, and captures after each. */
function inNamespace(commands: readonly string[], save: string, before: string): { readonly first: string; readonly told: readonly Told[] } {
  const script = commands.map((c) => {
    const [line, ...input] = c.split('\n');
    return `echo @@said\n${line}${input.length > 0 ? ` <<'END'\n${input.join('\n')}\nEND` : ''}\necho "@@status $?"\n${save}\n`;
  });
  const run = spawnSync('unshare', ['--net', 'bash', '-s'], {
    input: `exec 2>&1\n${before}\n${save}\n${script.join('')}`,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const [first = '', ...rest] = run.stdout.split('@@said\n');
  return {
    first,
    told: rest.map((text, i) => {
      const [, said = '', status = '', capture = ''] = /^(.*?)@@status (\d+)\n(.*)$/s.exec(text) ?? [];
      return { command: commands[i]!, said, status: Number(status), capture };
    }),
  };
}

const asWorld = (ns: Namespace): World => ({ namespaces: [ns], wires: [], findings: [] });
const read = (text: string, path: string): Namespace => readNamespace([{ path, text }], 'n1', '').namespace;

/** What a rule asks and does; of nft without its words, which nft lists in its own spelling (`0x00000001`). */
function said(r: Rule): string {
  const meaning = JSON.stringify([r.match, r.then], (key, value: unknown) => (key === 'text' || key === 'at' ? undefined : value));
  return `${r.number} ${r.text.startsWith('-A ') ? r.text : ''} ${meaning}`;
}

/** What of the tables an edit has to get right. */
function shape(ns: Namespace): unknown {
  const ofChain = (c: Chain): unknown => [c.base?.policy, c.rules.map(said)];
  const tables = ns.tables.map((t) => {
    const sets = Object.values(t.sets ?? {}).map((s) => [
      s.name,
      s.declared,
      s.elements.map((e) => JSON.stringify([e.key, e.data, e.verdict])).toSorted(),
    ]);
    const chains = Object.values<Chain>(t.chains).map((c) => [c.name, ofChain(c)]);
    return [`${t.family} ${t.name}`, Object.fromEntries(chains), Object.fromEntries(sets.map(([n, ...s]) => [n, s]))];
  });
  return Object.fromEntries(tables);
}

/** A refusal without what differs from one version or name of the tool to the next. */
function reason(text: string): string {
  return text
    .split('\n')
    .filter((l) => !/^(?:Try|Perhaps|# Warning|add |insert |delete |replace |create |flush |rename | *\^)/.test(l) && l.trim() !== '')
    .filter((l, i, all) => i === 0 || !l.includes('CHAIN_DEL') || all[0] === l)
    .join(' ')
    .replace(/^(?:ip6?tables|nft)\S*(?: v[\d.]+)?(?: \(\w+\))?: */, '')
    .replace(/Run `dmesg' for more information\.|\(-[mj] .*\)$|; did you mean .*|Error occurred at line: \d+/g, '')
    .replace(/^\/dev\/stdin:\S+ /, '')
    .replace(/^Error: (?:Could not process rule: )?/, '')
    .replace(/chain \w+$/, 'chain')
    .replace(/^(line \d+): /, '$1 failed: ')
    .trim()
    .replace(/^element does not exist$/, 'No such file or directory')
    .replace(/^syntax error.*/, 'syntax error');
}

function compare(commands: readonly string[], save: string, path: string, before = ''): void {
  const { first, told } = inNamespace(commands, save, before);
  expect(told).toHaveLength(commands.length);
  let now = asWorld(read(first, path));
  for (const { command, said, status, capture } of told) {
    const next = applyEdit(now, { node: 'n1', namespace: '', command, at: { file: 'edit', line: 1 } });
    const where = `${command} (kernel: ${status} ${said.trim()})`;
    if (isRefused(next)) {
      expect(`${where}: ${status !== 0}`, next.refused).toBe(`${where}: true`);
      const [ours, theirs] = [reason(next.refused), reason(said)];
      // iptables-legacy-restore gives no reason
      const isBare = /^line \d+ failed$/.test(theirs);
      // iptables-nft-restore reads on before it looks for the chains of jumps
      const isLate = said.includes('Error occurred at line');
      const heard = isBare ? /^line \d+ failed/.exec(ours)?.[0] : isLate ? ours.replace(/^line \d+ failed: /, '') : ours;
      expect(`${where}: ${heard}`).toBe(`${where}: ${theirs}`);
    } else {
      expect(`${where}: carried out ${status === 0}`).toBe(`${where}: carried out true`);
      now = next;
    }
    expect(shape(now.namespaces[0]!), where).toEqual(shape(read(capture, path)));
  }
}

const LISTED = `-A NOPE -j ACCEPT
-I NOPE -j ACCEPT
-A INPUT -j NOSUCH
-A INPUT -g NOSUCH
-D INPUT -s 1.2.3.4 -j ACCEPT
-D INPUT 0
-D NOPE 1
-D NOPE -j ACCEPT
-I INPUT 3 -j ACCEPT
-I INPUT 0 -j ACCEPT
-I INPUT 1 -s 9.9.9.9 -j DROP
-D INPUT 7
-R INPUT 5 -j ACCEPT
-R INPUT 1 -d 9.9.9.9 -j DROP
-R INPUT -j DROP
-N a
-N a
-N INPUT
-N ACCEPT
-N -x
-N aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
-A a -j ACCEPT
-X a
-A INPUT -p udp -j a
-A INPUT -p tcp -g a
-F a
-X a
-X nope
-F nope
-E nope b
-E a INPUT
-E a b
-A b -m comment --comment "to a" -j RETURN
-N c
-E b c
-E b b
-P c DROP
-P nope DROP
-P INPUT REJECT
-P INPUT c
-P FORWARD DROP
-A c -j b
-A b -j c
-A b -j b
-A c -j INPUT
-X
-Z nope
-Z
-t nosuch -A INPUT -j ACCEPT
-t nat -A FORWARD -j ACCEPT
-t nat -N d
-t nat -A INPUT -j MASQUERADE
-t nat -A d -j MASQUERADE
-t nat -A INPUT -j d
-t nat -A POSTROUTING -s 10.0.0.0/8 -j d
-t nat -A POSTROUTING -j DNAT --to-destination 1.2.3.4
-t nat -A PREROUTING -j DNAT
-t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to 1.2.3.4:8080
-t nat -P PREROUTING DROP
-A INPUT -j MASQUERADE
-A FORWARD -j REJECT
-t mangle -A FORWARD -j REJECT
-A INPUT -p tcp --dport 80
-A INPUT --dport 80 -j ACCEPT
-A INPUT -p foo -j ACCEPT
-A INPUT -s 1.2.3.400 -j ACCEPT
-A INPUT -o eth0 -j ACCEPT
-A OUTPUT -i eth0 -j ACCEPT
-A POSTROUTING -j ACCEPT
-A INPUT -m owner --uid-owner 0 -j DROP
-A OUTPUT -m owner --uid-owner 0 -j DROP
-A INPUT -s 10.0.0.1,10.0.0.2 -j DROP
-I INPUT 1 -s 10.0.0.3,10.0.0.4 -j DROP
-R INPUT 1 -s 10.0.0.3,10.0.0.4 -j DROP
-D INPUT -s 10.0.0.1,10.0.0.2 -j DROP
-A INPUT
-A
-A INPUT -j
-F INPUT extra
-A INPUT -D INPUT
-C INPUT -j QUEUE
-P INPUT DROP -j DROP
-A INPUT -m nosuch -j DROP
-w 5 -A INPUT -m comment --comment "a b" -j DROP
-D INPUT -m comment --comment "a b" -j DROP
-AINPUT -p tcp -m multiport --dports 1,2,3 -j ACCEPT
--table=mangle --append PREROUTING -j MARK --set-mark 1
-A INPUT -p tcp -m multiport --dports 1,2,3 extra -j ACCEPT
-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-D INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-F
-X
-t nat -F`
  .split('\n')
  .filter((l) => l !== '');

const RESTORED = [
  '*filter\n:x - [0:0]\n-A x -j ACCEPT\n-A x -j DROP\nCOMMIT',
  '*filter\n:x - [0:0]\n-A x -s 1.1.1.1 -j RETURN\n-A INPUT -j x\nCOMMIT\n*nat\n:y - [0:0]\n-A POSTROUTING -j y\n-A y -j MASQUERADE\nCOMMIT',
  '*filter\n-D x -j DROP\nCOMMIT',
  '*filter\n-D INPUT -j x\n-F x\n-X x\n:INPUT DROP [0:0]\nCOMMIT',
  '*filter\n:z - [0:0]\n:INPUT ACCEPT [0:0]\n[5:10] -A INPUT -p tcp -m tcp --dport 22 -j z\n-I z 1 -j DROP\nCOMMIT',
];

function random(n: number): () => number {
  let s = n >>> 0 || 1;
  return () => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return (s >>> 0) / 2 ** 32;
  };
}

/** Commands of few names, so that they come by one another's work. */
function dice(n: number, from: number): string[] {
  const roll = random(from);
  const of = <T>(list: readonly T[]): T => list[Math.floor(roll() * list.length)]!;
  const chain = (): string => of(['INPUT', 'FORWARD', 'a', 'b', 'c']);
  const rule = (): string =>
    `${of(['', '-p tcp ', '-p udp --dport 53 ', '-s 10.0.0.0/8 ', '! -d 192.168.0.1 '])}-j ${of(['ACCEPT', 'DROP', 'a', 'b', 'c', 'RETURN', 'REJECT'])}`;
  return Array.from({ length: n }, () =>
    of([
      () => `-A ${chain()} ${rule()}`,
      () => `-A ${chain()} ${rule()}`,
      () => `-I ${chain()} ${of(['', '1 ', '2 ', '3 '])}${rule()}`,
      () => `-D ${chain()} ${of(['1', '2', rule()])}`,
      () => `-R ${chain()} ${of(['1', '2'])} ${rule()}`,
      () => `-N ${of(['a', 'b', 'c'])}`,
      () => `-X ${of(['a', 'b', 'c'])}`,
      () => `-F ${chain()}`,
      () => `-E ${of(['a', 'b'])} ${of(['b', 'c'])}`,
      () => `-P ${chain()} ${of(['ACCEPT', 'DROP'])}`,
    ])(),
  );
}

describeKernel('an edit by iptables is what iptables does', () => {
  for (const [tool, save] of [
    ['iptables-legacy', 'iptables-legacy-save'],
    ['iptables-nft', 'iptables-nft-save 2>/dev/null'],
    ['ip6tables-legacy', 'ip6tables-legacy-save'],
    ['ip6tables-nft', 'ip6tables-nft-save 2>/dev/null'],
  ] as const) {
    const path = `${tool}-save`;
    // iptables-nft makes a chain of its own when it is first used; a capture shows it all the same
    const chains = Object.entries(BUILT_IN).flatMap(([table, names]) => names.map((name) => `${tool} -t ${table} -P ${name} ACCEPT`));
    const before = [...chains, `${tool} -A OUTPUT -p tcp -j ACCEPT`].join('\n');
    const isSix = tool.startsWith('ip6');
    if (!isSix)
      it(`${tool}: listed commands`, () =>
        compare(
          LISTED.map((l) => `${tool} ${l}`),
          save,
          path,
          before,
        ));
    const asSix = (line: string): string => (isSix ? line.replaceAll(/10\.0\.0\.0\/8/g, 'fd00::/8').replaceAll('192.168.0.1', 'fe80::1') : line);
    if (!isSix)
      it(`${tool}-restore: listed texts`, () => {
        compare([...RESTORED.map((l) => `${tool}-restore -n\n${l}`), ...RESTORED.map((l) => `${tool}-restore\n${l}`)], save, path, before);
      });
    it(`${tool}: random commands`, () =>
      compare(
        dice(150, seed + 1).map((l) => `${tool} ${asSix(l)}`),
        save,
        path,
        before,
      ));
  }
});

const NFT_LISTED = `nft add rule ip t c accept
nft add table ip t
nft add table ip t
nft create table ip t
nft add rule ip t c accept
nft add chain ip t c
nft create chain ip t c
nft add rule ip t c jump d
nft add rule ip t c jump c
nft add chain ip t d
nft add rule ip t c jump d
nft delete chain ip t d
nft add chain ip t b '{ type filter hook input priority 0; }'
nft add rule ip t d jump c
nft add rule ip t b jump c
nft add rule ip t c jump b
nft add rule ip t b masquerade
nft add rule ip t d masquerade
nft add chain ip t b '{ policy drop; }'
nft add chain ip t b '{ type filter hook input priority 10; }'
nft add chain ip t b '{ type filter hook input priority 0; policy accept; }'
nft add chain ip t c '{ policy drop; }'
nft delete rule ip t c handle 99
nft delete rule ip t c accept
nft replace rule ip t c handle 99 drop
nft insert rule ip t c index 5 drop
nft add rule ip t c index 5 drop
nft add rule ip t c position 99 drop
nft insert rule ip t c ip saddr 1.1.1.1 drop
nft insert rule ip t c index 1 ip saddr 1.1.1.2 drop
nft add rule ip t c index 0 ip saddr 1.1.1.3 drop
nft add set ip t s '{ type ipv4_addr; }'
nft add set ip t s '{ type ipv4_addr; }'
nft add set ip t s '{ type inet_service; }'
nft add element ip t s '{ 1.1.1.1 }'
nft add element ip t s '{ 1.1.1.1, 1.1.1.2 }'
nft create element ip t s '{ 1.1.1.1 }'
nft add element ip t s '{ 1.1.1.0/24 }'
nft delete element ip t s '{ 2.2.2.2 }'
nft delete element ip t s '{ 1.1.1.2 }'
nft add element ip t nos '{ 2.2.2.2 }'
nft add rule ip t c ip saddr @s drop
nft add rule ip t c ip saddr @nos drop
nft delete set ip t s
nft delete set ip t nos
nft add set ip t i '{ type ipv4_addr; flags interval; }'
nft add element ip t i '{ 10.0.0.0/8 }'
nft add element ip t i '{ 10.1.0.0/16 }'
nft add element ip t i '{ 10.0.0.0/8 }'
nft delete element ip t i '{ 10.1.0.0/16 }'
nft add element ip t i '{ 11.0.0.1-11.0.0.9, 12.0.0.0/24 }'
nft delete element ip t i '{ 10.0.0.0/8 }'
nft add map ip t m '{ type ipv4_addr : verdict; }'
nft add element ip t m '{ 1.1.1.1 : jump c }'
nft add element ip t m '{ 1.1.1.1 : drop }'
nft add element ip t m '{ 1.1.1.2 : jump nosuch }'
nft add element ip t m '{ 1.1.1.3 }'
nft delete element ip t m '{ 1.1.1.1 }'
nft delete element ip t m '{ 1.1.1.1 : jump c }'
nft flush set ip t nos
nft add element ip t m '{ 1.1.1.1 : accept, 1.1.1.9 : goto d }'
nft flush map ip t m
nft add set ip t k '{ type ipv4_addr . inet_proto . inet_service; flags interval; }'
nft add element ip t k '{ 10.0.0.0/24 . tcp . 80-90 }'
nft add rule ip t b ip saddr . meta l4proto . th dport @k accept
nft flush chain ip t nos
nft flush chain ip t c
nft delete chain ip t c
nft delete chain ip t d
nft delete chain ip t nos
nft delete table ip nos
nft flush table ip nos
nft flush table ip t
nft rename chain ip t nos e
nft add chain ip t e
nft rename chain ip t e f
nft add rule ip t b
nft add chain ip t pp '{ type nat hook prerouting priority 0; }'
nft add rule ip t pp reject
nft add rule ip t pp masquerade
nft add rule ip t pp tcp dport 80 dnat to 10.0.0.1:8080
nft add chain ip t xx '{ type nat hook forward priority 0; }'
nft add chain inet u ch
nft 'add table inet u; add chain inet u ch; add rule inet u ch ct state established,related accept'
nft 'add rule inet u ch tcp dport { 22,80 } counter accept; add rule inet u nope drop'
nft add rule inet u ch tcp dport {22, 80} counter drop
nft add rule inet u ch ip6 saddr fd00::/8 iifname eth0 accept comment '"to them"'
nft delete map ip t m
nft delete chain ip t b
nft delete table ip t`
  .split('\n')
  .filter((l) => l !== '');

const SCRIPTS = [
  'table inet w {\n\tset s {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { 10.0.0.0/8,\n\t\t\t     11.0.0.1 }\n\t}\n\tchain in {\n\t\ttype filter hook input priority 0; policy drop;\n\t\tip saddr @s accept\n\t}\n}',
  'add rule inet w in tcp dport 22 accept\nflush chain inet w in\nadd rule inet w in udp dport 53 accept # dns\ndelete set inet w s',
  'table inet w {\n\tchain in {\n\t\ticmp type echo-request accept\n\t}\n}\nadd rule inet w in jump out',
  'flush ruleset\ntable ip x {\n\tchain c {\n\t}\n}',
];

function nftDice(n: number, from: number): string[] {
  const roll = random(from);
  const of = <T>(list: readonly T[]): T => list[Math.floor(roll() * list.length)]!;
  const chain = (): string => of(['in', 'a', 'b']);
  const rule = (): string =>
    of(['', 'tcp dport { 80, 443 } ', 'ip saddr @s ', 'meta mark 0x00000001 ', 'ct state new ']) +
    of(['accept', 'drop', 'jump a', 'goto b', 'return']);
  const element = (): string => of(['10.0.0.0/24', '10.0.0.7', '10.0.1.0-10.0.1.9', '10.0.0.0/16']);
  return Array.from({ length: n }, () =>
    of([
      () => `add rule inet t ${chain()} ${of(['', '', 'index 0 ', 'index 1 '])}${rule()}`,
      () => `insert rule inet t ${chain()} ${of(['', '', 'index 0 ', 'index 2 '])}${rule()}`,
      () => `${of(['add', 'create', 'delete', 'flush'])} chain inet t ${of(['a', 'b'])}`,
      () => `add chain inet t in '{ policy ${of(['accept', 'drop'])}; }'`,
      () => `${of(['add', 'add', 'create', 'delete'])} element inet t s { ${element()} }`,
      () => `${of(['delete', 'flush'])} set inet t s`,
      () => `add set inet t s '{ type ipv4_addr; flags interval; }'`,
    ])(),
  ).map((c) => `nft ${c}`);
}

describeKernel('an edit by nft is what nft does', () => {
  // words that nft spells otherwise when it lists them are of no matter here: what is read of both is
  const save = 'nft -a list ruleset';
  it('listed commands', () => compare(NFT_LISTED, save, 'nft-ruleset.txt', 'nft add table inet first; nft add chain inet first x'));
  it('scripts', () =>
    compare(
      SCRIPTS.map((s) => `nft -f -\n${s}`),
      save,
      'nft-ruleset.txt',
      'nft add table inet first; nft add chain inet first x',
    ));
  it('jumps as deep as the kernel follows them', () => {
    const chains = Array.from({ length: 19 }, (_, i) => `nft add chain ip t c${i}`);
    const jumps = Array.from({ length: 18 }, (_, i) => `nft add rule ip t c${i} jump c${i + 1}`);
    const before = ['nft add table ip t', ...chains, `nft add chain ip t b '{ type filter hook input priority 0; }'`, 'nft add rule ip t b jump c0'];
    compare(jumps, save, 'nft-ruleset.txt', before.join('\n'));
  });
  it('random commands', () => {
    const before = `nft add table inet t; nft add chain inet t in '{ type filter hook input priority 0; }'; nft add chain inet t a`;
    compare(nftDice(200, seed + 2), save, 'nft-ruleset.txt', before);
  });
  it('rules by their handles', () => {
    const before = 'nft add table ip t; nft add chain ip t c; for i in 1 2 3 4; do nft add rule ip t c ip saddr 10.0.0.$i accept; done';
    const handles = ['delete rule ip t c handle 3', 'replace rule ip t c handle 2 ip saddr 10.0.0.9 drop', 'add rule ip t c handle 4 drop'];
    compare(
      [...handles, 'insert rule ip t c position 5 ip daddr 10.0.0.7 accept'].map((h) => `nft ${h}`),
      save,
      'nft-ruleset.txt',
      before,
    );
  });
});
