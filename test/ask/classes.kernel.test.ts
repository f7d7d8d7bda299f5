// Classes of packets on the kernel: it does with packets of a class what it is said to do with the one that was walked.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Box } from '../../src/ask/box.ts';
import type { PacketClass } from '../../src/ask/classes.ts';
import { isSpaceError, readSpace, type SpaceText } from '../../src/ask/space.ts';
import { walkQuestion } from '../../src/engine/network.ts';
import type { World } from '../../src/model/host.ts';
import type { Packet } from '../../src/model/packet.ts';
import type { Trace } from '../../src/model/trace.ts';
import { formatAddr } from '../../src/net/addr.ts';
import { formatProtocol } from '../../src/net/proto.ts';
import { describeKernel } from '../oracle/kernel.ts';
import { judge, worldOf } from '../probes/compare.ts';
import { Dice } from '../probes/dice.ts';
import { PORTS, SOURCES, TARGETS } from '../probes/language.ts';
import { makeCase, renewal, RULESETS_PER_GROUND } from '../probes/machine.ts';
import { openNode, type Node, type Shot } from '../probes/node.ts';
import { fareOf, mentioned, someClass, tellBox, tellValues, type Values } from './member.ts';

const SEED = Number(process.env['NETWHY_SEED'] ?? 2020);
const CASES = Number(process.env['NETWHY_CASES'] ?? 60);
const CLASSES = 5;
const MEMBERS = 3;

/** What a real node may be sent without an answer of its own kind getting in the way. */
function spaceOf(d: Dice, six: boolean): SpaceText {
  const turned = (addr: string): string => (six ? `fd00::${addr}` : addr);
  const around = (addr: string): string => (six ? `fd00::${addr}/124` : `${addr}/28`);
  const to = [...TARGETS.filter((t) => t !== '192.168.21.255').map(turned), around('8.8.8.8'), around('7.7.7.7')];
  const port = d.pick(PORTS);
  return {
    in: `n/${d.pick(['eth0', 'eth1', 'cali1', 'cali2'])}`,
    from: d.chance(50) ? SOURCES.map(turned) : [around('8.8.8.8'), turned('10.1.0.1'), turned('10.1.0.2')],
    to,
    proto: ['tcp', 'udp'],
    sport: d.chance(50) ? [40000, 1024] : '1-65535',
    dport: [`${port - 1}-${port + 1}`, d.pick(PORTS)],
  };
}

function shotOf(box: Box, { src, dst, sport, dport }: Values, iif: string): Shot {
  return { iif, src: formatAddr(src!), dst: formatAddr(dst!), proto: formatProtocol(box.proto), sport: Number(sport), dport: Number(dport) };
}

/** A course without the values that packets of a class differ in. */
function courseOf(t: Trace): string {
  const rules = t.hops.flatMap((h) => h.steps.flatMap((s) => (s.step === 'rule' && s.truth !== false ? [`${s.table} ${s.chain} ${s.number}`] : [])));
  const { kind, device, at } = t.outcome;
  return `${rules.join(', ')} => ${kind} ${device ?? ''} ${at === undefined ? '' : `${at.file}:${at.line}`}`;
}

/** Every course of the packet that was walked, had it the length and the sender that the kernel saw. */
function coursesOf(world: World, { answer }: PacketClass, like: Packet): string[] {
  const { length, mac } = like;
  const packet: Packet = { ...answer.question.packet, length, ...(mac && { mac }) };
  return walkQuestion(world, { ...answer.question, packet }, { all: true, limit: 4096 }).traces.map(courseOf);
}

describeKernel('packets of a class', () => {
  let node: Node;
  beforeAll(() => {
    node = openNode();
  });
  afterAll(async () => {
    await node.close();
  });

  it(`${CASES} random nodes: the kernel does with each what the class says`, async () => {
    let classes = 0;
    let packets = 0;
    for (let i = 0; i < CASES; i++) {
      // of each ground one rule set
      const { load } = makeCase(SEED, i * RULESETS_PER_GROUND, 1);
      await node.load(load);
      const world = worldOf({ ...(await node.capture()), 'conntrack.txt': '' });
      const d = new Dice(SEED * 31 + i);
      const text = spaceOf(
        d,
        load.ip!.some((l) => l.startsWith('-6')),
      );
      const space = readSpace(world, text);
      if (isSpaceError(space)) throw new Error(space.error);
      const known = mentioned([load.legacy, load.nft, load.legacy6, load.nft6, load.ipset, ...load.ip!].flatMap((t) => t ?? []));
      const tried = d
        .some(CLASSES, CLASSES, () => someClass(d, world, space, known, MEMBERS))
        .flatMap((c) => (c && c.found.inexact === undefined ? [c] : []));
      const shots = tried.flatMap(({ found, members }) => members.map((m) => shotOf(found.box, m, text.in!.slice(2))));
      if (shots.length === 0) continue;
      const sightings = await node.packets(shots, { fresh: true, ...renewal(load) });
      let at = 0;
      for (const { found, members } of tried) {
        classes++;
        for (const values of members) {
          const shot = shots[at]!;
          const comparison = judge(world, shot, sightings[at++]!);
          packets++;
          const told = `case ${i} of seed ${SEED}: ${JSON.stringify(shot)}\n${tellBox(found.box)}\n${tellValues(values)}\n${fareOf(found.answer).join('\n')}`;
          if (!comparison.taken) throw new Error(`netwhy and the kernel disagree: ${told}`);
          expect(coursesOf(world, found, comparison.taken.packet), told).toContain(courseOf(comparison.taken));
        }
      }
    }
    console.log(`classes on the kernel: ${CASES} nodes, ${classes} classes, ${packets} packets of them`);
    expect(classes).toBeGreaterThan(CASES * 2);
  }, 240_000);
});
