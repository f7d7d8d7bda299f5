// Classes of packets: disjoint, covering their space, and every packet of one fares as the one that was walked.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isIn, kindOfPart, PARTS, sizeOf, without, type Box, type Part } from '../../src/ask/box.ts';
import { classesOf, type PacketClass, type Progress } from '../../src/ask/classes.ts';
import { isSpaceError, readSpace, representative, type Space, type SpaceText } from '../../src/ask/space.ts';
import { readScenarioWorld } from '../../src/capture/world.ts';
import { load as loadFolder } from '../../src/cli/load.ts';
import type { World } from '../../src/model/host.ts';
import { familyOf, type Word } from '../../src/net/addr.ts';
import type { Range } from '../../src/net/intervals.ts';
import { makeCase as makeIpvsCase } from '../ipvs/machine.ts';
import { makeNftCase } from '../nft/generate.ts';
import { BASE, save } from '../probes/claim.ts';
import { Dice } from '../probes/dice.ts';
import { makeCase } from '../probes/machine.ts';
import type { Load } from '../probes/node.ts';
import { memberOf, mentioned, otherwise, someClass, tellBox, valueOf } from './member.ts';
import { smallSpaceOf, spaceOf } from './randomspace.ts';
import { worldOf } from './randomworld.ts';

const SEED = Number(process.env['NETWHY_SEED'] ?? 2020);

function spaceFor(world: World, text: SpaceText): Space {
  const first = readSpace(world, text);
  const isEmpty = isSpaceError(first) && first.error.includes('to their own sender');
  const space = isEmpty ? readSpace(world, { ...text, to: JSON.stringify(text).includes('::') ? '::/0' : '0.0.0.0/0' }) : first;
  if (isSpaceError(space)) throw new Error(`${JSON.stringify(text)}: ${space.key}: ${space.error}`);
  return space;
}

// -- boxes

const port = fc.tuple(fc.nat(20), fc.nat(20)).map(([a, b]): Range => [Math.min(a, b), Math.max(a, b)]);
const far = fc.constantFrom(0, 1, 0x7fffffff, 0xfffffffe, 0xffffffff);
const four = fc.tuple(far, far).map(([a, b]): Range => [Math.min(a, b), Math.max(a, b)]);
const wide = (n: number): Word => [0xfd000000, 0, n >= 10 ? 1 : 0, (0xfffffffb + n) >>> 0];
const six = fc.tuple(fc.nat(14), fc.nat(14)).map(([a, b]): Range => {
  const [lo, hi] = [a, b].map((n): readonly [number, Word] => [n, n < 5 ? wide(n) : [0xfd000000, 0, 1, n - 5]]).toSorted((x, y) => x[0] - y[0]);
  return [lo![1], hi![1]];
});

function inside(outer: Range, d: Dice): Range {
  const [a, b] = [valueOf(d, outer, []), valueOf(d, outer, [])];
  return sizeOf({ proto: 6, dst: [a, b] }) > 0n ? [a, b] : [b, a];
}

const boxes = fc.oneof(four, six).chain((dst) =>
  fc.record({
    dst: fc.constant(dst),
    src: fc.option(familyOf(dst[0]) === 4 ? four : six, { nil: undefined }),
    dport: port,
    sport: port,
    dice: fc.nat(),
  }),
);

describe('what is left of a box without another one within it', () => {
  it('has all the other packets, each in one box', () => {
    fc.assert(
      fc.property(boxes, ({ dice, src, ...rest }) => {
        const d = new Dice(dice);
        const box: Box = { proto: 6, ...rest, ...(src && { src }) };
        const inner = PARTS.reduce<Box>((b, part) => (box[part] ? { ...b, [part]: inside(box[part], d) } : b), { proto: 6 });
        const all = [inner, ...without(box, inner)];
        expect(all.reduce((n, b) => n + sizeOf(b), 0n)).toBe(sizeOf(box));
        for (let i = 0; i < 20; i++) {
          const values: Partial<Record<Part, Word>> = {};
          for (const part of PARTS) if (box[part]) values[part] = valueOf(d, box[part], inner[part] ?? []);
          expect(all.filter((b) => isIn(b, values)).length).toBe(1);
        }
      }),
    );
  });

  it('is nothing where both are the same', () => {
    fc.assert(
      fc.property(boxes, ({ dst, src, dport, sport }) => {
        const box: Box = { proto: 17, dst, dport, sport, ...(src && { src }) };
        expect(without(box, box)).toEqual([]);
      }),
    );
  });
});

// -- random nodes

/** What was looked at, to be told at the end. */
const tally = { sets: 0, classes: 0, inexact: 0, packets: 0 };

/** Classes around random packets of a space, and random packets of those. */
function sample(d: Dice, world: World, space: Space, known: readonly Word[], classes: number, members: number): string | undefined {
  for (let i = 0; i < classes; i++) {
    const some = someClass(d, world, space, known, members);
    if (!some) continue;
    tally.classes++;
    if (some.found.inexact !== undefined) {
      tally.inexact++;
      continue;
    }
    tally.packets += some.members.length;
    const told = otherwise(world, space, some.found, some.members);
    if (told !== undefined) return told;
  }
  return undefined;
}

function textsOf(load: Load): string[] {
  const { legacy, nft, legacy6, nft6, ipset, ruleset, ipvs, ip = [] } = load;
  return [...[legacy, nft, legacy6, nft6, ipset, ruleset, ipvs].flatMap((t) => t ?? []), ...ip, JSON.stringify(load.devs)];
}

/** What conntrack has of a client and of a translated one. */
const CONNECTIONS =
  'tcp      6 86400 ESTABLISHED src=8.8.8.8 dst=10.1.0.1 sport=40000 dport=80 src=10.1.0.1 dst=8.8.8.8 sport=80 dport=40000 [ASSURED] mark=16 use=1\n' +
  'udp      17 100 src=10.1.0.2 dst=8.8.8.7 sport=5000 dport=53 src=8.8.8.7 dst=192.168.21.20 sport=53 dport=5000 [ASSURED] mark=0 use=1\n' +
  'tcp      6 100 SYN_RECV src=7.7.7.7 dst=10.96.0.1 sport=1024 dport=443 src=10.1.0.1 dst=7.7.7.7 sport=8080 dport=1024 mark=0 use=1\n';

const MAKERS: Readonly<Record<string, { readonly cases: number; readonly load: (at: number) => Load }>> = {
  iptables: { cases: 1100, load: (at) => makeCase(SEED, at, 1).load },
  nft: { cases: 650, load: (at) => makeNftCase(SEED, at, 1).load },
  IPVS: { cases: 250, load: (at) => makeIpvsCase(SEED, at).scene.load },
};

describe('every packet of a class has its path and its fate', () => {
  for (const [name, { cases, load }] of Object.entries(MAKERS))
    it(`on ${cases} random nodes with ${name}`, () => {
      for (let at = 0; at < cases; at++) {
        const given = load(at);
        const d = new Dice(SEED * 7919 + at);
        const world = worldOf(given, at % 3 === 0 ? CONNECTIONS : '');
        const text = spaceOf(d, given);
        tally.sets++;
        const told = sample(d, world, spaceFor(world, text), mentioned([...textsOf(given), CONNECTIONS]), 2, 3);
        if (told !== undefined) throw new Error(`${name} ${at} of seed ${SEED}, ${JSON.stringify(text)}\n${told}`);
      }
    }, 60_000);

  it('in every scenario, from each namespace and from outside', async () => {
    const root = join(import.meta.dirname, '../../scenarios');
    for (const name of readdirSync(root)) {
      const { world } = await loadFolder(join(root, name));
      const files = readdirSync(join(root, name), { recursive: true, withFileTypes: true });
      const captures = files.filter(
        (f) => f.isFile() && /(?:save|addr|route|rule|ruleset|conntrack|ip_vs|ipvsadm|scenario)[^/]*\.(?:txt|yaml)$/.test(f.name),
      );
      const known = mentioned(captures.map((f) => readFileSync(join(f.parentPath, f.name), 'utf8')));
      const d = new Dice(SEED + name.length);
      for (const text of spacesOf(world)) {
        const told = sample(d, world, spaceFor(world, text), known, 1, 3);
        if (told !== undefined) throw new Error(`${name}, ${JSON.stringify(text)}\n${told}`);
      }
    }
  }, 60_000);

  it('thousands of them were tried, and most classes are exact', () => {
    console.log(`classes: ${tally.sets} rule sets, ${tally.classes} classes (${tally.inexact} inexact), ${tally.packets} packets of them`);
    expect(tally.sets).toBeGreaterThanOrEqual(2000);
    expect(tally.packets).toBeGreaterThanOrEqual(8000);
    expect(tally.inexact).toBeLessThan(tally.classes / 8);
  });
});

/** From each namespace to anywhere, and from outside by each node's first device. */
function spacesOf(world: World): SpaceText[] {
  return world.namespaces.flatMap((ns) =>
    ([4, 6] as const).flatMap((family): SpaceText[] => {
      const own = ns.addresses.find((a) => a.scope === 'global' && familyOf(a.addr) === family);
      const any = { any: family === 4 ? '0.0.0.0/0' : '::/0' };
      if (!own) return [];
      const from: SpaceText = { from: ns.name === '' ? ns.node : `${ns.node}/${ns.name}`, to: any, proto: ['tcp', 'udp', 'icmp'] };
      return ns.name === '' && !ns.stub ? [from, { in: `${ns.node}/${own.device}`, to: any }] : [from];
    }),
  );
}

// -- partitions

function classesWithin(world: World, space: Space, limit: number): { readonly classes: PacketClass[]; readonly progress: Progress } {
  const classes: PacketClass[] = [];
  const walk = classesOf(world, space, { limit });
  for (let step = walk.next(); ; step = walk.next()) {
    if (step.done) return { classes, progress: step.value };
    classes.push(step.value);
  }
}

it('classes are disjoint and cover their space, up to what is said to be left', () => {
  let whole = 0;
  for (let at = 0; at < 60; at++) {
    const load = at % 3 === 0 ? makeNftCase(SEED, at, 1).load : makeCase(SEED, at, 1).load;
    const d = new Dice(SEED + at);
    const world = worldOf(load);
    const known = mentioned(textsOf(load));
    const space = spaceFor(world, smallSpaceOf(d, load));
    const { classes, progress } = classesWithin(world, space, 120);
    expect(classes.reduce((n, c) => n + sizeOf(c.box), progress.left + progress.toThemselves)).toBe(space.size);
    expect(progress.classes).toBe(classes.length);
    if (progress.left === 0n) whole++;
    const sameProto = (box: Box): PacketClass[] => classes.filter((c) => c.box.proto === box.proto);
    for (let i = 0; i < 60; i++) {
      const box = d.pick(space.boxes);
      const values = memberOf(d, box, known);
      if (!values) continue;
      const holders = sameProto(box).filter((c) => isIn(c.box, values));
      expect(holders.length, `${at}: ${holders.map((c) => tellBox(c.box)).join('; ')}`).toBeLessThanOrEqual(1);
      if (progress.left === 0n) expect(holders.length).toBe(1);
    }
    const c = d.pick(classes);
    const members = d.some(4, 4, () => memberOf(d, c.box, known)).filter((m) => m !== undefined);
    expect(c.inexact === undefined ? otherwise(world, space, c, members) : undefined, `${at}`).toBeUndefined();
  }
  expect(whole).toBeGreaterThan(20);
});

// -- what once told packets apart that shared a class, and what might

const IN: SpaceText = { in: 'n/eth0', from: '8.0.0.0/8', to: ['10.1.0.0/24', '8.8.0.0/16', '192.168.21.0/24'], proto: ['tcp', 'udp'] };
const OUT: SpaceText = { from: 'n', to: ['10.1.0.0/24', '8.8.0.0/16', '10.9.0.0/24'], proto: ['tcp', 'udp'] };
const forward = (...rules: readonly string[]): Partial<Load> => ({
  ruleset: `table ip t {\nchain f {\ntype filter hook forward priority 0; policy accept;\n${rules.join('\n')}\n}\n}\n`,
});
const output = (rule: string): Partial<Load> => ({
  ruleset: `table ip t {\nchain o {\ntype filter hook output priority 0; policy accept;\n${rule}\n}\n}\n`,
});
const afterRandom = (rule: string): Partial<Load> => ({
  ruleset: `table ip t {\nchain n {\ntype nat hook postrouting priority 100; policy accept;\nmasquerade random\n}\nchain o {\ntype filter hook postrouting priority 200; policy accept;\n${rule}\n}\n}\n`,
});
const legacy = (table: string, ...rules: readonly string[]): Partial<Load> => ({ legacy: save({ [table]: rules }) });

const CORNERS: readonly (readonly [title: string, space: SpaceText, load: Partial<Load>, inexact?: 'inexact'])[] = [
  ['a rule that only logs', IN, legacy('filter', '-A FORWARD -s 8.8.8.8 -j LOG')],
  ['DNAT to an address that some have', IN, legacy('nat', '-A PREROUTING -j DNAT --to-destination 10.1.0.77')],
  ['DNAT to the sender', IN, legacy('nat', '-A PREROUTING -j DNAT --to-destination 8.8.8.8')],
  ['DNAT to a port that some have', IN, legacy('nat', '-A PREROUTING -d 10.1.0.1 -p tcp -j DNAT --to-destination 10.1.0.1:8080')],
  [
    'DNAT to a range of ports',
    IN,
    {
      legacy: save({ nat: ['-A PREROUTING -p tcp -j DNAT --to-destination 10.1.0.1:8000-8003'], filter: ['-A FORWARD -p tcp --dport 8001 -j DROP'] }),
    },
  ],
  [
    'SNAT to a range of ports',
    IN,
    {
      legacy: save({
        nat: ['-A POSTROUTING -p udp -j SNAT --to-source 192.168.21.20:2000-2100'],
        mangle: ['-A POSTROUTING -p udp --sport 2050 -j TOS --set-tos 0x10'],
      }),
    },
  ],
  ['SNAT to an address that some have', IN, legacy('nat', '-A POSTROUTING -j SNAT --to-source 8.8.8.9')],
  ['addresses of gateways', OUT, { ip: [...BASE.ip!, 'route add 8.8.0.0/16 via 10.9.0.1 dev eth1', 'route add 10.1.0.0/25 via 10.9.0.7 dev eth1'] }],
  ['the mark from a port', IN, forward('meta mark set tcp dport', 'meta mark 80 drop'), 'inexact'],
  ["the connection's mark from a port", IN, forward('ct mark set tcp dport', 'ct mark 80 drop'), 'inexact'],
  ['the mark from some bits of an address', IN, forward('meta mark set ip saddr & 0x0000ff00', 'meta mark 0x00000800 drop'), 'inexact'],
  ['the mark from a map', IN, forward('meta mark set tcp dport map { 80 : 1, 443 : 2 }', 'meta mark 2 drop')],
  ['a port from the other one', IN, forward('tcp dport set tcp sport', 'tcp dport 80 drop'), 'inexact'],
  ['a port that some have already', IN, forward('tcp dport set 80', 'tcp dport 80 counter')],
  ['an address that some have already', IN, forward('ip daddr set 8.8.8.8')],
  ['raw bits of an address', IN, forward('@nh,128,32 & 0x000000ff == 5 drop'), 'inexact'],
  ['raw bytes of an address', IN, forward('@nh,128,32 0x0a010005 drop'), 'inexact'],
  ['the last byte of an address', IN, forward('ip saddr & 0.0.0.255 == 0.0.0.5 drop')],
  ['some bits of a port', IN, forward('tcp dport & 255 == 5 drop')],
  ['a map with an open component', OUT, output('meta skuid . tcp dport vmap { 0 . 80 : drop, 5 . 443 : accept }')],
  ['a set with an open component', OUT, output('meta skuid . tcp dport { 0 . 80, 5 . 443 } drop')],
  ['a map behind random ports', IN, afterRandom('tcp sport . tcp dport vmap { 5000 . 80 : drop, 5 . 443 : accept }')],
  ['addresses with ports', IN, forward('ip saddr . th dport vmap { 8.8.8.8 . 80 : drop, 8.8.8.0/24 . 100-200 : drop }')],
  ['routes asked by a rule', IN, forward('fib daddr type local drop', 'fib saddr . iif oif missing drop')],
  ['a hash', IN, forward('jhash ip saddr mod 2 vmap { 0 : drop, 1 : accept }')],
  ['ports of what has none', { ...IN, proto: 'icmp' }, forward('th dport 80 drop')],
  ['bytes', IN, legacy('filter', '-A FORWARD -m u32 --u32 "12=0x08080808" -j DROP'), 'inexact'],
  [
    'what was seen lately',
    IN,
    legacy('filter', '-A FORWARD -m recent --name a --set --rsource', '-A FORWARD -m recent --name a --rcheck --rdest -j DROP'),
  ],
  [
    'rates by source',
    IN,
    legacy('filter', '-A FORWARD -p tcp -m hashlimit --hashlimit-upto 5/sec --hashlimit-name a --hashlimit-mode srcip -j DROP'),
  ],
  ['masks with holes', IN, legacy('filter', '-A FORWARD -s 8.0.8.0/255.0.255.0 -j DROP', '-A FORWARD ! -d 10.1.0.1/255.255.0.255 -j DROP')],
  ['NETMAP', IN, { legacy: save({ nat: ['-A PREROUTING -j NETMAP --to 10.1.0.0/24'], filter: ['-A FORWARD -d 10.1.0.1 -j DROP'] }) }, 'inexact'],
  [
    'a range of addresses',
    IN,
    { legacy: save({ nat: ['-A PREROUTING -j DNAT --to-destination 10.1.0.1-10.1.0.9'], filter: ['-A FORWARD -d 10.1.0.2 -j DROP'] }) },
    'inexact',
  ],
  [
    'ports moved together',
    IN,
    {
      legacy: save({
        nat: ['-A PREROUTING -p tcp -j DNAT --to-destination 10.1.0.1:5000-5100/1000'],
        filter: ['-A FORWARD -p tcp --dport 5005 -j DROP'],
      }),
    },
    'inexact',
  ],
  [
    'what was asked before DNAT',
    IN,
    {
      legacy: save({
        nat: ['-A PREROUTING -p tcp -d 8.8.8.0/24 -j DNAT --to-destination 10.1.0.1:8080'],
        filter: ['-A FORWARD -p tcp --dport 8080 -m conntrack --ctorigdst 8.8.8.8 --ctorigdstport 100:200 -j DROP'],
      }),
    },
  ],
  ['many ports, negated', IN, legacy('filter', '-A FORWARD -p tcp -m multiport ! --ports 80,100:200 -j DROP')],
  [
    'a set of addresses with ports, negated',
    IN,
    {
      ipset: 'create s hash:ip,port\nadd s 8.8.8.8,tcp:80\nadd s 10.1.0.1,udp:53\n',
      ...legacy('filter', '-A FORWARD -m set ! --match-set s dst,dst -j DROP'),
    },
  ],
  [
    'a set that rules change',
    IN,
    {
      ipset: 'create s hash:ip\n',
      legacy: save({
        mangle: ['-A FORWARD -m statistic --mode random --probability 0.5 -j SET --add-set s src'],
        filter: ['-A FORWARD -m set --match-set s dst -j DROP'],
      }),
    },
    'inexact',
  ],
];

describe('no class holds packets that fare otherwise', () => {
  for (const [title, text, part, inexact] of CORNERS)
    it(title, () => {
      const load: Load = { ...BASE, ...part };
      const world = worldOf(load, CONNECTIONS);
      expect(world.findings.filter((f) => f.severity === 'error')).toEqual([]);
      const known = [...mentioned([...textsOf(load), CONNECTIONS]), 5, 79, 80, 81, 261, 0x08000805, 0x08080805];
      const space = spaceFor(world, text);
      const d = new Dice(SEED);
      let isInexact = false;
      for (let i = 0; i < 30; i++) {
        const some = someClass(d, world, space, known, 6);
        if (some?.found.inexact !== undefined) isInexact = true;
        else if (some) expect(otherwise(world, space, some.found, some.members)).toBeUndefined();
      }
      expect(isInexact).toBe(inexact !== undefined);
    });

  it('who answers ARP for others hangs on routes of a node that the packet does not come to', () => {
    const addr = (n: number, more = ''): string =>
      `2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500\n    link/ether 02:00:00:00:00:0${n} brd ff:ff:ff:ff:ff:ff\n    inet 10.0.0.${n}/16 brd 10.0.255.255 scope global eth0\n${more}`;
    const routes = (n: number, more = ''): string =>
      `10.0.0.0/16 dev eth0 proto kernel scope link src 10.0.0.${n}\n${more}local 10.0.0.${n} dev eth0 table local proto kernel scope host src 10.0.0.${n}\n`;
    const rules = '0:\tfrom all lookup local\n32766:\tfrom all lookup main\n';
    const filter = save({ filter: [] });
    const second = '3: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500\n    link/ether 02:00:00:00:00:12 brd ff:ff:ff:ff:ff:ff\n';
    const files = Object.entries({
      'a/ip-addr.txt': addr(1),
      'a/ip-route.txt': routes(1),
      'a/ip-rule.txt': rules,
      'a/iptables-save.txt': filter,
      'b/ip-addr.txt': addr(2, second),
      'b/ip-route.txt': routes(2, '10.0.9.0/24 dev eth1 scope link\n'),
      'b/ip-rule.txt': rules,
      'b/iptables-save.txt': filter,
      'b/sysctl.txt':
        'net.ipv4.ip_forward = 1\nnet.ipv4.conf.eth0.forwarding = 1\nnet.ipv4.conf.eth0.proxy_arp = 1\nnet.ipv4.conf.all.rp_filter = 0\n',
    }).map(([path, text]) => ({ path, text }));
    const scenario = { title: 'two nodes', nodes: { a: { capture: 'a' }, b: { capture: 'b' } }, wires: { lan: ['a/eth0', 'b/eth0'] } };
    const { world } = readScenarioWorld(scenario, files, () => ({ file: 'scenario.yaml', line: 1 }));
    const space = spaceFor(world, { from: 'a', to: '10.0.0.0/16', proto: 'tcp' });
    const d = new Dice(SEED);
    expect(sample(d, world, space, mentioned(files.map((f) => f.text)), 40, 8)).toBeUndefined();
  });
});

describe('a space', () => {
  const world = worldOf(BASE);

  it('may be of IPv6 from anybody outside', () => {
    const { boxes: all } = spaceFor(world, { in: 'n/eth0', to: 'fd00::/64', proto: 'tcp' });
    expect(all.every((b) => b.src && familyOf(b.src[0]) === 6)).toBe(true);
  });

  it('may come from one address to another', () => {
    const space = spaceFor(world, { in: 'n/eth0', from: '8.8.8.1-8.8.8.3', to: '10.1.0.1', proto: 'tcp', sport: 1, dport: 2 });
    expect(space.size).toBe(3n);
  });

  it('is represented by a packet to somebody else, where there is one', () => {
    for (const part of ['src', 'dst'] as const) {
      const other = part === 'src' ? 'dst' : 'src';
      const box: Box = { proto: 6, [part]: [7, 9], [other]: [7, 7] };
      const { src, dst } = representative(box);
      expect(src).not.toEqual(dst);
      expect(PARTS.filter((p) => kindOfPart(p) === 'addr').every((p) => isIn(box, { [p]: representative(box)[p]! }))).toBe(true);
    }
  });
});
