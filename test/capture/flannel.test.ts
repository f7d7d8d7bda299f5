// flannel's records as etcdctl prints them, and the file that its daemon leaves on each node.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readFlannel } from '../../src/capture/flannel.ts';
import { recognise } from '../../src/capture/recognise.ts';
import { formatAddr, formatPrefix } from '../../src/net/addr.ts';

const VALUE = '{"PublicIP":"192.168.1.41","BackendType":"vxlan","BackendData":{"VtepMAC":"9E:0a:17:5c:28:00"}}';
const OTHER = '{"PublicIP":"192.168.1.42","PublicIPv6":null,"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"d6:f1:3e:91:41:00"}}';
const CONFIG = '{"Network":"10.100.0.0/16","SubnetLen":24,"Backend":{"Type":"vxlan","VNI":1}}';

const SESSION = `[root@master ~]# etcdctl ls /coreos.com/network/subnets
/coreos.com/network/subnets/10.100.54.0-24
/coreos.com/network/subnets/10.100.28.0-24
/coreos.com/network/subnets/10.100.41.0-24
[root@master ~]# etcdctl get /coreos.com/network/config
${CONFIG}
[root@master ~]# etcdctl get /coreos.com/network/subnets/10.100.28.0-24
${VALUE}
`;
const V3 = `/coreos.com/network/config\n${CONFIG}\n/coreos.com/network/subnets/10.100.28.0-24\n${VALUE}\n/coreos.com/network/subnets/10.100.41.0-24\n${OTHER}\n`;
const SUBNET_ENV = 'FLANNEL_NETWORK=10.100.0.0/16\nFLANNEL_SUBNET=10.100.28.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n';
const DOCKER = `DOCKER_OPT_BIP="--bip=10.100.28.1/24"\nDOCKER_OPT_IPMASQ="--ip-masq=true"\nDOCKER_OPT_MTU="--mtu=1450"\nDOCKER_NETWORK_OPTIONS=" --bip=10.100.28.1/24 --ip-masq=true --mtu=1450"\n`;

const leasesOf = (text: string): unknown[] =>
  readFlannel(text, 'etcd.txt').leases.map((l) => [l.subnet && formatPrefix(l.subnet), formatAddr(l.publicIp), l.backend, l.vtepMac, l.at.line]);

describe('the leases in etcd', () => {
  it.each([
    ['a session with prompts', SESSION, [['10.100.28.0/24', '192.168.1.41', 'vxlan', '9e:0a:17:5c:28:00', 8]]],
    ['the value alone', `${VALUE}\n`, [[undefined, '192.168.1.41', 'vxlan', '9e:0a:17:5c:28:00', 1]]],
    [
      'the key on the line before',
      `/coreos.com/network/subnets/10.100.28.0-24\n${VALUE}`,
      [['10.100.28.0/24', '192.168.1.41', 'vxlan', '9e:0a:17:5c:28:00', 2]],
    ],
    [
      'get --prefix of version 3',
      V3,
      [
        ['10.100.28.0/24', '192.168.1.41', 'vxlan', '9e:0a:17:5c:28:00', 4],
        ['10.100.41.0/24', '192.168.1.42', 'vxlan', 'd6:f1:3e:91:41:00', 6],
      ],
    ],
    [
      '-o extended',
      `Key: /coreos.com/network/subnets/10.100.28.0-24\nCreated-Index: 12\nModified-Index: 12\nTTL: 80000\nIndex: 99\n\n${VALUE}\n`,
      [['10.100.28.0/24', '192.168.1.41', 'vxlan', '9e:0a:17:5c:28:00', 7]],
    ],
    [
      'udp, which has no backend data',
      '/kube-centos/network/subnets/172.30.31.0-24\n{"PublicIP":"192.168.1.41"}',
      [['172.30.31.0/24', '192.168.1.41', 'udp', undefined, 2]],
    ],
    ['host-gw', '{"PublicIP":"192.168.1.41","BackendType":"host-gw","BackendData":null}', [[undefined, '192.168.1.41', 'host-gw', undefined, 1]]],
  ])('are read from %s', (_form, text, leases) => {
    expect(leasesOf(text)).toEqual(leases);
    expect(readFlannel(text, 'f').findings).toEqual([]);
    expect(recognise('1.txt', text).kind).toBe('flannel');
  });

  it('are not given the key of another where only a list of keys stands before', () => {
    const list = '/coreos.com/network/subnets/10.100.54.0-24\n/coreos.com/network/subnets/10.100.28.0-24\n';
    expect(leasesOf(`${list}${VALUE}\n`)).toEqual([[undefined, '192.168.1.41', 'vxlan', '9e:0a:17:5c:28:00', 3]]);
  });

  it('that are broken are told, and cost no other', () => {
    const { leases, findings } = readFlannel(
      `{"PublicIP":"192.168.1.4x"}\n{"PublicIP":\n${VALUE}\n{"PublicIP":"10.0.0.1","BackendData":{"VtepMAC":"zz"}}\n`,
      'f',
    );
    expect(leases).toHaveLength(1);
    expect(findings.map((f) => [f.code, f.at.line])).toEqual([
      ['unreadable-lease', 1],
      ['unreadable-lease', 2],
      ['unreadable-lease', 4],
    ]);
  });
});

describe("flannel's network", () => {
  it.each([CONFIG, JSON.stringify(JSON.parse(CONFIG), null, 2)])('is read from %j', (text) => {
    const { networks } = readFlannel(`etcdctl get /coreos.com/network/config\n${text}\n`, 'f');
    expect(networks.map((n) => [formatPrefix(n.network), n.subnetLength, n.backend, n.at.line])).toEqual([['10.100.0.0/16', 24, 'vxlan', 2]]);
  });

  it('and the subnet of a node from subnet.env', () => {
    const [file] = readFlannel(SUBNET_ENV, 'subnet.env').subnetFiles;
    expect(formatPrefix(file!.network!.prefix)).toBe('10.100.0.0/16');
    expect([formatPrefix(file!.subnet!.prefix), formatAddr(file!.subnet!.gateway), file!.subnet!.at.line]).toEqual([
      '10.100.28.0/24',
      '10.100.28.1',
      2,
    ]);
    expect(file!.mtu).toBe(1450);
  });

  it('and what docker was given of it', () => {
    const [file] = readFlannel(DOCKER, 'docker').subnetFiles;
    expect([formatPrefix(file!.bip!.prefix), file!.bip!.at.line, file!.subnet]).toEqual(['10.100.28.0/24', 1, undefined]);
    expect(recognise('run-flannel-docker', DOCKER).kind).toBe('flannel');
  });
});

it('any damage to the records is read', () => {
  fc.assert(
    fc.property(fc.constantFrom(SESSION, V3, SUBNET_ENV, DOCKER, VALUE), fc.nat(), fc.nat(), fc.nat(127), (whole, at, from, code) => {
      const cut = whole.slice(0, at % (whole.length + 1));
      const place = from % Math.max(cut.length, 1);
      const text = code < 64 ? cut : cut.slice(0, place) + String.fromCharCode(code) + cut.slice(place + 1);
      for (const f of readFlannel(text, 'f').findings) expect(f.at.line).toSatisfy((l: number) => l >= 1 && l <= text.split('\n').length);
    }),
    { numRuns: 500 },
  );
});
