// Commands of ip and bridge, by the tools on the kernel and by our edits on what was captured before them: the captures afterwards read
// the same as the edited model, and what one refuses the other refuses with the same words.
import { spawnSync } from 'node:child_process';
import { isDeepStrictEqual } from 'node:util';
import { expect, it } from 'vitest';
import { readNamespace } from '../../src/capture/namespace.ts';
import type { FdbEntry, Namespace } from '../../src/model/host.ts';
import { applyEdit, isRefused } from '../../src/ask/edit.ts';
import { plain } from '../capture/captured.ts';
import { describeKernel } from '../oracle/kernel.ts';

const SETUP = `
ip link set lo up
sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0
ip link add d0 type veth peer name e0
ip link add f0 type veth peer name g0
ip link add br0 type bridge
ip link add vx0 type vxlan id 7 dstport 4789
for d in e0 g0 d0 f0 vx0; do ip link set $d up; done
sleep 1.5
`;
const CAPTURE = `
capture() {
  echo "@@ ip-addr.txt"; ip -d addr
  echo "@@ ip-route.txt"; ip -4 route show table all
  echo "@@ ip6-route.txt"; ip -6 route show table all
  echo "@@ ip-rule.txt"; ip rule
  echo "@@ ip6-rule.txt"; ip -6 rule
  echo "@@ ip-neigh.txt"; ip neigh; ip neigh show proxy
  echo "@@ bridge-fdb.txt"; bridge fdb
  echo "@@ bridge-link.txt"; bridge -d link
  echo "@@ sysctl.txt"; sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding
}
`;

interface Step {
  readonly command: string;
  /** What the tool said, where it refused. */
  readonly refused: string | undefined;
  readonly after: Namespace;
}

/** Runs the commands one after the other in a namespace of their own. */
function run(commands: readonly string[]): { readonly before: Namespace; readonly steps: readonly Step[] } {
  const quoted = commands.map(
    (c) =>
      `echo "## ${c}"; said=$(${c} 2>&1); rc=$?; echo "@@ rc"; echo "$rc"; echo "@@ said"; echo "$said"; sleep ${/\bup$|mtu/.test(c) ? 1.5 : 0.1}; capture`,
  );
  const script = `${SETUP}${CAPTURE}\necho "## start"; capture\n${quoted.join('\n')}\n`;
  const { stdout, stderr, status } = spawnSync('unshare', ['--net', 'bash', '-c', script], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(stderr);
  const [start, ...blocks] = stdout.split(/^## /m).slice(1).map(sections);
  return {
    before: namespaceOf(start!),
    steps: blocks.map((b, i) => ({
      command: commands[i]!,
      refused: b.get('rc')?.trim() === '0' ? undefined : b.get('said')?.trim(),
      after: namespaceOf(b),
    })),
  };
}

function sections(block: string): Map<string, string> {
  return new Map(
    block
      .split(/^@@ /m)
      .slice(1)
      .map((s) => [s.slice(0, s.indexOf('\n')), s.slice(s.indexOf('\n') + 1)]),
  );
}

function namespaceOf(files: ReadonlyMap<string, string>): Namespace {
  return readNamespace(
    [...files].filter(([path]) => path !== 'rc' && path !== 'said').map(([path, text]) => ({ path, text })),
    'node',
    '',
  ).namespace;
}

/** What both have to agree about, without places and words. The carrier of a device is not an edit's matter. */
function comparable(ns: Namespace): object {
  const routes = ns.routes.map((r) => ({ ...r, nextHops: r.nextHops.map(({ linkdown: _linkdown, ...h }) => h) }));
  // groups that devices join, and stations that a bridge learns, by themselves
  const said = (e: FdbEntry): boolean => e.mac.startsWith('02:00:00:00:00:') || (e.permanent && !/^(?:33:33|01:00:5e)/.test(e.mac));
  return {
    links: ordered(ns.links.map(({ peerIndex: _peerIndex, ...l }) => l)),
    addresses: ordered(ns.addresses),
    routes: ordered(routes),
    rules: plain(ns.rules),
    neighbours: ordered(ns.neighbours),
    fdb: ordered(ns.fdb.filter(said)),
  };
}

/** In an order that depends on the contents alone. */
function ordered(list: readonly object[]): unknown[] {
  const key = (x: unknown): string =>
    JSON.stringify(x, (_, v: unknown) =>
      typeof v === 'object' && v !== null && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).toSorted(([a], [b]) => (a < b ? -1 : 1))) : v,
    );
  return plain(list).toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

function agree(claim: string, commands: readonly string[]): void {
  it(claim, () => {
    const { before, steps } = run(commands);
    let now = before;
    for (const { command, refused, after } of steps) {
      const world = { namespaces: [now], wires: [], findings: [] };
      const edited = applyEdit(world, { node: 'node', namespace: '', command, at: { file: '-e', line: 1 } });
      const ours = isRefused(edited) ? edited.refused : 'carried out';
      expect.soft(`${command}: ${ours}`).toBe(`${command}: ${refused ?? 'carried out'}`);
      if (!isRefused(edited)) now = edited.namespaces[0]!;
      const [model, kernel] = [comparable(now), comparable(after)];
      expect.soft({ command, ...model }).toEqual({ command, ...kernel });
      // one disagreement is not told again with every command after it
      if (!isDeepStrictEqual(model, kernel)) now = after;
    }
  });
}

describeKernel('edits by ip and bridge do what the kernel does', () => {
  agree('routes of IPv4', [
    'ip a a 10.0.0.1/24 dev d0',
    'ip a a 10.0.0.7/24 dev f0',
    'ip a a 10.60.0.1/24 brd + dev d0',
    'ip r a 10.1.0.0/16 via 10.0.0.9',
    'ip r a 10.1.0.0/16 via 10.0.0.8',
    'ip r add 10.1.0.0/16 via 10.9.0.8',
    'ip r add 10.2.0.0/16 via 10.0.0.1',
    'ip r add 10.2.0.0/16 via 10.9.0.8 dev d0',
    'ip r add 10.2.1.0/24 via 10.9.0.8 dev d0 onlink',
    'ip r add 10.2.7.0/24 via 10.9.0.8 onlink',
    'ip r add 10.3.0.0/16 dev d9',
    'ip r change 10.3.0.0/16 via 10.0.0.3',
    'ip r replace 10.3.0.0/16 via 10.0.0.3',
    'ip r append 10.3.0.0/16 via 10.0.0.4',
    'ip r append 10.3.0.0/16 via 10.0.0.4',
    'ip r prepend 10.3.0.0/16 via 10.0.0.5',
    'ip r replace 10.3.0.0/16 via 10.0.0.6',
    'ip r replace 10.3.0.0/16 via 10.0.0.4',
    'ip r add 10.4.0.1/16 via 10.0.0.4',
    'ip r add 10.4.0.0/16 via 10.0.0.4 src 10.8.8.8',
    'ip r add 10.4.0.0/16 via 10.0.0.4 src 10.60.0.1',
    'ip r add 10.4.0.0/16 via 10.0.0.4 metric 7',
    'ip r add 10.8.0.0/16 nexthop via 10.0.0.3 nexthop via 10.60.0.4 weight 2',
    'ip r add default via 10.0.0.3 table 100',
    'ip ro add default via 10.0.0.3',
    'ip r add 10.9.0.0/16 dev d0',
    'ip r add 10.10.0.0/16 dev d0 scope host',
    'ip r add 10.11.0.0/16 via 10.4.0.3',
    'ip r add 10.13.0.0/16 via 10.0.0.3 dev f0 proto static mtu 1300',
    'ip r add local 10.15.0.0/16 dev d0',
    'ip r add local 10.16.0.0/16',
    'ip r add local 10.17.0.0/16 dev lo table 7',
    'ip r add broadcast 10.18.0.1 dev d0',
    'ip r add 10.19.0.0/16 via inet6 fe80::1 dev d0',
    'ip r add blackhole 10.20.0.0/16',
    'ip r add unreachable default metric 9',
    'ip r add 10.21/16 foo 1',
    'ip r add 10.21.0.0/16',
    'ip r add 1.2.3.4/40 dev d0',
    'ip r del 10.1.0.0/16 via 10.0.0.77',
    'ip r del 10.3.0.0/16 dev f0',
    'ip r del 10.3.0.0/16',
    'ip r d 10.4.0.0/16 metric 7',
    'ip r del 10.8.0.0/16 via 10.0.0.4',
    'ip r del 10.8.0.0/16 via 10.0.0.3',
    'ip r del unicast 10.15.0.0/16',
    'ip r del local 10.15.0.0/16',
    'ip r del default table 100',
    'ip r del 10.1.0.0/16 scope link',
    'ip r add 10.22.0.0/16 nexthop via 10.0.0.3 dev f0 nexthop via 10.60.0.4',
    'ip a d 10.60.0.1/24 dev d0',
    'ip r flush table 7',
    'ip link set d0 down',
    'ip r a 10.77.0.0/16 dev d0',
    'ip link set d0 up',
  ]);

  agree('routes of IPv6', [
    'ip a a fd00::1/64 dev d0',
    'ip a a fd00::2/64 dev d0 nodad',
    'ip r a fd01::/64 via fd00::9',
    'ip r a fd01::/64 via fd00::8',
    'ip -6 r add fd02::/64 via fe80::1',
    'ip -6 r add fd02::/64 via fe80::1 dev d0',
    'ip -6 r append fd02::/64 via fe80::2 dev d0',
    'ip -6 r add fd03::/64 via fd77::1',
    'ip -6 r add fd03::/64 via fd00::1',
    'ip -6 r add fd03::/64 via fd77::1 dev d0',
    'ip -6 r add fd03::/64 via fd77::1 dev d0 onlink',
    'ip -6 r add blackhole fd04::/64',
    'ip -6 r add default nexthop via fd00::3 nexthop via fd00::4 weight 2',
    'ip -6 r add fd06::/64 dev d0',
    'ip -6 r add fd06::/64 dev d0 metric 5',
    'ip -6 r replace fd06::/64 via fd00::5',
    'ip -6 r add fd07::/64 via fd00::5 src fd00::77',
    'ip -6 r add fd07::/64 via fd00::5 src fd00::2',
    'ip -6 r add fd08::/64 dev d0 from fd55::/64 table 9',
    'ip -6 r add local fd0a::/64 dev lo',
    'ip -6 r del fd06::/64',
    'ip -6 r del fd06::/64 metric 77',
    'ip -6 r del default',
    'ip -6 r del default',
    'ip -6 r del fd02::/64 via fe80::3',
    'ip -6 r del fd02::/64 via fe80::1',
    'ip -6 r change fd09::/64 via fd00::6',
    'ip a d fd00::2/64 dev d0',
    'ip a d fd00::2/64 dev d0',
    'ip link set d0 down',
    'ip -6 r a fd06::/64 dev d0',
    'ip a a fd44::1/64 dev d0',
    'ip link set d0 up',
    'ip link set d0 mtu 1200',
  ]);

  agree('addresses', [
    'ip a a 10.0.0.1/24 dev d0',
    'ip a a 10.0.0.1/24 dev d0',
    'ip a a 10.0.0.2/24 dev d0',
    'ip a a 10.0.0.2/23 dev d0',
    'ip addr add 10.61.0.1 peer 10.62.0.1 dev d0',
    'ip a a 10.63.0.1/31 dev d0',
    'ip a a 10.64.0.1/32 dev f0',
    'ip a a 10.65.0.1/24 brd 10.65.0.77 scope link dev f0',
    'ip a a 127.0.1.1/8 dev lo',
    'ip a a 10.9.9.9',
    'ip a a 10.9.9.9/33 dev f0',
    'ip a a 10.9.9.9/24 dev f9',
    'ip a a 10.9.9.9/24 dev f0 foo',
    'ip a a fd01::1/128 dev d0',
    'ip a a fd02::1 peer fd03::1 dev d0',
    'ip a a fd05::1/64 dev lo',
    'ip a a fd01::1/128 dev d0',
    'ip n add 10.0.0.12 lladdr 02:00:00:00:00:06 dev d0',
    'ip a d 10.0.0.9/24 dev d0',
    'ip a d 10.0.0.1/24 dev d0',
    'ip a d 10.64.0.1/32 dev f0',
    'ip r add 10.7.0.0/16 dev d0 scope host',
    'ip a f dev d0',
  ]);

  agree('rules', [
    'ip rule add from 10.0.0.0/8 lookup 100',
    'ip rule add from 10.0.0.0/8 lookup 100',
    'ip rule add fwmark 1 lookup 101',
    'ip ru a to 1.2.3.4 table main pref 50',
    'ip rule add to 1.2.3.4 table main pref 50',
    'ip rule add fwmark 0x10/0xff blackhole',
    'ip rule add iif d0 unreachable',
    'ip rule add not from 1.1.1.1 lookup 7 pref 9',
    'ip rule add from 1.1.1.1 lookup 7 pref 9',
    'ip rule add ipproto tcp dport 80 lookup 9',
    'ip rule add suppress_prefixlength 0 lookup main',
    'ip rule add lookup 300 uidrange 5-7',
    'ip rule add goto 32766 pref 11',
    'ip rule add goto 3 pref 11',
    'ip rule add pref 12 nop',
    'ip rule add foo',
    'ip rule add from 10.0.0.0/8',
    'ip -6 rule add from fd00::/8 lookup 100',
    'ip rule add from fd00::/8 lookup 101',
    'ip rule del pref 50',
    'ip rule del pref 50',
    'ip rule del from 10.0.0.0/8',
    'ip rule del lookup 101',
    'ip rule del fwmark 0x10',
    'ip rule del fwmark 0x10/0xff',
    'ip rule del from 9.9.9.9',
    'ip rule flush',
  ]);

  agree('neighbours and links', [
    'ip a a 10.0.0.1/24 dev d0',
    'ip n add 10.0.0.5 lladdr 02:00:00:00:00:05 dev d0',
    'ip n add 10.0.0.5 lladdr 02:00:00:00:00:05 dev d0',
    'ip n replace 10.0.0.5 lladdr 02:00:00:00:00:06 dev d0',
    'ip n change 10.0.0.6 lladdr 02:00:00:00:00:06 dev d0',
    'ip n add 10.0.0.8 lladdr 02:00:00:00:00:06',
    'ip n add 10.0.0.8 dev d0',
    'ip n add 10.0.0.10 dev d7 lladdr 02:00:00:00:00:06',
    'ip n add 10.0.0.14 lladdr 02:00:00:00:00 dev d0',
    'ip n add proxy 10.0.0.11 dev d0',
    'ip n change 10.0.0.5 dev d0 nud failed',
    'ip n del 10.0.0.5 dev d0',
    'ip n del 10.0.0.5 dev d0',
    'ip n del proxy 10.0.0.11 dev d0',
    'ip n add 10.0.0.5 lladdr 02:00:00:00:00:05 dev d0',
    'ip link set d0 mtu 1400',
    'ip link set d0 mtu 65',
    'ip link set d0 mtu 66000',
    'ip link set d0 address 02:11:22:33:44:55',
    'ip link set d0 address 01:11:22:33:44:55',
    'ip l s d0 promisc on',
    'ip l s d0 promisc off arp off',
    'ip link set d0 foo',
    'ip link set d7 up',
    'ip link set d0 master e0',
    'ip link set lo master br0',
    'ip link add br0 type bridge',
    'ip link set br0 master br0',
    'ip link del lo',
    'ip link del d0',
    'ip link del d0',
  ]);

  agree('bridges', [
    'bridge link set dev f0 hairpin on',
    'bridge link set dev nope hairpin on',
    'ip link set br0 up',
    'ip link set f0 master br0',
    'ip link set d0 master br0',
    'bridge link set dev f0 hairpin on',
    'bridge link set dev f0 isolated on learning off flood off',
    'ip link set f0 type bridge_slave hairpin off',
    'bridge fdb add 02:00:00:00:00:01 dev f0 master dynamic',
    'bridge fdb add 02:00:00:00:00:02 dev f0 master static',
    'bridge fdb add 02:00:00:00:00:02 dev d0 master static',
    'bridge fdb replace 02:00:00:00:00:02 dev d0 master static',
    'bridge fdb add 02:00:00:00:00:04 dev br0 self',
    'bridge fdb append 02:00:00:00:00:01 dev f0 master',
    'bridge fdb add 02:00:00:00:00 dev f0 master',
    'bridge fdb add 02:00:00:00:00:06 dev nope master',
    'bridge fdb add 02:00:00:00:00:01 dev g0 master',
    'bridge fdb add 02:00:00:00:00:01 dev g0',
    'bridge fdb add 02:00:00:00:00:01 dev g0',
    'bridge fdb del 02:00:00:00:00:09 dev f0 master',
    'bridge fdb del 02:00:00:00:00:02 dev d0 master',
    'bridge fdb add 02:00:00:00:00:03 dev vx0 dst 1.2.3.4',
    'bridge fdb add 02:00:00:00:00:03 dev vx0 dst 1.2.3.5',
    'bridge fdb append 02:00:00:00:00:03 dev vx0 dst 1.2.3.5',
    'bridge fdb append 00:00:00:00:00:00 dev vx0 dst 1.2.3.5',
    'bridge fdb append 00:00:00:00:00:00 dev vx0 dst 1.2.3.6',
    'bridge fdb replace 02:00:00:00:00:03 dev vx0 dst 1.2.3.7',
    'bridge fdb add 02:00:00:00:00:04 dev vx0',
    'bridge fdb del 02:00:00:00:00:09 dev vx0',
    'bridge fdb del 00:00:00:00:00:00 dev vx0 dst 1.2.3.6',
    'ip link set f0 address 02:11:22:33:44:77',
    'ip link set f0 mtu 1400',
    'ip link set d0 down',
    'ip link set f0 nomaster',
    'ip link set br0 type bridge nf_call_iptables 1',
    'ip link del br0',
  ]);
});
