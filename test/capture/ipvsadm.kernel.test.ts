// Random virtual servers, made in a guest kernel by ipvsadm: all that it and /proc list of them gives back what was made.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readBundle } from '../../src/capture/bundle.ts';
import { readNamespace } from '../../src/capture/namespace.ts';
import { captureScript } from '../../src/cli/commands/capture.ts';
import type { RealServer, VirtualServer } from '../../src/model/ipvs.ts';
import { formatAddr, formatEndpoint, maskOf, type V4, type V6 } from '../../src/net/addr.ts';
import { SCTP, TCP, UDP } from '../../src/net/proto.ts';
import { describeGuest } from '../oracle/guest.ts';
import { plain } from './captured.ts';

type Server = Omit<RealServer, 'text' | 'at'>;
type Service = Omit<VirtualServer, 'text' | 'at' | 'servers' | 'inKernelOrder'> & { readonly servers: readonly Server[] };

const SCHEDULERS = ['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'dh', 'sh', 'sed', 'nq', 'fo', 'ovf', 'mh'];
const port = fc.integer({ min: 1, max: 65535 });
// ip_vs_new_dest() takes unicast addresses only; above and below 2^31, because ipvsadm sorts them strangely
const v4 = fc.oneof(fc.integer({ min: 0x01000001, max: 0x0affffff }), fc.integer({ min: 0xc0000001, max: 0xdfffffff })).map((n) => n as V4);
const v6 = fc.tuple(fc.constant(0x20010db8), fc.nat(0xffffffff), fc.constantFrom(0, 0xffffffff), fc.nat(0xffffffff)) as fc.Arbitrary<V6>;
const number = fc.oneof(fc.nat(3), fc.nat(65535));

function serverOf(family: 4 | 6, vport: number): fc.Arbitrary<Server> {
  const own = family === 4 ? v4 : v6;
  // thresholds: the lower one is not above the upper one
  const rest = { weight: number, limits: fc.tuple(number, number).map(([a, b]) => (a > b ? { upper: a, lower: b } : { upper: b, lower: a })) };
  const checksum = fc.constantFrom('none' as const, 'checksum' as const, 'remote' as const);
  const tunnel = fc.oneof(
    fc.constant({ type: 'ipip' as const, checksum: 'none' as const }),
    fc.record({ type: fc.constant('gue' as const), port, checksum }),
    fc.record({ type: fc.constant('gre' as const), checksum: fc.constantFrom('none' as const, 'checksum' as const) }),
  );
  const counts = { active: 0, inactive: 0 };
  return fc
    .oneof(
      fc.record({ addr: own, port, forwarding: fc.constant('masq' as const), ...rest }),
      fc.record({ addr: own, port: fc.constant(vport), forwarding: fc.constant('direct' as const), ...rest }),
      fc.record({ addr: fc.oneof(v4, v6), port: fc.constant(vport), forwarding: fc.constant('tunnel' as const), tunnel, ...rest }),
    )
    .map(({ limits, ...s }) => ({ ...s, ...limits, ...counts }));
}

const service: fc.Arbitrary<Service> = fc
  .record({
    family: fc.constantFrom(4 as const, 6 as const),
    proto: fc.constantFrom(TCP, UDP, SCTP, undefined),
    addr4: v4,
    addr6: v6,
    port: fc.oneof(port, fc.constant(0)),
    mark: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 0xffffffff })),
    scheduler: fc.constantFrom(...SCHEDULERS),
    flags: fc.subarray([1, 2, 3] as const),
    onePacket: fc.boolean(),
    isPersistent: fc.boolean(),
    seconds: fc.integer({ min: 1, max: 86400 * 31 }),
    length: fc.integer({ min: 1, max: 128 }),
    isSip: fc.boolean(),
  })
  .chain((r) => {
    const persistence = r.isPersistent || (r.proto !== undefined && r.port === 0);
    const vport = r.proto === undefined ? 0 : r.port;
    // ipvsadm prints flag-3 of sh and mh only where it is the only one
    const flags = /^[sm]h$/.test(r.scheduler) && r.flags.length > 1 ? r.flags.filter((f) => f !== 3) : r.flags;
    const head = {
      family: r.family,
      ...(r.proto === undefined ? { mark: r.mark } : { proto: r.proto, addr: r.family === 4 ? r.addr4 : r.addr6, port: r.port }),
      scheduler: r.scheduler,
      schedulerFlags: flags,
      onePacket: r.onePacket && (r.proto === undefined || r.proto === UDP),
      // a /1 of IPv4 looks like a /128 of IPv6 in /proc, where a mark's family is not told
      ...(persistence && { persistence: { seconds: r.seconds, length: r.family === 6 ? r.length : Math.max(2, Math.min(r.length, 32)) } }),
      ...(persistence && r.isSip && r.proto === UDP && { engine: 'sip' }),
    };
    return fc.uniqueArray(serverOf(r.family, vport), { maxLength: 5, selector: keyOf }).map((servers): Service => ({ ...head, servers }));
  });

function keyOf({ addr, port: p }: { readonly addr?: Server['addr']; readonly port?: number }): string {
  return formatEndpoint(addr ?? '', p);
}

function nameOf(s: Service): string {
  if (s.mark !== undefined) return `-f ${s.mark}${s.family === 6 ? ' -6' : ''}`;
  return `${s.proto === TCP ? '-t' : s.proto === UDP ? '-u' : '--sctp-service'} ${keyOf(s)}`;
}

/** What ipvsadm -R takes. */
function rulesOf(services: readonly Service[]): string {
  const CHECKSUM = { none: '--tun-nocsum', checksum: '--tun-csum', remote: '--tun-remcsum' };
  return services
    .flatMap((s) => {
      const mask = s.persistence && (s.family === 6 ? s.persistence.length : formatAddr(maskOf(4, s.persistence.length)));
      const flags = s.schedulerFlags!.length > 0 ? ` -b ${s.schedulerFlags!.map((n) => `flag-${n}`).join(',')}` : '';
      const line = `-A ${nameOf(s)} -s ${s.scheduler}${s.persistence ? ` -p ${s.persistence.seconds} -M ${mask}` : ''}${s.engine ? ` --pe ${s.engine}` : ''}${s.onePacket ? ' -o' : ''}${flags}`;
      return [
        line,
        ...s.servers.map(({ tunnel: t, ...r }) => {
          const how = t
            ? `-i --tun-type ${t.type}${t.port ? ` --tun-port ${t.port}` : ''} ${t.type === 'ipip' ? '' : CHECKSUM[t.checksum]}`
            : r.forwarding === 'masq'
              ? '-m'
              : '-g';
          return `-a ${nameOf(s)} -r ${keyOf(r)} ${how} -w ${r.weight} -x ${r.upper} -y ${r.lower}`;
        }),
      ];
    })
    .map((line) => `${line.trim()}\n`)
    .join('');
}

describeGuest('netwhy capture', () => {
  it('keeps all listings of each namespace', () => {
    const inside = [
      'modprobe -a ip_vs dummy && ip netns add pod && ip link add vips type dummy && ip addr add 10.96.0.1/32 dev vips && hostname node',
      'ipvsadm -A -t 10.96.0.1:80 -s sh -b sh-port && ipvsadm -a -t 10.96.0.1:80 -r 10.1.0.1:80 -m -x 5 && ipvsadm -a -t 10.96.0.1:80 -r 10.1.0.2:80 -m',
      'ip netns exec pod ipvsadm -A -u 10.96.0.2:53 -s rr',
      'cd "$(mktemp -d)" && sh -s -- --dir . >&2 && head -n 999 node/*vs* node/namespaces/pod/*vs*',
    ];
    const guest = spawnSync(join(import.meta.dirname, '../oracle/uml.sh'), ['sh', '-c', inside.join(' && ')], {
      input: captureScript(),
      encoding: 'utf8',
    });
    const files = [...guest.stdout.matchAll(/==> (\S+) <==\n([\s\S]*?)(?=\n==> |$)/g)].map(([, path, text]) => ({ path: path!, text: text! }));
    const { namespaces, findings } = readBundle(files);
    expect(findings.filter((f) => f.severity !== 'note')).toEqual([]);
    expect(namespaces.map((n) => [n.name, n.captured.ipvs?.length, n.captured.ipvsConnections?.length])).toEqual([
      ['', 4, 1],
      ['pod', 4, 1],
    ]);
    const [root, pod] = namespaces;
    expect(root?.ipvs?.services).toMatchObject([
      { scheduler: 'sh', schedulerFlags: [2], inKernelOrder: true, servers: [{ upper: 0 }, { upper: 5 }] },
    ]);
    expect(pod?.ipvs?.services).toMatchObject([{ scheduler: 'rr', proto: UDP, servers: [] }]);
  });
});

describeGuest('random virtual servers', () => {
  const CASES = 24;
  const sets = fc.sample(fc.uniqueArray(service, { maxLength: 12, selector: nameOf }), {
    numRuns: CASES,
    seed: Number(process.env['NETWHY_SEED'] ?? 5),
  });

  it(`of ${CASES} kernels are read as they were made, in every listing and in its order`, () => {
    const guest = spawnSync(join(import.meta.dirname, '../oracle/uml.sh'), ['python3', '-B', join(import.meta.dirname, 'ipvsadm.py')], {
      input: JSON.stringify(sets.map(rulesOf)),
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    expect(guest.stderr).toBe('');
    const answers = JSON.parse(guest.stdout) as readonly Readonly<Record<string, string>>[];
    const read = (files: readonly (readonly [string, string])[]): ReturnType<typeof readNamespace> =>
      readNamespace(
        files.map(([path, text]) => ({ path, text })),
        'n',
        '',
      );
    let compared = 0;
    for (const [i, services] of sets.entries()) {
      const files = Object.entries(answers[i]!);
      const { namespace, findings } = read(files);
      expect(findings.filter((f) => f.code !== 'empty-file')).toEqual([]);
      // ip_vs_add_dest() puts the newest server first
      const made = Object.fromEntries(services.map((s) => [nameOf(s), plain({ ...s, servers: s.servers.toReversed(), inKernelOrder: true })]));
      const seen = Object.fromEntries(namespace.ipvs!.services.map((s) => [nameOf(s), plain(s)]));
      expect(seen, rulesOf(services)).toEqual(made);
      compared += services.length;
      // sorted: what ipvsadm -Sn alone shows is never taken for the kernel's order
      for (const s of read(files.filter(([path]) => path === 'ipvsadm-Sn.txt')).namespace.ipvs!.services)
        expect(s.inKernelOrder).toBe(s.servers.length < 2);
      const list = read(files.filter(([path]) => path === 'ipvsadm-Ln.txt')).namespace.ipvs!.services;
      for (const s of list) expect(s.inKernelOrder, answers[i]!['ipvsadm-Ln.txt']).toBe(s.servers.length < 2);
    }
    expect(compared).toBeGreaterThan(CASES * 3);
  });
});
