// Random spaces of packets for random nodes.
import type { SpaceText } from '../../src/ask/space.ts';
import type { Dice } from '../probes/dice.ts';
import { DEVICES, PORTS, PREFIXES, SOURCES, TARGETS } from '../probes/language.ts';
import type { Load } from '../probes/node.ts';

const PROTOCOLS = ['tcp', 'udp', 'sctp', 'udplite', 'icmp', 'gre', 'esp'];

/** Packets that come in by some device, or that the node sends itself. */
export function spaceOf(d: Dice, load: Load): SpaceText {
  const six = load.ip?.some((l) => l.startsWith('-6')) ?? false;
  const turned = (text: string): string => {
    if (!six) return text;
    const [addr, length] = text.split('/');
    return `fd00::${addr!}${length === undefined ? '' : `/${96 + Number(length)}`}`;
  };
  const all = six ? '::/0' : '0.0.0.0/0';
  const blocks = (usual: readonly string[]): SpaceText['to'] =>
    d.pick([all, { any: all }, turned(d.pick(PREFIXES)), d.some(1, 3, () => turned(d.pick(usual))), { any: all, except: turned(d.pick(PREFIXES)) }]);
  const ports = (): Pick<SpaceText, 'dport'> => d.pick([{}, {}, { dport: d.pick(PORTS) }, { dport: '1-1024' }, { dport: [80, '1000-9000'] }]);
  const protos = (): string[] => d.some(1, 3, () => d.pick(six ? PROTOCOLS.map((p) => p.replace('icmp', 'icmpv6')) : PROTOCOLS));
  const { dport: sport } = d.chance(50) ? ports() : {};
  const devices = load.devs.map((x) => x.name).filter((n) => DEVICES.includes(n));
  const local = d.chance(25);
  const services = [...new Set([...(load.ipvs ?? '').matchAll(/^-A \S+ \[?([\d.]+|[\da-f:.]+)\]?:\d+/gm)].map((m) => m[1]!))];
  const balanced = services.length > 0 && d.chance(80);
  return withoutIdlePorts({
    ...(local ? { from: 'n' } : { in: `n/${d.pick(devices)}`, from: blocks(SOURCES) }),
    to: balanced ? services : blocks(TARGETS),
    ...(balanced ? { proto: ['tcp', 'udp', 'sctp'] } : { proto: protos(), ...ports() }),
    ...(sport !== undefined && { sport }),
  });
}

const PORTED = /^(?:tcp|udp|udplite|sctp|dccp)$/;

/** Ports of protocols that have none are refused. */
function withoutIdlePorts(text: SpaceText): SpaceText {
  const protos = text.proto === undefined ? ['tcp'] : [text.proto].flat().map(String);
  if (protos.some((p) => PORTED.test(p))) return text;
  const { sport: _sport, dport: _dport, ...rest } = text;
  return rest;
}

/** Few packets: neighbouring addresses, some ports. */
export function smallSpaceOf(d: Dice, load: Load): SpaceText {
  const { in: device, proto } = spaceOf(d, load);
  const six = load.ip?.some((l) => l.startsWith('-6')) ?? false;
  const around = (addr: string): string => (six ? `fd00::${addr}/125` : `${addr}/29`);
  const port = d.pick(PORTS);
  return withoutIdlePorts({
    ...(device === undefined ? { from: 'n' } : { in: device, from: around(d.pick(SOURCES)) }),
    to: [around(d.pick(TARGETS)), around(d.pick(TARGETS))],
    ...(proto !== undefined && { proto }),
    sport: [port, 40000],
    dport: `${port}-${port + 9}`,
  });
}
