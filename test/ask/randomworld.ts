// Random nodes as netwhy would read them, without a kernel: those of test/probes, test/nft and test/ipvs. What `ip` and the others would
// have done to the node is done to the model, which the kernel tests of the edits hold to be the same.
import { applyEdit, isRefused, readEdit } from '../../src/ask/edit.ts';
import { readNamespace } from '../../src/capture/namespace.ts';
import type { Namespace, World } from '../../src/model/host.ts';
import type { Load } from '../probes/node.ts';

const OFF = 'rp_filter accept_local route_localnet src_valid_mark proxy_arp arp_ignore bc_forwarding send_redirects'.split(' ');

/** A node with its devices, and nothing else. */
function bare({ devs }: Load): Namespace {
  const flags = 'BROADCAST,MULTICAST,NOARP,UP,LOWER_UP';
  const device = (name: string, i: number): string =>
    `${i + 2}: ${name}: <${flags}> mtu 1500 qdisc pfifo_fast state UNKNOWN group default qlen 1000\n    link/ether 02:00:00:00:00:0${i + 2} brd ff:ff:ff:ff:ff:ff\n`;
  const lo =
    '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000\n    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n' +
    '    inet 127.0.0.1/8 scope host lo\n       valid_lft forever preferred_lft forever\n    inet6 ::1/128 scope host\n       valid_lft forever preferred_lft forever\n';
  const routes =
    'local 127.0.0.0/8 dev lo table local proto kernel scope host src 127.0.0.1\nlocal 127.0.0.1 dev lo table local proto kernel scope host src 127.0.0.1\n' +
    'broadcast 127.255.255.255 dev lo table local proto kernel scope link src 127.0.0.1\n';
  const names = ['all', 'default', 'lo', ...devs.map((d) => d.name)];
  const settings = names.flatMap((n) => [
    `net.ipv4.conf.${n}.forwarding = 1`,
    `net.ipv6.conf.${n}.forwarding = 1`,
    `net.ipv6.conf.${n}.disable_ipv6 = 0`,
    ...OFF.map((s) => `net.ipv4.conf.${n}.${s} = 0`),
  ]);
  const more = ['net.ipv4.ip_forward = 1', 'net.ipv4.ip_nonlocal_bind = 0', 'net.netfilter.nf_conntrack_tcp_loose = 1'];
  const files = {
    'ip-addr.txt': lo + devs.map((d, i) => device(d.name, i)).join(''),
    'ip-route.txt': routes,
    'ip6-route.txt': 'local ::1 dev lo table local proto kernel metric 0 pref medium\n',
    'ip-rule.txt': '0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n',
    'ip6-rule.txt': '0:\tfrom all lookup local\n32766:\tfrom all lookup main\n',
    'sysctl.txt': `${[...settings, ...more].join('\n')}\n`,
    'ip-neigh.txt': '',
    'conntrack.txt': '',
  };
  return namespaceOf(files);
}

function namespaceOf(files: Readonly<Record<string, string>>): Namespace {
  return readNamespace(
    Object.entries(files).map(([path, text]) => ({ path, text })),
    'n',
    '',
  ).namespace;
}

function edited(world: World, command: string): World {
  const edit = readEdit(`n# ${command}`, { file: '-e', line: 1 }, world);
  const after = isRefused(edit) ? edit : applyEdit(world, edit);
  // the kernel refuses some as well, and goes on
  return isRefused(after) ? world : after;
}

const GROUNDS = new WeakMap<Load['devs'], Map<string, Namespace>>();

/** What stands below the rules; several rule sets share it. */
function groundOf(load: Load): Namespace {
  const six = load.ip?.some((l) => l.startsWith('-6')) ?? false;
  const commands = [
    ...load.devs.flatMap((d) => (d.addrs ?? []).map((a) => `ip ${a.includes(':') ? '-6 ' : ''}addr add ${a.split(' ')[0]!} dev ${d.name}`)),
    ...(load.ip ?? []).map((l) => `ip ${l}`),
    ...Object.entries(load.sysctls ?? {}).map(([key, value]) => `sysctl -w ${key}=${value}`),
  ];
  const known = GROUNDS.get(load.devs) ?? new Map<string, Namespace>();
  GROUNDS.set(load.devs, known);
  const key = `${six}${commands.join('\n')}`;
  let ground = known.get(key);
  if (!ground) {
    const start: World = { namespaces: [bare(load)], wires: [], findings: [] };
    known.set(key, (ground = commands.reduce(edited, start).namespaces[0]!));
  }
  return ground;
}

/** The node that a kernel would be given, with the connections that it is to have (`conntrack -L`). */
export function worldOf(load: Load, connections = ''): World {
  const ground = groundOf(load);
  const { legacy, nft, legacy6, nft6, ruleset, ipvs } = load;
  const texts = {
    'iptables-legacy-save.txt': legacy ?? '',
    'iptables-nft-save.txt': nft ?? '',
    'ip6tables-legacy-save.txt': legacy6 ?? '',
    'ip6tables-nft-save.txt': nft6 ?? '',
    'ipset-save.txt': load.ipset?.replaceAll(' -exist', '') ?? '',
    'conntrack.txt': connections,
    ...(ruleset !== undefined && { 'nft-ruleset.txt': ruleset }),
    ...(ipvs !== undefined && { 'ipvsadm-save.txt': ipvs, 'ipvsadm-connections.txt': '' }),
  };
  const rules = namespaceOf(texts);
  const { tables, sets, conntrack } = rules;
  const captured = { ...ground.captured, ...rules.captured };
  const ns: Namespace = { ...ground, captured, tables, sets, conntrack, ...(rules.ipvs && { ipvs: rules.ipvs }) };
  return { namespaces: [ns], wires: [], findings: [] };
}
