import { Dice } from '../probes/dice.ts';
import { makeNetwork, makeShot } from './generate.ts';
import { openGround } from './ground.ts';
import { judge, worldOf } from './judge.ts';
const [seed = 1, cases = 5, packets = 40, only = -1] = process.argv.slice(2).map(Number);
const g = openGround();
const count = { yes: 0, arp: 0, no: 0, 'cannot-tell': 0, refused: 0 };
let t0 = performance.now(),
  tb = 0,
  tp = 0,
  tw = 0;
const ends: Record<string, number> = {};
for (let at = 0; at < cases; at++) {
  if (only >= 0 && at !== only) continue;
  const d = new Dice(seed * 100003 + at);
  const net = makeNetwork(d);
  let shots = d.some(packets, packets, () => makeShot(d, net));
  if (process.env['FROM']) shots = shots.slice(Number(process.env['FROM']), Number(process.env['TO']) + 1);
  if (process.env['ONE'])
    shots = [
      shots[Number(process.env['ONE'])]!,
      { ...shots[Number(process.env['ONE'])]!, ttl: 64 },
      shots[Number(process.env['ONE'])]!,
      shots[Number(process.env['ONE'])]!,
    ];
  try {
    let t = performance.now();
    const captures = await g.build(net.plan);
    tb += performance.now() - t;
    t = performance.now();
    const seen = await g.packets(net.plan, shots);
    tp += performance.now() - t;
    t = performance.now();
    const world = worldOf(net.plan, captures);
    let shown = 0;
    for (const [i, s] of shots.entries()) {
      const c = judge(world, s, seen[i]!);
      count[c.agreed]++;
      const e = (seen[i]!.request.end.length ? 'arrived' : 'lost') + (seen[i]!.reply ? (seen[i]!.reply!.end.length ? '+back' : '+lost') : '');
      ends[e] = (ends[e] ?? 0) + 1;
      if (c.agreed !== 'yes' && c.agreed !== 'arp' && process.env['PLAN'] && Number(process.env['PLAN']) === i)
        for (const p of net.plan.places)
          console.log(
            p.name,
            '\n   ',
            [
              ...p.ip,
              ...(p.bridge ?? []).map((x) => `bridge ${x}`),
              ...Object.entries(p.sysctls ?? {}).map(([k, v]) => `${k}=${v}`),
              ...Object.entries(p.rules ?? {}).flatMap(([t, l]) => l.map((x, n) => `${t} ${x}`)),
            ].join('\n    '),
          );
      if (c.agreed !== 'yes' && c.agreed !== 'arp' && shown++ < 2)
        console.log(
          `--- case ${at} shot ${i} ${c.agreed}\n${JSON.stringify(s)}\nK ${c.kernel}\n${c.courses
            .slice(0, 3)
            .map((x) => `N ${x}`)
            .join('\n')}\n  ${c.why.slice(0, 3).join('\n  ')}`,
        );
    }
    tw += performance.now() - t;
  } catch (e) {
    count.refused++;
    console.log(`case ${at}: ${String(e).slice(0, 300)}`);
  }
}
console.log(count, ends, { total: (performance.now() - t0) | 0, build: tb | 0, packets: tp | 0, netwhy: tw | 0 });
await g.close();
