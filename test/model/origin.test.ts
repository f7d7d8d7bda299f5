// Who made what: asserted of single lines, and counted over every capture that lies in this repository.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { load } from '../../src/cli/load.ts';
import { readSave } from '../../src/iptables-parser/index.ts';
import type { Namespace } from '../../src/model/host.ts';
import { originOfChain, originOfRoute, originOfRule, originOfSet, type Origin } from '../../src/model/origin.ts';
import { called } from '../../src/engine/chain.ts';

/** `Calico, IP pools`, or nothing. */
function said(origin: Origin | undefined): string {
  return origin ? [origin.by, ...(origin.of === undefined ? [] : [origin.of])].join(', ') : '';
}

/** Who made the one rule of a table in iptables' words. */
function maker(rule: string, table = 'filter'): string {
  const chain = rule.split(' ')[1]!;
  const target = / -[jg] ([A-Za-z0-9_-]*[a-z_-][A-Za-z0-9_-]*|DOCKER)\b/.exec(rule)?.[1];
  const heads = [chain, ...(target === undefined ? [] : [target])].map(
    (c) => `:${c} ${/^[A-Z]+$/.test(c) && c !== 'DOCKER' ? 'ACCEPT' : '-'} [0:0]\n`,
  );
  const { tables } = readSave(`*${table}\n${heads.join('')}${rule}\nCOMMIT\n`, { file: 'x' });
  const read = tables[0]!.chains[chain]!.rules[0]!;
  return said(originOfRule(read, chain, table));
}

describe('a rule', () => {
  it.each([
    ['-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD', 'kube-proxy'],
    ['-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP', 'kube-proxy'],
    [
      '-A KUBE-SERVICES -d 10.96.10.4/32 -p tcp -m comment --comment "default/empty:http has no endpoints" -m tcp --dport 80 -j REJECT',
      'kube-proxy, Service default/empty:http',
    ],
    [
      '-A KUBE-PROXY-FIREWALL -d 198.51.100.7/32 -p tcp -m comment --comment "default/local:http traffic not accepted by KUBE-FW-5JBRKTDCTCPQIRQX" -m tcp --dport 80 -j DROP',
      'kube-proxy, Service default/local:http',
    ],
    ['-A INPUT -j KUBE-FIREWALL', 'kubelet or kube-proxy'],
    [
      '-A cali-tw-cali0f3b7d52e84 -m comment --comment "cali:H-mqdx4gFqD61QzR" -m conntrack --ctstate INVALID -j DROP',
      'Calico, endpoint cali0f3b7d52e84',
    ],
    ['-A FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m mark --mark 0x10000/0x10000 -j ACCEPT', 'Calico'],
    [
      '-A cali-pi-_kw9VbC1dTf8TrdR0c4y -m comment --comment "cali:S93hcgKJrXEqnTfs" -m comment --comment "Policy default/knp.default.web ingress" -j MARK --set-xmark 0x10000/0x10000',
      'Calico, policy default/knp.default.web',
    ],
    ['-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD', 'flannel'],
    ['-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT', 'flannel'],
    ['-A FORWARD -j DOCKER-USER', 'Docker'],
    ['-A FORWARD -o docker0 -j DOCKER', 'Docker, bridge docker0'],
    ['-A FORWARD -i br-5d1e0c7a93f4 ! -o br-5d1e0c7a93f4 -j ACCEPT', 'Docker, bridge br-5d1e0c7a93f4'],
    ['-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP', 'Docker, bridge docker0'],
    ['-A DOCKER-USER -j RETURN', 'Docker'],
    ['-A INPUT -j INPUT_ZONES', 'firewalld'],
    ['-A IN_public_allow -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW,UNTRACKED -j ACCEPT', 'firewalld, zone public'],
    ['-A INPUT -j ufw-before-input', 'ufw'],
    ['-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd', 'fail2ban, sshd'],
    ['-A f2b-sshd -s 203.0.113.9/32 -j REJECT --reject-with icmp-port-unreachable', 'fail2ban, sshd'],
    ['-A FORWARD -j LIBVIRT_FWX', 'libvirt'],
    ['-A LIBVIRT_FWI -o virbr0 -j REJECT --reject-with icmp-port-unreachable', 'libvirt, bridge virbr0'],
    ['-A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD', 'CNI'],
    ['-A INPUT -m comment --comment "kube-router netpol - 4IA2OSFRMVNDXBVV" -j KUBE-ROUTER-INPUT', 'kube-router'],
    ['-A FORWARD -m comment --comment "cilium-feeder: CILIUM_FORWARD" -j CILIUM_FORWARD', 'Cilium'],
  ])('%s', (rule, by) => {
    expect(maker(rule)).toBe(by);
  });

  it.each([
    ['-A KUBE-SEP-WNBA2IHDGP2BOBGZ -p tcp -m tcp -j DNAT --to-destination 10.244.1.7:9376', 'kube-proxy'],
    ['-A KUBE-SVC-NWV5X2332I4OT4T3 -m comment --comment "default/hostnames:" -j KUBE-SEP-WNBA2IHDGP2BOBGZ', 'kube-proxy, Service default/hostnames'],
    [
      '-A KUBE-XLB-NWV5X2332I4OT4T3 -m comment --comment "Balancing rule 0 for default/web:http" -j KUBE-SEP-WNBA2IHDGP2BOBGZ',
      'kube-proxy, Service default/web:http',
    ],
    [
      '-A KUBE-EXT-NWV5X2332I4OT4T3 -m comment --comment "route LOCAL traffic for default/web:http external destinations" -m addrtype --src-type LOCAL -j KUBE-SVC-NWV5X2332I4OT4T3',
      'kube-proxy, Service default/web:http',
    ],
    [
      '-A KUBE-EXT-NWV5X2332I4OT4T3 -m comment --comment "masquerade traffic for default/web:http external destinations" -j KUBE-MARK-MASQ',
      'kube-proxy, Service default/web:http',
    ],
    ['-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT', 'kube-proxy, cluster IPs'],
    ['-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000', 'kubelet or kube-proxy'],
    ['-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING', 'kubelet or kube-proxy'],
    [
      '-A POSTROUTING ! -d 10.0.0.0/8 -m comment --comment "kubenet: SNAT for outbound traffic from cluster" -m addrtype ! --dst-type LOCAL -j MASQUERADE',
      'kubelet, kubenet',
    ],
    [
      '-A cali-nat-outgoing -m comment --comment "cali:flqWnvo8yq4ULQLa" -m set --match-set cali40masq-ipam-pools src -m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE',
      'Calico, IP pools',
    ],
    ['-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE', 'Docker, bridge docker0'],
    ['-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80', 'Docker, bridge docker0'],
    ['-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ', 'CNI, portmap'],
    ['-A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -p tcp -j MASQUERADE --to-ports 1024-65535', 'libvirt'],
  ])('of nat: %s', (rule, by) => {
    expect(maker(rule, 'nat')).toBe(by);
  });

  it.each([
    '-A FORWARD -j ACCEPT',
    '-A FORWARD -s 10.244.0.0/16 -j ACCEPT',
    '-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "team/ssh access" -j ACCEPT',
    '-A INPUT -p tcp -m comment --comment "default/web:http" -m tcp --dport 22 -j ACCEPT',
    '-A KUBE-FORWARD -s 10.9.0.0/16 -j ACCEPT',
    '-A KUBE-SERVICES -d 10.96.0.1/32 -j DROP',
    '-A KUBE-TEAM-A -j DROP',
    '-A cali-FORWARD -s 10.9.0.0/16 -j DROP',
    '-A DOCKER-USER -i eth0 -s 203.0.113.9/32 -j DROP',
    '-A FORWARD -i br-lan ! -o br-lan -j ACCEPT',
    '-A office -j DOCKER-USER',
    '-A LIBVIRT_FWI -d 10.0.1.0/24 -o docker0 -j ACCEPT',
    '-A FORWARD_direct -s 10.9.0.0/16 -j ACCEPT',
  ])('that anybody may have written has no maker: %s', (rule) => {
    expect(maker(rule)).toBe('');
  });

  it('of somebody’s own nft table has no maker, whatever its chains are called', () => {
    const drop = { text: 'ip saddr 203.0.113.9 drop', then: [{ kind: 'jump', chain: 'KUBE-FORWARD' }], match: { kind: 'all', of: [] } } as const;
    expect(said(originOfRule(drop, 'DOCKER', 'inet office'))).toBe('');
    // kube-proxy says of every refusal why, in a comment
    expect(said(originOfRule({ ...drop, then: [] }, 'filter-forward', 'ip kube-proxy'))).toBe('');
    expect(said(originOfRule({ ...drop, text: 'ct state new jump firewall-check' }, 'filter-forward', 'ip kube-proxy'))).toBe('kube-proxy');
  });
});

it.each([
  ['KUBE-SVC-NWV5X2332I4OT4T3', 'nat', 'kube-proxy'],
  ['KUBE-KUBELET-CANARY', 'mangle', 'kubelet'],
  ['KUBE-MARK-DROP', 'nat', 'kubelet or kube-proxy'],
  ['KUBE-POD-FW-4IA2OSFRMVNDXBVV', 'filter', 'kube-router'],
  ['service-GBEZ6T4J-default/web/tcp/http', 'ip kube-proxy', 'kube-proxy, Service default/web:http'],
  ['endpoint-B45FDDBC-default/web/tcp/__fd00.10.244.2..7/8080', 'ip6 kube-proxy', 'kube-proxy, Service default/web'],
  ['cali-pri-kns.default', 'filter', 'Calico, profile kns.default'],
  ['cali-pri-_PTRGc0U-L5Kz7V6ERW', 'filter', 'Calico'],
  ['filter-cali-tw-cali3c8d1f57a06', 'ip calico', 'Calico, endpoint cali3c8d1f57a06'],
  ['filter-forward-in__br-5d1e0c7a93f4', 'ip docker-bridges', 'Docker, bridge br-5d1e0c7a93f4'],
  ['filter_FWD_policy_office-out_deny', 'inet firewalld', 'firewalld, policy office-out'],
  ['filter_INPUT_POLICIES_pre', 'inet firewalld', 'firewalld'],
  ['f2b-chain', 'inet f2b-table', 'fail2ban'],
  ['FORWARD', 'filter', ''],
  ['office', 'filter', ''],
])('the chain %s of %s', (chain, table, by) => {
  expect(said(originOfChain(chain, table))).toBe(by);
});

it.each([
  ['cali40all-ipam-pools', undefined, 'Calico, IP pools'],
  ['KUBE-6-CLUSTER-IP', undefined, 'kube-proxy, cluster IPs'],
  ['f2b-sshd', undefined, 'fail2ban, sshd'],
  ['addr-set-sshd', 'inet f2b-table', 'fail2ban, sshd'],
  ['addr-set-sshd', undefined, ''],
  ['blocklist', undefined, ''],
])('the set %s', (name, table, by) => {
  expect(said(originOfSet({ name }, table))).toBe(by);
});

it.each([
  ['192.168.21.0/24 dev ens192 proto kernel scope link src 192.168.21.20', 'kernel'],
  ['fe80::/64 dev eth0 proto kernel metric 256 pref medium', 'kernel'],
  ['local 10.96.0.1 dev kube-ipvs0 table local proto kernel scope host src 10.96.0.1', 'kernel, an address that kube-proxy gave kube-ipvs0'],
  ['10.244.1.0/24 via 10.244.1.228 dev cilium_host proto kernel src 10.244.1.228', 'Cilium'],
  ['10.244.1.0/24 via 172.18.0.3 dev eth0 proto kernel', ''],
  ['default via 192.168.21.1 dev ens192 proto static', 'administrator'],
  ['default via 192.168.21.1 dev ens192 proto dhcp src 192.168.21.20 metric 100', 'DHCP client'],
  ['default via fe80::1 dev eth0 proto ra metric 1024 pref medium', 'router advertisement'],
  ['10.233.92.0/26 via 192.168.21.12 dev tunl0 proto bird onlink', 'Calico, BIRD'],
  ['blackhole 10.233.90.0/26 proto bird', 'BIRD'],
  ['10.0.0.0/8 via 10.1.1.1 dev eth1 proto 186', 'BGP'],
  ['10.0.0.0/8 via 10.1.1.1 dev eth1 proto ospf metric 20', 'OSPF'],
  ['10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink', 'flannel'],
  ['10.233.96.5 dev cali2e7a90c41b3 scope link', 'Calico, endpoint cali2e7a90c41b3'],
  ["worker1 has 'blackhole 10.9.0.0/16 proto zebra' for 10.9.0.1", 'zebra'],
  ['10.244.2.0/24 via 192.168.21.12 dev ens192', ''],
  ['default via 169.254.1.1 dev eth0', ''],
])('the route %s', (text, by) => {
  expect(said(originOfRoute({ text }))).toBe(by);
});

describe('in all captures', () => {
  const root = join(import.meta.dirname, '../..');
  let namespaces: readonly Namespace[] = [];
  beforeAll(async () => {
    const folders = ['scenarios', 'test/captures'].flatMap((f) =>
      readdirSync(join(root, f), { withFileTypes: true })
        .filter((d) => d.isDirectory() && (f === 'scenarios' || /^kube-proxy.*(iptables|ipvs|failed)$/.test(d.name)))
        .map((d) => join(root, f, d.name)),
    );
    namespaces = (await Promise.all(folders.map((f) => load(f)))).flatMap((l) => l.world.namespaces);
  }, 60_000);

  const rules = (): { readonly chain: string; readonly table: string; readonly text: string; readonly by: string }[] =>
    namespaces.flatMap(({ tables }) =>
      tables.flatMap((t) =>
        Object.values(t.chains).flatMap((c) =>
          c.rules.map((r) => ({ chain: c.name, table: called(t), text: r.text, by: said(originOfRule(r, c.name, called(t))) })),
        ),
      ),
    );

  it('every rule of a chain of kube-proxy’s or Calico’s that iptables-save shows has a maker', () => {
    const theirs = rules().filter((r) => /^(KUBE|cali)-/.test(r.chain) && r.text.startsWith('-A '));
    expect(theirs.length).toBeGreaterThan(3000);
    expect(theirs.filter((r) => r.by === '').map((r) => r.text)).toEqual([]);
  });

  it('what no program made has none', () => {
    const unmade = new Set(rules().flatMap((r) => (r.by === '' ? [`${r.table} ${r.chain}`] : [])));
    // nft alone shows no comments of iptables: there two chains of kube-proxy stay dumb in part
    expect([...unmade].toSorted()).toEqual(
      [
        'filter FORWARD',
        'filter INPUT',
        'filter KUBE-FORWARD',
        'inet filter input',
        'inet host input',
        'nat KUBE-POSTROUTING',
        'nat POSTROUTING',
      ].toSorted(),
    );
  });

  it('every ipset of kube-proxy’s or Calico’s has a maker, and no other', () => {
    for (const { sets } of namespaces)
      for (const s of Object.values(sets)) expect([s.name, originOfSet(s) !== undefined]).toEqual([s.name, /^(KUBE-|cali)/.test(s.name)]);
  });

  it('no route without a protocol is the administrator’s', () => {
    for (const { routes } of namespaces)
      for (const r of routes) if (r.proto === undefined) expect([r.text, originOfRoute(r)?.by]).not.toEqual([r.text, 'administrator']);
  });
});
