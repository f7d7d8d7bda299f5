import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isSince } from '../../src/engine/kernel.ts';
import { isOverloaded, schedule, type NewConnection } from '../../src/engine/scheduler.ts';
import { fold, inMaglevTable } from '../../src/engine/servertable.ts';
import { isError, parseAddr, type Addr, type Family } from '../../src/net/addr.ts';
import { TCP, UDP } from '../../src/net/proto.ts';
import type { RealServer, VirtualServer } from '../../src/model/ipvs.ts';

const at = { file: 'ipvsadm.txt', line: 1, column: 1 } as const;

function addr(text: string): Addr {
  const parsed = parseAddr(text);
  if (isError(parsed)) throw new TypeError(parsed.error);
  return parsed;
}

/** `10.1.0.1:80=3`, `[fd00::1]:80=3/9` (an upper threshold), `...=0<3` (weight 0 that was 3). */
function server(text: string, counts: Partial<RealServer> = {}): RealServer {
  const [, host = '', port, weight, upper] = /^\[?(.*?)\]?:(\d+)=(\d+)(?:<\d+)?(?:\/(\d+))?$/.exec(text)!;
  return {
    addr: addr(host),
    port: Number(port),
    forwarding: 'masq',
    weight: Number(weight),
    upper: Number(upper ?? 0),
    lower: 0,
    text,
    at,
    ...counts,
  };
}

function service(scheduler: string, servers: readonly RealServer[], more: Partial<VirtualServer> = {}): VirtualServer {
  const flat = { family: 4 as Family, proto: TCP, schedulerFlags: [], onePacket: false, inKernelOrder: true, text: '', at };
  return { ...flat, scheduler, servers, ...more };
}

const FROM: NewConnection = { client: addr('192.168.1.7'), clientPort: 40000, virtual: addr('10.96.0.1'), proto: TCP, kernel: '6.1.176' };
const three = [server('10.1.0.3:80=1'), server('10.1.0.2:80=1'), server('10.1.0.1:80=1')];

interface Group {
  readonly kind: string;
  readonly head: string;
  readonly service: VirtualServer;
  readonly rest: string;
}

const table = readFileSync(new URL('../ipvs/picks.txt', import.meta.url), 'utf8');

function groups(kind: string): Group[] {
  return [...table.matchAll(new RegExp(`^${kind} (.*?)(?: \\| (.*))?\n((?:  .*\n)*)`, 'gm'))].map(([, head = '', counts, lines = '']) => {
    const [scheduler = '', family, proto, flags = '', ...ends] = head.split(' ');
    const servers = ends.map((s) => server(s));
    const schedulerFlags = [...flags.matchAll(/flag-(\d)/g)].map(([, n]) => Number(n) as 1 | 2 | 3);
    const more = { family: Number(family) as Family, proto: proto === 'udp' ? UDP : TCP, schedulerFlags };
    return {
      kind,
      head,
      service: service(scheduler, servers, more),
      rest: counts ?? lines.replaceAll('\n', ',').trim(),
    };
  });
}

/** `c0a80101:1f90` as the connection it stands for. */
function connection({ service: { scheduler, proto } }: Group, tuple: string): NewConnection {
  const [hex = '', port = ''] = tuple.split(':');
  const words = hex.match(/.{8}/g)!.map((w) => parseInt(w, 16));
  const shown = (words.length === 1 ? words[0] : words) as Addr;
  return { ...FROM, ...(scheduler === 'dh' ? { virtual: shown } : { client: shown }), clientPort: parseInt(port, 16), proto: proto! };
}

function items(group: Group): string[][] {
  return group.rest
    .split(',')
    .map((t) => t.trim().split(' '))
    .filter((t) => t.length > 1);
}

describe('what the kernel picked (test/ipvs/picks.txt)', () => {
  it('sh, dh and mh pick the same for more than ten thousand tuples', () => {
    let checked = 0;
    const wrong: string[] = [];
    for (const group of groups('hash')) {
      const { servers } = group.service;
      // the weight from before it was 0 is nowhere to be seen
      const isHidden = group.service.scheduler === 'mh' && servers.some((s) => s.weight === 0);
      for (const [tuple = '', pick] of items(group)) {
        const candidates = schedule(group.service, connection(group, tuple));
        const wanted = pick === '-' ? undefined : servers[Number(pick)];
        const isRight = isHidden ? candidates.some((c) => c.server === wanted) : candidates[0].server === wanted && candidates[0].probability === 1;
        if (!isRight) wrong.push(`${group.head} ${tuple}`);
        checked++;
      }
    }
    expect(wrong).toEqual([]);
    expect(checked).toBeGreaterThan(10_000);
  });

  it('mh with a server that was added with weight 0 picks what comes first', () => {
    for (const group of groups('hash').filter((g) => g.head.startsWith('mh 4') && g.service.servers.some((s) => s.weight === 0)))
      for (const [tuple = '', pick] of items(group))
        expect(schedule(group.service, connection(group, tuple))[0].server).toBe(pick === '-' ? undefined : group.service.servers[Number(pick)]);
  });

  it('mh keeps the places of a server whose weight became 0, and falls back from them on the same servers', () => {
    let fallbacks = 0;
    for (const group of groups('hash').filter((g) => /^mh .*<\d/.test(g.head))) {
      const { servers, family, schedulerFlags } = group.service;
      const before = servers.map((s) => ({ ...s, weight: Number(/<(\d+)/.exec(s.text)?.[1] ?? s.weight) }));
      for (const [tuple = '', pick] of items(group)) {
        const from = connection(group, tuple);
        const word = (fold(from.client!, family) + (schedulerFlags!.includes(2) ? from.clientPort! : 0)) >>> 0;
        const found = inMaglevTable(before, family, word, (s) => !s.text.includes('<'), schedulerFlags!.includes(1));
        expect(found.server, `${group.head} ${tuple}`).toBe(pick === '-' ? undefined : before[Number(pick)]);
        if (found.server && found.server !== found.home) fallbacks++;
      }
    }
    expect(fallbacks).toBeGreaterThan(10);
  });

  it('over many connections each server gets its share, and none that is not among the candidates gets any', () => {
    for (const { head, service: asked, rest } of groups('share')) {
      const counts = rest.split(' ').map(Number);
      const sum = counts.reduce((a, b) => a + b);
      const candidates = schedule(asked, { ...FROM, proto: asked.proto! });
      for (const [i, count] of counts.entries()) {
        const candidate = candidates.find((c) => c.server === asked.servers[i]);
        if (count > 0) expect(candidate, head).toBeDefined();
        if (!/^(lblcr?|ovf|fo) /.test(head) && candidate?.probability !== undefined)
          expect(Math.abs(count - candidate.probability * sum), `${head} ${candidate.why}`).toBeLessThan(3);
        if (candidates.length === 1) expect(count > 0, head).toBe(candidate !== undefined);
      }
    }
  });

  it('by the counts of the moment the next pick comes first', () => {
    let checked = 0;
    for (const group of groups('load')) {
      const { scheduler, servers } = group.service;
      for (const [tuple = '', ...words] of items(group)) {
        const pick = words.at(-1);
        const counted = servers.map((s, i) => {
          const [active, inactive] = words[i]!.split('/').map(Number);
          return { ...s, active: active!, inactive: inactive! };
        });
        const candidates = schedule({ ...group.service, servers: counted }, connection(group, tuple));
        const wanted = pick === '-' ? undefined : counted[Number(pick)];
        const said = `${group.head}: ${tuple} ${words.join(' ')}`;
        expect(
          candidates.map((c) => c.server),
          said,
        ).toContain(wanted);
        if (!/^(rr|wrr)$/.test(scheduler)) expect(candidates[0].server, said).toBe(wanted);
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(500);
  });
});

describe('what is not known', () => {
  it('a service without servers, or with quiet and overloaded ones only, has none to pick', () => {
    expect(schedule(service('rr', []), FROM)).toEqual([{ why: 'the virtual server has no real server' }]);
    const full = server('10.1.0.2:80=1/5', { active: 4, inactive: 1 });
    expect(schedule(service('rr', [server('10.1.0.1:80=0'), full]), FROM)).toEqual([
      { why: 'no real server takes new connections: 10.1.0.1:80 has weight 0, 10.1.0.2:80 is overloaded' },
    ]);
  });

  it('rr and wrr fork with the chances of one connection', () => {
    expect(schedule(service('rr', three), FROM).map((c) => c.probability)).toEqual([1 / 3, 1 / 3, 1 / 3]);
    const weights = [server('10.1.0.3:80=3'), server('10.1.0.2:80=0'), server('10.1.0.1:80=1')];
    expect(schedule(service('wrr', weights), FROM)).toEqual([
      { server: weights[0], probability: 0.75, why: 'wrr picks 10.1.0.3:80: the servers take turns by their weight' },
      { server: weights[2], probability: 0.25, why: 'wrr picks 10.1.0.1:80: the servers take turns by their weight' },
    ]);
    expect(schedule(service('rr', weights.slice(1)), FROM)).toEqual([
      { server: weights[2], probability: 1, why: 'rr picks 10.1.0.1:80: no other takes new connections' },
    ]);
  });

  it('a scheduler that goes by load names who was next at the capture, and keeps the others', () => {
    const servers = [server('10.1.0.2:80=1', { active: 9, inactive: 0 }), server('10.1.0.1:80=2', { active: 9, inactive: 3 })];
    expect(schedule(service('wlc', servers), FROM)).toEqual([
      {
        server: servers[1],
        probability: 2 / 3,
        why: 'wlc picks 10.1.0.1:80: the one with the fewest connections for its weight, as this was at the capture',
      },
      {
        server: servers[0],
        probability: 1 / 3,
        why: 'wlc picks 10.1.0.2:80: the one with the fewest connections for its weight, if the load is another by now',
      },
    ]);
  });

  it('a server between its thresholds may be overloaded: then nobody knows the chances', () => {
    const unsure = server('10.1.0.2:80=1/8', { active: 6, inactive: 1 });
    expect([5, 6, 7, 8].map((active) => isOverloaded({ ...unsure, active, inactive: 0 }))).toEqual([false, 'unknown', 'unknown', true]);
    expect([2, 3].map((active) => isOverloaded({ ...unsure, lower: 3, active, inactive: 0 }))).toEqual([false, 'unknown']);
    expect(isOverloaded(server('10.1.0.2:80=1/8'))).toBe('unknown');
    expect(schedule(service('rr', [unsure, server('10.1.0.1:80=1')]), FROM)).toMatchObject([
      { server: unsure, why: 'rr picks 10.1.0.2:80: the servers take turns; whether it is overloaded was not captured' },
      { why: 'rr picks 10.1.0.1:80: the servers take turns' },
    ]);
    const alone = schedule(service('rr', [unsure]), FROM);
    expect(alone.map((c) => [c.server, c.probability])).toEqual([
      [unsure, undefined],
      [undefined, undefined],
    ]);
    expect(schedule(service('sh', [unsure]), FROM).map((c) => c.why)).toEqual([
      "sh picks 10.1.0.2:80 by the client's address; that hangs on whether 10.1.0.2:80 is overloaded",
      "sh picks none by the client's address, as 10.1.0.2:80 is overloaded; that hangs on whether 10.1.0.2:80 is overloaded",
    ]);
  });

  it('sh without fallback refuses the clients of a server with weight 0, with it another takes them', () => {
    const servers = [server('10.1.0.2:80=0'), server('10.1.0.1:80=1')];
    const clients = Array.from({ length: 20 }, (_, i) => addr(`192.168.1.${i}`));
    const picks = (flags: (1 | 2)[]): string[] => [
      ...new Set(clients.map((client) => schedule(service('sh', servers, { schedulerFlags: flags }), { ...FROM, client })[0].why)),
    ];
    expect(picks([]).toSorted()).toEqual([
      "sh picks 10.1.0.1:80 by the client's address",
      "sh picks none by the client's address, as 10.1.0.2:80 has weight 0",
    ]);
    expect(picks([1, 2]).toSorted()).toEqual([
      "sh picks 10.1.0.1:80 by the client's address and port",
      "sh picks 10.1.0.1:80 by the client's address and port, as 10.1.0.2:80 has weight 0",
    ]);
  });

  it('without the order of the kernel sh, dh and mh fork over what any order leads to, and are certain where all agree', () => {
    for (const scheduler of ['sh', 'dh', 'mh']) {
      const sorted = service(scheduler, three.toReversed(), { inKernelOrder: false });
      const forked = schedule(sorted, FROM);
      expect(forked.reduce((sum, c) => sum + c.probability!, 0)).toBeCloseTo(1);
      for (const servers of [three, [three[1]!, three[0]!, three[2]!]])
        expect(forked.map((c) => c.server)).toContain(schedule(service(scheduler, servers), FROM)[0].server);
    }
    expect(schedule(service('sh', three, { inKernelOrder: false }), FROM)[0].why).toBe(
      "sh picks 10.1.0.2:80 by the client's address; that hangs on the order of the servers in the kernel, which /proc/net/ip_vs shows",
    );
    // whatever the order, the places that only one of these can fill are the same
    const heavy = [server('10.1.0.1:80=200'), server('10.1.0.2:80=1')];
    expect(schedule(service('sh', heavy, { inKernelOrder: false }), FROM)).toHaveLength(1);
    const many = Array.from({ length: 8 }, (_, i) => server(`10.1.0.${i}:80=1`));
    expect(schedule(service('mh', many, { inKernelOrder: false }), FROM).map((c) => c.probability)).toEqual(many.map(() => 1 / 8));
    expect(schedule(service('fo', [...many, server('10.2.0.1:80=9')], { inKernelOrder: false }), FROM)).toHaveLength(1);
    expect(schedule(service('fo', many, { inKernelOrder: false }), FROM).map((c) => c.probability)).toEqual(many.map(() => 1 / 8));
  });

  it('the hash of sh and dh is another before Linux 4.18', () => {
    const of = (client: string, kernel: string | undefined): readonly unknown[] => {
      const { kernel: _, ...rest } = { ...FROM, client: addr(client) };
      return schedule(service('sh', three), kernel === undefined ? rest : { ...rest, kernel }).map((c) => c.server);
    };
    const clients = Array.from({ length: 50 }, (_, i) => `192.168.${i}.7`);
    // there the high bytes of an address do not count
    expect(new Set(clients.flatMap((c) => of(c, '3.10.0-1160.el7.x86_64')))).toHaveProperty('size', 1);
    expect(new Set(clients.flatMap((c) => of(c, '4.18.0-513.el8.x86_64')))).toHaveProperty('size', 3);
    for (const c of clients) expect(new Set(of(c, undefined))).toEqual(new Set([...of(c, '4.17'), ...of(c, '5.10.0')]));
    expect([isSince('4.18', 4, 18), isSince('4.9.1', 4, 18), isSince('10.0', 4, 18), isSince(undefined, 4, 18)]).toEqual([
      true,
      false,
      true,
      'unknown',
    ]);
  });

  it('a client whose port, or address, is not known may get any server', () => {
    const { clientPort: _, ...portless } = FROM;
    expect(schedule(service('sh', three, { schedulerFlags: [2] }), portless)[0]).toMatchObject({
      probability: 1 / 3,
      why: "sh picks 10.1.0.3:80 by the client's address and port; that hangs on the client's address and port, which is not known",
    });
    expect(schedule(service('sh', three), portless)).toHaveLength(1);
    expect(schedule(service('sh', three, { schedulerFlags: [2] }), { ...portless, proto: 1 })).toHaveLength(1);
    const { client: __, ...nobody } = FROM;
    expect(schedule(service('mh', three), nobody)).toHaveLength(3);
  });

  it('of a scheduler that is not known any server may be picked, and nobody knows the chances', () => {
    expect(schedule(service('constructor', three), FROM)[0]).toEqual({
      server: three[0],
      why: 'constructor picks 10.1.0.3:80: how it picks is not known',
    });
  });

  it('ovf picks none where all have more active connections than weight', () => {
    const full = three.map((s) => ({ ...s, active: 2, inactive: 0 }));
    expect(schedule(service('ovf', full), FROM)[0]).toEqual({ why: 'ovf picks none: all have more active connections than weight' });
    expect(schedule(service('ovf', three), FROM).at(-1)).toEqual({ why: 'ovf picks none: all have more active connections than weight' });
  });
});
