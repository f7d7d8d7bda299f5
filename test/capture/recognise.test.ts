import { describe, expect, it } from 'vitest';
import { recognise } from '../../src/capture/recognise.ts';
import { bundleOf, captured } from './captured.ts';

const KINDS: Readonly<Record<string, string>> = {
  'bridge-fdb.txt': 'bridge',
  'bridge-link.json': 'bridge',
  'bridge-link.txt': 'bridge',
  'conntrack-extended.txt': 'conntrack',
  'conntrack-id.txt': 'conntrack',
  'conntrack.txt': 'conntrack',
  'conntrack6.txt': 'conntrack',
  'ip-addr.json': 'addr',
  'ip-addr.txt': 'addr',
  'ip-d-addr.json': 'addr',
  'ip-d-addr.txt': 'addr',
  'ip-d-link.json': 'link',
  'ip-d-link.txt': 'link',
  'ip-d-route.json': 'route',
  'ip-d-route.txt': 'route',
  'ip-d-rule.json': 'rule',
  'ip-d-rule.txt': 'rule',
  'ip-link.json': 'link',
  'ip-link.txt': 'link',
  'ip-neigh-proxy.json': 'neigh',
  'ip-neigh-proxy.txt': 'neigh',
  'ip-neigh.json': 'neigh',
  'ip-neigh.txt': 'neigh',
  'ip-o-addr.txt': 'addr',
  'ip-o-link.txt': 'link',
  'ip-o-route.txt': 'route',
  'ip-route-100.json': 'route',
  'ip-route-100.txt': 'route',
  'ip-route-get.txt': 'route',
  'ip-route-main.json': 'route',
  'ip-route-main.txt': 'route',
  'ip-route.json': 'route',
  'ip-route.txt': 'route',
  'ip-rule.json': 'rule',
  'ip-rule.txt': 'rule',
  'ip-s-addr.txt': 'addr',
  'ip-s-neigh.txt': 'neigh',
  'ip6-route-main.json': 'route',
  'ip6-route-main.txt': 'route',
  'ip6-rule.json': 'rule',
  'ip6-rule.txt': 'rule',
  'ipset-list-terse.txt': 'ipset-list',
  'ipset-list.txt': 'ipset-list',
  'ipset-save.txt': 'ipset-save',
  'ipset-version.txt': 'version',
  'iptables-S.txt': 'iptables-list',
  'iptables-legacy-save.txt': 'iptables-save',
  'iptables-t-nat-S.txt': 'iptables-list',
  'iptables-version.txt': 'version',
  'ipvsadm-L.txt': 'ipvsadm',
  'ipvsadm-Lc.txt': 'ipvs-connections',
  'ipvsadm-Ln-nosort.txt': 'ipvsadm',
  'ipvsadm-Ln-persistent-conn.txt': 'ipvsadm',
  'ipvsadm-Ln-rate.txt': 'ipvsadm',
  'ipvsadm-Ln-stats-exact.txt': 'ipvsadm',
  'ipvsadm-Ln-stats.txt': 'ipvsadm',
  'ipvsadm-Ln-t.txt': 'ipvsadm',
  'ipvsadm-Ln-thresholds.txt': 'ipvsadm',
  'ipvsadm-Ln-timeout.txt': 'ipvsadm',
  'ipvsadm-Ln-tun-info.txt': 'ipvsadm',
  'ipvsadm-Ln.txt': 'ipvsadm',
  'ipvsadm-Lnc-persistent-conn.txt': 'ipvs-connections',
  'ipvsadm-Lnc.txt': 'ipvs-connections',
  'ipvsadm-S.txt': 'ipvsadm',
  'ipvsadm-Sn.txt': 'ipvsadm',
  'nf_conntrack.txt': 'conntrack',
  'pod-a-ip-addr.json': 'addr',
  'pod-a-ip-addr.txt': 'addr',
  'pod-a-ip-route.json': 'route',
  'pod-a-ip-route.txt': 'route',
  'netstat-busybox.txt': 'ss',
  'netstat-ltnup.txt': 'ss',
  'proc-net-ip_vs.txt': 'ipvsadm',
  'proc-net-ip_vs_app.txt': 'ipvsadm',
  'proc-net-ip_vs_conn.txt': 'ipvs-connections',
  'proc-net-ip_vs_conn_sync.txt': 'ipvs-connections',
  'proc-net-ip_vs_stats.txt': 'ipvsadm',
  'proc-net-ip_vs_stats_percpu.txt': 'ipvsadm',
  'proc-sys.txt': 'sysctl',
  'ss-Hltn.txt': 'ss',
  'ss-Hltunp.txt': 'ss',
  'ss-ltn.txt': 'ss',
  'ss-ltu.txt': 'ss',
  'ss-ltun.txt': 'ss',
  'ss-ltunpi.txt': 'ss',
  'ss-lun.txt': 'ss',
  'ss-proc.txt': 'ss',
  'sysctl.txt': 'sysctl',
  'uname.txt': 'uname',
};

describe('a capture is recognised', () => {
  it.each(Object.entries(KINDS))('%s by its content, whatever its name', (file, kind) => {
    expect(recognise('paste', captured(`tools/${file}`)).kind).toBe(kind);
    expect(recognise('iptables-save.txt', captured(`tools/${file}`)).kind).toBe(kind);
    expect(recognise('paste', captured(`tools/${file}`).replaceAll('\n', '\r\n')).kind).toBe(kind);
  });

  it.each(['kube-proxy-1.26-iptables', 'kube-proxy-1.26-ipvs', 'kube-proxy-1.13-legacy-restore-failed', 'kube-proxy-1.26-iptables-1000-services'])(
    'in every file of %s',
    (folder) => {
      const kinds = bundleOf(folder).map((f) => [f.path.replace(/^node1\//, ''), recognise(f.path, f.text).kind]);
      const expected = {
        ...KINDS,
        'kube-proxy.log': 'log',
        'bridge-fdb.json': 'bridge',
        'nft.json': 'nft',
        'nft.txt': 'nft',
        'iptables-nft-save.txt': 'iptables-save',
        'iptables-save.txt': 'iptables-save',
        'ipvsadm-list.txt': 'ipvsadm',
        'ipvsadm-save.txt': 'ipvsadm',
        'ipvsadm-connections.txt': 'ipvs-connections',
      };
      expect(Object.fromEntries(kinds)).toEqual(Object.fromEntries(kinds.map(([path]) => [path, expected[path as keyof typeof expected]])));
    },
  );

  it('in every file of kubectl-1.26, by its content', () => {
    for (const { text } of bundleOf('kubectl-1.26')) expect(recognise('paste', text).kind).toBe('kubernetes');
  });

  it.each([
    ['a session that begins with its prompt', '[root@node1 ~]# ip route\ndefault via 10.0.0.1 dev eth0\n', 'route', 'text'],
    ['one object', 'kind: Node\napiVersion: v1\nmetadata: {name: n}\n', 'kubernetes', 'text'],
    ['documents behind a comment', '# kubectl get ippools -o yaml\n---\napiVersion: projectcalico.org/v3\nkind: IPPool\n', 'kubernetes', 'text'],
    ['flannel in JSON', '{"PublicIP":"10.0.0.1"}\n', 'flannel', 'json'],
    ["flannel's environment", 'FLANNEL_NETWORK=10.0.0.0/8\n', 'flannel', 'text'],
  ])('as what it holds: %s', (_what, text, kind, format) => {
    expect(recognise('1.txt', text)).toMatchObject({ kind, format });
  });

  it('by its name where it is empty', () => {
    expect(recognise('a/ip-neigh.txt', '')).toMatchObject({ kind: 'empty', named: 'neigh' });
    expect(recognise('ipvsadm-save.txt', '')).toMatchObject({ kind: 'empty', named: 'ipvsadm' });
    expect(recognise('proc-net-ip_vs.txt', '')).toMatchObject({ kind: 'empty', named: 'ipvsadm' });
    expect(recognise('ipvsadm-connections.txt', '')).toMatchObject({ kind: 'empty', named: 'ipvs-connections' });
    expect(recognise('proc-net-ip_vs_conn.txt', '')).toMatchObject({ kind: 'empty', named: 'ipvs-connections' });
    expect(recognise('conntrack.txt', '\n')).toMatchObject({ kind: 'empty', named: 'conntrack' });
    expect(recognise('ss-ltn.txt', '')).toMatchObject({ kind: 'empty', named: 'ss' });
    expect(recognise('ip-neigh.json', '[]\n')).toMatchObject({ kind: 'neigh' });
    expect(recognise('ip6-route.txt', '')).toMatchObject({ kind: 'empty', named: 'route', family: 6 });
  });

  it.each([
    ['ip-route.txt', {}],
    ['ip-6-route.txt', { family: 6 }],
    ['ip6-route.txt', { family: 6 }],
    ['ip-6-route-show-table-all.txt', { family: 6, table: 'all' }],
    ['ip-4-route.txt', { family: 4 }],
    ['ip-route-table-100.txt', { table: '100' }],
    ['ip-route-show-table-all.txt', { table: 'all' }],
    ['ip-route-100.txt', { table: '100' }],
    ['ip-route-show.txt', {}],
    ['routes.txt', {}],
  ])('%s tells family and table by its name', (path, expected) => {
    const { family, table } = recognise(path, 'default dev tun0\n');
    expect({ ...(family ? { family } : {}), ...(table ? { table } : {}) }).toEqual(expected);
  });

  it.each([
    ['x.txt', '# Generated by iptables-nft-save v1.8.9 (nf_tables) on Sat\n*nat\n', { family: 4 }],
    ['x.txt', '# Generated by iptables-save v1.8.7 on Sat\n*nat\n', { family: 4 }],
    ['iptables-legacy-save.txt', '*nat\n', { family: 4, backend: 'legacy' }],
    ['ip6tables-nft-save.txt', '*nat\n', { family: 6, backend: 'nft' }],
    ['rules.v6', '# Generated by xtables-save v1.8.2 on Sat\n*filter\n', { family: 6 }],
    ['x.txt', '# Generated by ip6tables-save v1.8.7 on Sat\n*filter\n', { family: 6 }],
  ])('%s: %s tells family and backend', (path, text, expected) => {
    expect(recognise(path, text)).toMatchObject({ kind: 'iptables-save', ...expected });
  });

  it('as binary when it is', () => {
    expect(recognise('iptables-save.txt', '\u001f\u008b\b\0\0').kind).toBe('binary');
    expect(recognise('iptables-save.txt', '\ufffd\ufffd\u0001abc').kind).toBe('binary');
  });

  it('not at all when it is something else', () => {
    expect(recognise('README.md', '# Captures\n\nip route of the node\n').kind).toBe('unknown');
    expect(recognise('rules.yaml', '- a: 1\n').kind).toBe('unknown');
  });

  it('without looking further than its beginning', () => {
    const routes = captured('tools/ip-route.txt');
    expect(recognise('x', `${routes}${'x'.repeat(1_000_000)}`).kind).toBe('route');
    expect(recognise('x', `${'x\n'.repeat(100_000)}${routes}`).kind).toBe('unknown');
  });
});
