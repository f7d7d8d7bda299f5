// Random commands of ipset: what a kernel does with them, and what netwhy makes of what was captured before each.
import { join } from 'node:path';
import { it } from 'vitest';
import { describeGuest } from '../oracle/guest.ts';
import { describeKernel } from '../oracle/kernel.ts';
import { Dice } from '../probes/dice.ts';
import { compare, ipsetReason, play, SETS, setsOf } from './played.ts';

const SEED = Number(process.env['NETWHY_SEED'] ?? 2020);
const ELEMENTS: Readonly<Record<string, (d: Dice) => string>> = {
  ip: (d) => d.pick(['10.0.0.1', '10.0.0.2', '10.0.0.0/30', '10.0.0.2-10.0.0.5', '10.0.0.7', '10.0.1.0/29', '0.0.0.0', '10.0.0.5/32', '2001:db8::1']),
  one: (d) => d.pick(['10.0.0.1', '10.0.0.2', '10.0.0.3']),
  net: (d) => d.pick(['10.0.0.0/8', '10.0.0.0/16', '10.0.0.1', '10.0.0.0/24', '10.0.0.1-10.0.0.6', '0.0.0.0/0', '10.0.0.0/31', '10.0.0.77/24']),
  port: (d) => d.pick(['80', 'tcp:80', 'udp:53', 'tcp:80-82', 'udp:53-54', 'icmp:8/0', 'icmp:echo-reply', 'sctp:9']),
  bare: (d) => d.pick(['1', '5', '3-7', '100', '101', '9-8']),
  mac: (d) => d.pick(['02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:0A']),
  iface: (d) => d.pick(['eth0', 'eth1', 'physdev:eth0', 'eth']),
  mark: (d) => d.pick(['0x1', '0x101', '7', '0xffffffff']),
  set: (d) => `s${d.below(6)}`,
};
type Type = readonly [create: string, parts: readonly string[]];
const COMMON: readonly Type[] = [
  ['hash:ip', ['ip']],
  ['hash:ip maxelem 6', ['ip']],
  ['hash:ip netmask 29', ['ip']],
  ['hash:ip timeout 500 counters', ['ip']],
  ['hash:net', ['net']],
  ['hash:net comment', ['net']],
  ['hash:net,iface', ['net', 'iface']],
  ['hash:ip,port', ['ip', 'port']],
  ['hash:ip,port,ip', ['ip', 'port', 'one']],
  ['hash:ip,port,net', ['ip', 'port', 'net']],
  ['hash:net,port', ['net', 'port']],
  ['bitmap:ip range 10.0.0.0/29', ['ip']],
  ['bitmap:ip,mac range 10.0.0.0/29', ['one', 'mac']],
  ['bitmap:port range 0-100', ['bare']],
  ['list:set', ['set']],
];
const RARE: readonly Type[] = [
  ['hash:mac', ['mac']],
  ['hash:ip,mac', ['one', 'mac']],
  ['hash:ip,mark', ['ip', 'mark']],
  ['hash:ip,mark markmask 0xff', ['one', 'mark']],
  ['hash:net,net', ['net', 'net']],
  ['hash:net,port,net', ['net', 'port', 'net']],
];

function commands(d: Dice, types: readonly Type[], count: number): string[] {
  // a name keeps its type, or elements would be of some other one
  const own = Array.from({ length: 6 }, () => d.pick(types));
  const name = (): string => `s${d.below(6)}`;
  const typeOf = (n: string): Type => own[Number(n.slice(1))]!;
  const create = (n: string): string => `create ${n} ${typeOf(n)[0]}`;
  const member = (verb: string): string => {
    const n = name();
    const words =
      verb === 'add' && d.chance(20) ? d.pick([' nomatch', ' timeout 60', ' comment "a b"', ' packets 3', ' wildcard', ' before s1']) : '';
    return `${verb} ${n} ${typeOf(n)[1]
      .map((p) => ELEMENTS[p]!(d))
      .join(',')}${words}`;
  };
  return Array.from({ length: count }, (_, i) => {
    const roll = d.below(100);
    if (i < 6) return `ipset ${create(`s${i}`)}`;
    const exist = d.chance(25) ? ' -exist' : '';
    if (roll < 55) return `ipset ${member('add')}${exist}`;
    if (roll < 80) return `ipset ${member('del')}${exist}`;
    if (roll < 84) return `ipset ${create(name())}${exist}`;
    if (roll < 87) return `ipset flush ${name()}`;
    const [a, b] = [name(), name()];
    if (roll < 92) return `ipset swap ${a} ${b}`;
    if (roll < 96) return `ipset rename ${a} ${d.pick(['other', 'another', a])}`;
    return `ipset destroy ${a}`;
  });
}

describeKernel('random commands of ipset', () => {
  for (let i = 0; i < 8; i++) {
    it(`are carried out and refused as by the kernel (${i})`, () => {
      compare(play('', commands(new Dice(SEED * 1000 + i), COMMON, 150), SETS), setsOf, ipsetReason);
    });
  }
});

describeGuest('random commands of ipset for rare types', () => {
  it('are carried out and refused as by the kernel', () => {
    const inside = [join(import.meta.dirname, '../oracle/uml.sh')];
    compare(play('', commands(new Dice(SEED), RARE, 200), SETS, inside), setsOf, ipsetReason);
  });
});
