// Whatever is translated on the way is translated back: the asker hears from the address that was asked.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readConntrack } from '../../src/capture/conntrack.ts';
import { formatAddr } from '../../src/net/addr.ts';
import type { Packet, Request } from '../../src/index.ts';
import { answer, router } from './router.ts';

const CLIENT = '10.0.0.1';
const ASKED = '10.99.0.1';
const PORT = 80;

const port = fc.integer({ min: 1, max: 65535 });
const proto = fc.constantFrom('tcp', 'udp', 'sctp');
/** Targets for PREROUTING and OUTPUT, as iptables-save writes them. */
const dnat = fc.oneof(
  fc
    .record({ host: fc.integer({ min: 1, max: 200 }), port: fc.option(port) })
    .map((x) => `-j DNAT --to-destination 10.0.1.${x.host}${x.port ? `:${x.port}` : ''}`),
  fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 0, max: 50 })).map(([a, n]) => `-j DNAT --to-destination 10.0.1.${a}-10.0.1.${a + n}`),
  fc.tuple(port, fc.nat(100)).map(([a, n]) => `-j DNAT --to-destination 10.0.1.7:${Math.min(a, 65000)}-${Math.min(a, 65000) + n}`),
  port.map((p) => `-j REDIRECT --to-ports ${p}`),
  fc.constant('-j NETMAP --to 10.0.1.0/24'),
);
/** Targets for POSTROUTING. */
const snat = fc.oneof(
  fc.constant('-j MASQUERADE'),
  fc.constant('-j MASQUERADE --random-fully'),
  fc.constant('-j MASQUERADE --to-ports 2000-2999'),
  fc
    .record({ host: fc.integer({ min: 200, max: 253 }), port: fc.option(port) })
    .map((x) => `-j SNAT --to-source 10.0.1.${x.host}${x.port ? `:${x.port}` : ''}`),
  fc.constant('-j SNAT --to-source 10.0.1.210-10.0.1.220'),
  fc.constant('-j SNAT --to-source 10.0.1.210:1024-2047 --random'),
);

function source(p: Packet | undefined): string | undefined {
  return p && `${formatAddr(p.src)}:${p.sport}`;
}

function destination(p: Packet | undefined): string | undefined {
  return p && `${formatAddr(p.dst)}:${p.dport}`;
}

function expectAnswered(request: Request, rules: readonly string[]): void {
  const { courses, verdict } = answer(router({ nat: rules }), request);
  expect(courses.length).toBeGreaterThan(0);
  for (const { trace } of courses) {
    expect(['delivered', 'left']).toContain(trace.outcome.kind);
    expect([source(trace.reply?.final), destination(trace.reply?.final)]).toEqual([destination(trace.packet), source(trace.packet)]);
    expect(trace.reply?.final.undetermined).toBeUndefined();
  }
  expect(verdict).toBe('yes');
}

describe('a reply', () => {
  it('to a client on the LAN comes from the address it asked, whatever DNAT and SNAT rules there are', () => {
    fc.assert(
      fc.property(proto, dnat, fc.option(snat), port, (p, to, from, sport) => {
        const rules = [
          `-A PREROUTING -d ${ASKED}/32 -p ${p} -m ${p} --dport ${PORT} ${to}`,
          ...(from === null ? [] : [`-A POSTROUTING -p ${p} ${from}`]),
        ];
        expectAnswered({ from: CLIENT, to: `${ASKED}:${PORT}`, proto: p, sport: String(sport) }, rules);
      }),
    );
  });

  it('to the router itself comes from the address it asked', () => {
    fc.assert(
      fc.property(proto, dnat, fc.option(snat), (p, to, from) => {
        // redirected to 127.0.0.1, it would have to be answered from there, out of a device that takes no such source
        fc.pre(!(to.includes('REDIRECT') && from?.includes('SNAT')));
        const rules = [
          `-A OUTPUT -d ${ASKED}/32 -p ${p} -m ${p} --dport ${PORT} ${to}`,
          ...(from === null ? [] : [`-A POSTROUTING -p ${p} ${from}`]),
        ];
        expectAnswered({ from: 'router', to: `${ASKED}:${PORT}`, proto: p }, rules);
      }),
    );
  });

  it('comes from the address asked where nothing is translated at all', () => {
    expectAnswered({ from: CLIENT, to: `${ASKED}:${PORT}` }, []);
    expectAnswered({ from: 'router', to: `${ASKED}:${PORT}` }, []);
  });

  it('to a ping comes from the address that was pinged', () => {
    for (const rules of [[`-A PREROUTING -d ${ASKED}/32 -j DNAT --to-destination 10.0.1.7`, '-A POSTROUTING -j MASQUERADE'], []]) {
      const { courses, verdict } = answer(router({ nat: rules }), { from: CLIENT, to: ASKED });
      expect(
        courses.map((c) => [c.trace.outcome.kind, c.trace.reply && formatAddr(c.trace.reply.final.src), c.trace.reply?.final.icmp?.type]),
      ).toEqual([['left', ASKED, 0]]);
      expect(verdict).toBe('yes');
    }
  });
});

describe('what is translated', () => {
  it('is what the rules say: the destination before routing, the source after it', () => {
    const rules = [
      `-A PREROUTING -d ${ASKED}/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.1.7:8080`,
      '-A POSTROUTING -d 10.0.1.7/32 -p tcp -m tcp --dport 8080 -j SNAT --to-source 10.0.1.210',
    ];
    const [c] = answer(router({ nat: rules }), { from: CLIENT, to: `${ASKED}:80` }).courses;
    expect([source(c?.trace.final), destination(c?.trace.final)]).toEqual(['10.0.1.210:40000', '10.0.1.7:8080']);
    expect(c?.trace.outcome).toMatchObject({ device: 'eth1', nextHop: '10.0.1.7' });
  });

  it('is decided by the first rule that matches, of each hook once', () => {
    const rules = [
      `-A PREROUTING -p tcp -j DNAT --to-destination 10.0.1.7`,
      `-A PREROUTING -p tcp -j DNAT --to-destination 10.0.1.8`,
      '-A POSTROUTING -j SNAT --to-source 10.0.1.210',
      '-A POSTROUTING -j MASQUERADE',
    ];
    const { courses } = answer(router({ nat: rules }), { from: CLIENT, to: `${ASKED}:80` });
    expect(courses.map((c) => [source(c.trace.final), destination(c.trace.final)])).toEqual([['10.0.1.210:40000', '10.0.1.7:80']]);
  });

  it('keeps the port if it may, and is any port with --random-fully', () => {
    const ports = (target: string): unknown => {
      const [c] = answer(router({ nat: [`-A POSTROUTING -p tcp ${target}`] }), { from: CLIENT, to: `${ASKED}:80` }).courses;
      return [c && formatAddr(c.trace.final.src), c?.trace.final.undetermined?.sport ?? c?.trace.final.sport];
    };
    expect(ports('-j MASQUERADE')).toEqual(['10.0.1.254', 40000]);
    expect(ports('-j MASQUERADE --random-fully')).toEqual(['10.0.1.254', [1024, 65535]]);
    expect(ports('-j SNAT --to-source 10.0.1.210:5000')).toEqual(['10.0.1.210', 5000]);
  });

  it('leaves a filter rule to see the destination behind DNAT and the source before SNAT', () => {
    const nat = [`-A PREROUTING -d ${ASKED}/32 -p tcp -j DNAT --to-destination 10.0.1.7`, '-A POSTROUTING -j SNAT --to-source 10.0.1.210'];
    const dropped = (rule: string): string | undefined =>
      answer(router({ nat, filter: [rule] }), { from: CLIENT, to: `${ASKED}:80` }).courses[0]?.trace.outcome.kind;
    expect(dropped('-A FORWARD -d 10.0.1.7/32 -j DROP')).toBe('dropped');
    expect(dropped(`-A FORWARD -d ${ASKED}/32 -j DROP`)).toBe('left');
    expect(dropped('-A FORWARD -m conntrack --ctorigdst 10.99.0.1 -m conntrack --ctstate NEW -j DROP')).toBe('dropped');
    expect(dropped(`-A FORWARD -s ${CLIENT}/32 -m conntrack --ctstate NEW -j DROP`)).toBe('dropped');
    expect(dropped('-A FORWARD -s 10.0.1.210/32 -j DROP')).toBe('left');
  });
});

describe('a captured connection that is translated', () => {
  const line = `udp 17 29 src=${CLIENT} dst=${ASKED} sport=4000 dport=53 src=10.0.1.7 dst=${CLIENT} sport=53 dport=4000 mark=0 use=1`;
  const kinds = (tables: Parameters<typeof router>[0]): unknown[] => {
    const world = router(tables);
    const { entries } = readConntrack(line, 'conntrack.txt');
    const namespaces = world.namespaces.map((ns) => ({ ...ns, conntrack: entries }));
    const asked: Request = { from: CLIENT, sport: '4000', to: `${ASKED}:53`, proto: 'udp' };
    return answer({ ...world, namespaces }, asked).courses.map((c) => formatAddr(c.trace.final.dst));
  };

  it('is so where the capture has a nat table, be it empty', () => {
    expect(kinds({ nat: [] })).toEqual(['10.0.1.7']);
  });

  it('may or may not be so without one: the kernel translates nothing there, and perhaps it was only not captured', () => {
    expect(kinds({ filter: [] })).toEqual(['10.0.1.7', ASKED]);
  });
});

describe('a reply that is not let through', () => {
  it('is lost at the rule that drops it, although the request arrived', () => {
    const world = router({ filter: ['-A FORWARD -s 10.0.1.0/24 -d 10.0.0.0/24 -j DROP'] });
    const { courses, verdict } = answer(world, { from: CLIENT, to: '10.0.1.7:80' });
    expect(courses.map((c) => [c.trace.outcome.kind, c.trace.reply?.outcome.kind])).toEqual([['reply-lost', 'dropped']]);
    expect(verdict).toBe('no');
  });

  it('passes where established connections do', () => {
    const world = router({ filter: ['-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT', '-A FORWARD -s 10.0.1.0/24 -j DROP'] });
    expect(answer(world, { from: CLIENT, to: '10.0.1.7:80' }).verdict).toBe('yes');
    expect(answer(world, { from: '10.0.1.7', to: `${CLIENT}:80` }).verdict).toBe('no');
  });
});
