// Questions as people write them.
import { describe, expect, it } from 'vitest';
import { ask, isMisunderstood, type Request } from '../../src/ask/question.ts';
import { trace } from '../../src/ask/trace.ts';
import { readBundle } from '../../src/capture/bundle.ts';
import type { World } from '../../src/model/host.ts';
import { formatAddr } from '../../src/net/addr.ts';

const ROUTER: Readonly<Record<string, string>> = {
  'r/ip-addr.txt': [
    '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000',
    '    inet 127.0.0.1/8 scope host lo',
    '2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000',
    '    inet 192.0.2.1/24 scope global eth0',
    '3: pods: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000',
    '    inet 10.1.0.1/24 scope global pods',
    '',
  ].join('\n'),
  'r/ip-route.txt':
    'default via 192.0.2.254 dev eth0\n192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.1\n10.1.0.0/24 dev pods proto kernel scope link src 10.1.0.1\n',
  'r/sysctl.txt': 'net.ipv4.ip_forward = 1\n',
  'r/iptables-save.txt': '*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n',
  'r/conntrack.txt':
    'udp      17 29 src=10.1.0.5 dst=8.8.8.8 sport=4000 dport=53 [UNREPLIED] src=8.8.8.8 dst=192.0.2.1 sport=53 dport=4000 mark=0 use=1\n',
};

function world(files: Readonly<Record<string, string>> = ROUTER): World {
  const { namespaces, findings } = readBundle(Object.entries(files).map(([path, text]) => ({ path, text })));
  return { namespaces, wires: [], findings };
}

function asked(request: Request): Exclude<ReturnType<typeof ask>, { error: string }> {
  const question = ask(world(), request);
  if (isMisunderstood(question)) throw new Error(question.error);
  return question;
}

describe('an ICMP error about a masqueraded connection', () => {
  const about = 'udp 192.0.2.1:4000 > 8.8.8.8:53';
  const { courses } = trace(world(), asked({ from: '8.8.8.8', to: '192.0.2.1', proto: 'icmp', icmpType: 'port-unreachable', in: 'r:eth0', about }));
  const course = courses[0]!.trace;

  it('is RELATED and goes to the client that the connection is of', () => {
    expect(course.hops[0]!.steps.find((s) => s.step === 'conntrack')).toMatchObject({ state: 'RELATED', direction: 'reply' });
    expect(course.outcome).toMatchObject({ kind: 'left', device: 'pods' });
    expect(formatAddr(course.final.dst)).toBe('10.1.0.5');
  });

  it('quotes to that client the packet the client had sent', () => {
    expect(course.final.inner).toMatchObject({ sport: 4000, dport: 53 });
    expect(formatAddr(course.final.inner!.src)).toBe('10.1.0.5');
  });

  it('about a connection that nobody knows is INVALID', () => {
    const other = trace(
      world(),
      asked({ from: '8.8.8.8', to: '192.0.2.1', proto: 'icmp', icmpType: '3/3', in: 'r:eth0', about: 'udp 192.0.2.1:4001 > 8.8.8.8:53' }),
    );
    expect(other.courses[0]!.trace.hops[0]!.steps.find((s) => s.step === 'conntrack')).toMatchObject({ state: 'INVALID' });
  });
});

describe('a payload and a time', () => {
  const rules = [
    '*filter',
    ':FORWARD ACCEPT [0:0]',
    '-A FORWARD -p tcp -m string --string "/admin" --algo bm -j DROP',
    '-A FORWARD -m time --timestart 22:00 --timestop 06:00 -j DROP',
    'COMMIT',
    '',
  ].join('\n');
  const verdict = (more: Partial<Request>) => {
    const files = { ...ROUTER, 'r/iptables-save.txt': rules };
    const question = ask(world(files), { from: '10.1.0.5', to: '8.8.8.8:80', ...more });
    if (isMisunderstood(question)) throw new Error(question.error);
    return trace(world(files), question);
  };

  it('decide what they are asked for', () => {
    expect(verdict({ payload: 'GET /admin', at: '2026-11-21T12:00' }).courses.map((c) => c.trace.outcome.kind)).toEqual(['dropped']);
    expect(verdict({ payload: 'GET /', at: '2026-11-21T12:00' }).courses.map((c) => c.trace.outcome.kind)).toEqual(['left']);
    expect(verdict({ payload: 'GET /', at: '2026-11-21T23:00' }).courses.map((c) => c.trace.outcome.kind)).toEqual(['dropped']);
  });

  it('not given, are what the answer hangs on, and it says how to give them', () => {
    const answer = verdict({ flags: 'ACK', ctState: 'ESTABLISHED' });
    expect(answer.verdict).toBe('cannot-tell');
    expect(answer.unknowns.join('; ')).toMatch(/--payload.*--at/);
  });
});

describe('the size of what is sent', () => {
  const asking = (rules: readonly string[], more: Partial<Request>) => {
    const files = {
      ...ROUTER,
      'r/ip-addr.txt': ROUTER['r/ip-addr.txt']!.replace(
        'eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500',
        'eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400',
      ),
      'r/iptables-save.txt': ['*mangle', ':FORWARD ACCEPT [0:0]', ...rules, 'COMMIT', ''].join('\n'),
    };
    const question = ask(world(files), { from: '10.1.0.5', to: '8.8.8.8:80', ...more });
    if (isMisunderstood(question)) throw new Error(question.error);
    return trace(world(files), question).courses[0]!.trace;
  };

  it('that does not fit the way out is too big, and the sender is told by ICMP', () => {
    const { outcome } = asking([], { flags: 'ACK', length: '1500' });
    expect(outcome.kind).toBe('too-big');
    expect(outcome.why).toContain('1500 bytes do not fit the MTU 1400 of eth0 on r, which answers ICMP fragmentation needed');
  });

  it('is what TCPMSS wrote into the SYN, or what the MTU leaves', () => {
    const clamp = '-A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS';
    const said = (rule: string) =>
      asking([rule], {})
        .assumptions.map((a) => a.what)
        .join('; ');
    expect(said(`${clamp} --clamp-mss-to-pmtu`)).toContain('segments of at most 1360 bytes');
    expect(said(`${clamp} --set-mss 1200`)).toContain('segments of at most 1200 bytes');
  });
});

describe('what is no question', () => {
  it.each([
    [{ from: '10.1.0.5', to: '8.8.8.8:53', proto: 'tpc' }, 'proto'],
    [{ from: '10.1.0.5', to: '8.8.8.8:99999' }, 'to'],
    [{ from: '10.1.0.5', to: '1.2.3:80' }, 'to'],
    [{ from: '010.1.0.5', to: '8.8.8.8:53' }, 'from'],
    [{ from: 'nobody', to: '8.8.8.8:53' }, 'from'],
    [{ from: 'fd00::1', to: '8.8.8.8:53' }, 'from'],
    [{ from: '10.9.9.9', to: '8.8.8.8:53', in: 'r:eth7' }, 'in'],
    [{ from: '10.1.0.5', to: '8.8.8.8', proto: 'tcp' }, 'to'],
    [{ from: '10.1.0.5', to: '8.8.8.8', proto: 'icmp', icmpType: '3/3', about: 'udp 1.2.3.4 > 8.8.8.8:53' }, 'about'],
    [{ from: '10.1.0.5', to: '8.8.8.8:53', ctState: 'OLD' }, 'ctState'],
    [{ from: '10.1.0.5', to: '8.8.8.8:53', payload: 'GET |0d' }, 'payload'],
    [{ from: '10.1.0.5', to: '8.8.8.8:53', at: 'tomorrow' }, 'at'],
    [{ from: '10.1.0.5', to: '8.8.8.8:53', payload: 'GET', length: '41' }, 'length'],
    [{ from: '10.1.0.5', to: '8.8.8.8:53', proto: 'udp', payload: 'GET', length: '60' }, 'length'],
  ] satisfies readonly (readonly [Request, keyof Request])[])('%o is refused because of its %s', (request, option) => {
    const result = ask(world(), request);
    expect(isMisunderstood(result) && result.option).toBe(option);
  });
});

describe('what a question leaves open', () => {
  it('is filled in, and said: a ping, an address that somebody has, an interface by the route back', () => {
    expect(asked({ from: '10.1.0.5', to: '8.8.8.8' }).question.notes).toEqual([
      'no port given: an ICMP echo request (ping)',
      '10.1.0.5 comes in on pods, where the route back to it leads (--in NODE:IFACE says otherwise)',
    ]);
    expect(asked({ from: '192.0.2.1', to: '8.8.8.8:53' }).question).toMatchObject({
      arrives: false,
      boundSource: true,
      notes: ['192.0.2.1 is an address of r'],
    });
    expect(asked({ from: 'local', to: '8.8.8.8:53' }).question).toMatchObject({ arrives: false, boundSource: false, node: 'r' });
  });
});
