// What becomes of a connection after its first packet: answers, errors, rivals, and what was there before it.
import { formatAddr, isError, parseAddr } from '../../src/net/addr.ts';
import type { Dice } from './dice.ts';
import type { Load, Shot, Sighting } from './node.ts';

const STEPS = [
  'again',
  'answer',
  'answer',
  'again',
  'error',
  'error',
  'back-error',
  'back-error',
  'ack',
  'answer-ack',
  'fin',
  'reset',
  'answer-reset',
  'clash',
] as const;
/** What a story of rivals is about. */
const RIVAL_STEPS = ['clash', 'clash', 'clash-again', 'clash-answer', 'clash-error', 'third', 'answer', 'again', 'error'] as const;
type Step = (typeof STEPS)[number] | (typeof RIVAL_STEPS)[number];

/** Types and codes of ICMP errors, and of those of IPv6. */
const ERRORS = [
  [3, 1, 1, 0],
  [3, 0, 1, 3],
  [3, 3, 1, 4],
  [3, 4, 2, 0],
  [3, 13, 1, 1],
  [4, 0, 4, 1],
  [5, 1, 2, 0],
  [11, 0, 3, 0],
  [12, 0, 4, 0],
] as const;

/** One connection, packet by packet. */
export interface Story {
  readonly first: Shot;
  /** Other flows to the same end. */
  readonly rivals: readonly Shot[];
  readonly steps: readonly Step[];
  /** It meets the connections of the story before. */
  readonly after: boolean;
  readonly error: readonly [number, number, number, number];
  /** Errors come from the end itself, not from somebody on the way. */
  readonly byEnd: boolean;
  /** `conntrack -I` makes an entry like this beforehand. */
  readonly prior?: readonly string[];
  /** The entries are listed by `conntrack -L`, not by the kernel's own file. */
  readonly byTool: boolean;
}

/** A story of packets that `shot` makes; `nats` where rules keep NAT's hooks there, without which no connection can have met it. */
export function makeStory(d: Dice, shot: () => Shot, i: number, nats: boolean): Story {
  const first = shot();
  const from = shot();
  // the same flow from elsewhere may be in its way
  const rival = first.local || from.local ? first : d.chance(60) ? { ...first, iif: from.iif!, src: from.src! } : { ...first, dst: from.dst };
  const prior = nats && d.chance(25) ? makePrior(d, first) : undefined;
  return {
    first,
    rivals: [rival, from.local ? first : { ...first, dst: from.dst }],
    ...chances(d, STEPS),
    after: i > 0 && d.chance(25),
    ...(prior && { prior }),
  };
}

/** Hosts inside that talk to one end outside from the same port. */
export function makeRivals(d: Dice, six: boolean): Story {
  const words = (addr: string): string => (six ? `fd00::${addr}` : addr);
  const proto = d.pick(['tcp', 'tcp', 'udp', 'udp', 'udp', 'sctp', 'udplite', six ? 'icmpv6' : 'icmp', 'gre']);
  const ported = !/icmp|gre/.test(proto);
  const flow = {
    dst: words(d.pick(['8.8.8.8', '7.7.7.7', '10.9.0.7'])),
    proto,
    ...(ported && { sport: d.pick([40000, 1024, 1023, 600, 511, 53]), dport: d.pick([80, 53]) }),
  };
  const host = (n: number): Shot => ({ iif: n === 1 ? 'cali1' : 'cali2', src: words(`10.1.0.${n}`), ...flow });
  return { first: host(1), rivals: [host(2), host(3)], ...chances(d, RIVAL_STEPS), after: false };
}

/** What rivals may be translated by. */
export function rivalRule(d: Dice): string {
  return `-A POSTROUTING -s 10.1.0.0/30 ${d.pick([
    '-j MASQUERADE',
    '-j MASQUERADE',
    '-j MASQUERADE --random',
    '-j MASQUERADE --random-fully',
    '-p tcp -j MASQUERADE --to-ports 2000-2001',
    '-p udp -j MASQUERADE --to-ports 40000',
    '-p udp -j MASQUERADE --to-ports 39999-40000',
    '-j SNAT --to-source 10.9.0.21',
    '-j SNAT --to-source 10.9.0.21-10.9.0.22',
    '-j SNAT --to-source 10.9.0.21-10.9.0.22 --persistent',
    '-p udp -j SNAT --to-source 10.9.0.21:500-1500',
  ])}`;
}

/** Where connections with a zone are looked for. */
export function zoneRule(d: Dice): string {
  return `-A ${d.pick(['PREROUTING', 'PREROUTING', 'OUTPUT'])} ${d.pick(['', '-i cali1 ', '-p udp ', '-p tcp '])}-j CT --zone${d.pick(['', '', '-orig', '-reply'])} ${d.pick([1, 2])}`.replace(
    'OUTPUT -i cali1',
    'OUTPUT',
  );
}

function chances(d: Dice, steps: readonly Step[]): Pick<Story, 'steps' | 'error' | 'byEnd' | 'byTool'> {
  return { steps: d.some(1, 6, () => d.pick(steps)), error: d.pick(ERRORS), byEnd: d.chance(30), byTool: d.chance(6) };
}

/** The words after `conntrack -I` of an entry that this packet belongs to, if its zone is the right one. */
function makePrior(d: Dice, { src, dst, proto, sport, dport, local }: Shot): string[] | undefined {
  if (local || src === undefined || src === dst || sport === undefined || (proto !== 'tcp' && proto !== 'udp')) return undefined;
  const six = dst.includes(':');
  const words = (addr: string): string => (six ? `fd00::${addr}` : addr);
  const seen = proto === 'tcp' || d.chance(70);
  return [
    ...`-s ${src} -d ${dst} -p ${proto} --sport ${sport} --dport ${dport} -t 1000`.split(' '),
    ...(proto === 'tcp' ? ['--state', d.pick(['ESTABLISHED', 'ESTABLISHED', 'CLOSE_WAIT', 'TIME_WAIT'])] : []),
    // UDP of more than two seconds is assured by its next packet: that is a matter of time
    ...(seen ? ['-u', proto === 'tcp' && d.chance(50) ? 'SEEN_REPLY' : 'SEEN_REPLY,ASSURED'] : []),
    ...(d.chance(60) ? ['-m', d.pick(['1', '16', '17', '255', '16384'])] : []),
    ...(d.chance(50) ? [d.pick(['-w', '-w', '--orig-zone', '--reply-zone']), d.pick(['1', '2'])] : []),
    // with neither, it would be a connection that NAT has not seen, which those of packets never are
    '-g',
    d.chance(40) ? words(d.pick(['10.1.0.1', '10.1.0.2', '192.168.21.20'])) + (six || d.chance(50) ? '' : ':8080') : dst,
    ...(d.chance(30) ? ['-n', words(d.pick(['10.9.0.20', '192.168.21.20', '7.7.7.9']))] : []),
  ];
}

/** Reports whether a socket there may send from an address: one of those given to a device, and no broadcast or anycast. */
export function isOwn({ devs, ip }: Load, addr: string): boolean {
  const words = [...devs.flatMap((d) => d.addrs ?? []), ...(ip ?? []).flatMap((l) => /^(?:-6 )?addr add (\S+)/.exec(l)?.[1] ?? [])];
  const plain = (text: string): string => {
    const read = parseAddr(text);
    return isError(read) ? text : formatAddr(read);
  };
  return words.some((w) => plain(w.split('/')[0]!) === plain(addr));
}

interface Sent {
  readonly shot: Shot;
  readonly sighting: Sighting;
}

/** What has been seen of a story, by step: `first`, `answer`, `clash`. */
export type Been = Partial<Record<Step | 'first', Sent>>;

/** The packet of a step; nothing where it cannot be. */
export function nextShot(load: Load, story: Story, step: Step, been: Been): Shot | undefined {
  const { first, rivals } = story;
  const there = been.first!.sighting;
  const back = been.answer;
  const speaks = first.proto === 'tcp' && !first.local;
  switch (step) {
    case 'again':
      return first;
    case 'clash':
    case 'clash-again':
      return rivals[0];
    case 'third':
      return rivals[1];
    case 'clash-answer':
      return been.clash && answerTo(load, rivals[0]!, been.clash.sighting, 'SYN,ACK');
    case 'clash-error':
      return been.clash && errorAbout(load, story, been.clash.sighting);
    case 'answer':
      return answerTo(load, first, there, 'SYN,ACK');
    case 'answer-ack':
      return first.proto === 'tcp' ? answerTo(load, first, there, 'ACK', 1001) : undefined;
    case 'answer-reset':
      return first.proto === 'tcp' ? answerTo(load, first, there, 'RST,ACK', 1001) : undefined;
    case 'error':
      return errorAbout(load, story, there);
    case 'back-error':
      return back && errorAbout(load, story, back.sighting);
    case 'ack':
      // an ACK of what nobody was seen to send is outside of every window
      return back && speaks ? { ...first, flags: 'ACK', seq: 1001, ack: 1001 } : undefined;
    case 'fin':
      return back && speaks ? { ...first, flags: 'FIN,ACK', seq: 1001, ack: 1001 } : undefined;
    case 'reset':
      return speaks ? { ...first, flags: 'RST', seq: 1001, ack: 1001 } : undefined;
    default:
      return step satisfies never;
  }
}

/** Where the far end of a packet sends from: the device that it left by, or the socket that it reached. */
function farEnd(load: Load, { fate, device, last }: Sighting): Pick<Shot, 'iif' | 'local' | 'raw'> | undefined {
  if (fate === 'gone' || !last || last.src === last.dst) return undefined;
  if (fate === 'sent') return { iif: device! };
  // a socket may not answer a broadcast address without asking for it, and one with headers of its own making routes without ports
  if (last.src.endsWith('.255') || load.ip!.some((l) => l.includes('ipproto')) || !isOwn(load, last.dst)) return undefined;
  return { local: true, raw: true };
}

/** What the far end says to a packet that it got. */
export function answerTo(load: Load, shot: Shot, sighting: Sighting, flags: string, seq = 1000): Shot | undefined {
  const from = farEnd(load, sighting);
  const { last } = sighting;
  if (!from || !last || shot.type !== undefined) return undefined;
  const back = { ...from, src: last.dst, dst: last.src };
  if (shot.proto === 'icmpv6') return last.id === undefined ? undefined : { ...back, proto: 'icmpv6', type: 129, id: last.id };
  if (shot.proto === 'icmp') return last.id === undefined ? undefined : { ...back, proto: 'icmp', type: 0, id: last.id };
  return {
    ...back,
    ...(shot.proto !== undefined && { proto: shot.proto }),
    ...(last.sport !== undefined && { sport: last.dport!, dport: last.sport }),
    ...(shot.proto === 'tcp' && { flags, seq, ack: ((last.seq ?? 1000) + 1) >>> 0 }),
  };
}

/** An ICMP error by the end that the packet reached, or somebody on its way there. */
export function errorAbout(load: Load, { error, byEnd }: Pick<Story, 'error' | 'byEnd'>, sighting: Sighting): Shot | undefined {
  const from = farEnd(load, sighting);
  const { last, fate } = sighting;
  if (!from || !last) return undefined;
  const six = last.src.includes(':');
  // errors are about no errors
  if (last.type !== undefined && last.id === undefined) return undefined;
  const inner: Shot = {
    iif: from.iif ?? 'lo',
    src: last.src,
    dst: last.dst,
    proto: String(last.proto),
    ...(last.sport !== undefined && { sport: last.sport, dport: last.dport! }),
    ...(last.type !== undefined && { type: last.type, code: last.code ?? 0, id: last.id! }),
  };
  const [type, code, type6, code6] = error;
  return {
    ...from,
    src: fate === 'local' || byEnd ? last.dst : six ? 'fd00::198.51.100.9' : '198.51.100.9',
    dst: last.src,
    proto: six ? 'icmpv6' : 'icmp',
    type: six ? type6 : type,
    code: six ? code6 : code,
    inner,
  };
}
