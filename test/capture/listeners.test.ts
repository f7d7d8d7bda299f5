import { describe, expect, it } from 'vitest';
import { readListeners } from '../../src/capture/listeners.ts';
import { readNamespace } from '../../src/capture/namespace.ts';
import type { Listener } from '../../src/model/host.ts';
import { formatAddr } from '../../src/net/addr.ts';
import { TCP, UDP } from '../../src/net/proto.ts';
import { captured } from './captured.ts';

/** `tcp 4 127.0.0.1:22 sshd`, a star for what is not said. */
function said({ proto, family, addr, port, process }: Listener): string {
  return `${proto === TCP ? 'tcp' : 'udp'} ${family ?? '*'} ${addr === undefined ? '*' : formatAddr(addr)} ${port} ${process ?? '*'}`;
}

const TOOLS = [
  'udp 4 127.0.0.53 53 systemd-resolve',
  'udp 4 * 68 dhclient',
  'udp 6 fe80::1 546 dhclient',
  'tcp 4 127.0.0.1 10248 kubelet',
  'tcp 4 * 22 sshd',
  'tcp 4 127.0.0.53 53 systemd-resolve',
  'tcp 4 10.0.0.5 8080 java',
  'tcp 6 * 22 sshd',
  'tcp * * 6443 kube-apiserver',
  'tcp * * 10250 kubelet',
];
const bare = (list: readonly string[]): string[] => list.map((s) => s.replace(/\S+$/, '*'));
const ofTcp = TOOLS.filter((s) => s.startsWith('tcp'));

describe('who listens', () => {
  it.each([
    ['ss-Hltunp.txt', TOOLS],
    ['ss-ltunpi.txt', TOOLS],
    ['ss-ltun.txt', bare(TOOLS)],
    ['ss-ltn.txt', bare(ofTcp)],
    ['ss-Hltn.txt', bare(ofTcp)],
    ['ss-lun.txt', bare(TOOLS).slice(0, 3)],
  ])('is read of what ss printed: %s', (file, expected) => {
    const { listeners, whole, findings } = readListeners(captured(`tools/${file}`), file);
    expect(findings).toEqual([]);
    expect(listeners.map(said).toSorted()).toEqual(expected.toSorted());
    expect(whole).toEqual([TCP, UDP].filter((p) => expected.some((s) => s.startsWith(p === TCP ? 'tcp' : 'udp'))));
  });

  it('is read of /proc and of netstat, which do not tell who takes IPv6 alone', () => {
    const either = bare(TOOLS)
      .map((s) => s.replace('tcp 6 * 22', 'tcp * * 22'))
      .toSorted();
    for (const file of ['ss-proc.txt', 'netstat-ltnup.txt']) {
      const { listeners, whole, findings } = readListeners(captured(`tools/${file}`), file);
      expect(findings).toEqual([]);
      expect(bare(listeners.map(said)).toSorted(), file).toEqual(either);
      expect(whole).toEqual([TCP, UDP]);
    }
    const busybox = readListeners(captured('tools/netstat-busybox.txt'), 'f');
    expect(busybox.findings).toEqual([]);
    expect(busybox.listeners.map(said)).toContain('tcp * * 6443 *');
  });

  it('is not all known where a line was not understood', () => {
    const { listeners, whole, findings } = readListeners(captured('tools/ss-ltu.txt'), 'f');
    expect(listeners).toHaveLength(TOOLS.length - 1);
    expect(whole).toEqual([TCP]);
    expect(findings).toMatchObject([{ code: 'unreadable-listener', at: { file: 'f', line: 4 }, hint: expect.stringContaining('-n') }]);
  });

  it.each([
    ['a header alone says that nobody does', 'Netid State Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n', [], [TCP, UDP]],
    ['a header of one protocol does not say of which', 'State Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n', [], []],
    ['connections say nothing', 'tcp ESTAB 0 0 10.0.0.5:22 10.0.0.9:5123\n', [], []],
    ['beside connections', 'tcp ESTAB 0 0 10.0.0.5:22 10.0.0.9:51\ntcp LISTEN 0 9 0.0.0.0:22 0.0.0.0:*\n', ['tcp 4 * 22 *'], [TCP, UDP]],
    ['beside sockets of other kinds', 'u_str LISTEN 0 9 /run/x 13 * 0\ntcp LISTEN 0 9 0.0.0.0:22 0.0.0.0:*\n', ['tcp 4 * 22 *'], [TCP]],
    [
      'of an old ss',
      'tcp    LISTEN     0      128    *:22   *:*\ntcp    LISTEN     0      128    :::80    :::*\n',
      ['tcp * * 22 *', 'tcp * * 80 *'],
      [TCP, UDP],
    ],
    ['of an old ss with brackets', 'LISTEN 0 128 *:22 *:*\nLISTEN 0 128 [::]:80 [::]:*\n', ['tcp * * 22 *', 'tcp * * 80 *'], [TCP]],
    [
      'on a line that a terminal broke',
      'LISTEN 0 9 0.0.0.0:22 0.0.0.0:*\nusers:(("sshd",pid=7,fd=3),("x",pid=8,fd=3))\n',
      ['tcp 4 * 22 sshd'],
      [TCP],
    ],
    ['behind a prompt', '[root@node1 ~]# ss -ltn\nLISTEN 0 9 0.0.0.0:22 0.0.0.0:*\n', ['tcp 4 * 22 *'], [TCP]],
    ['of a program with a title', 'tcp 0 0 0.0.0.0:80 0.0.0.0:* LISTEN 12/nginx: master pr\n', ['tcp 4 * 80 nginx'], [TCP]],
  ])('%s', (_, text, expected, protocols) => {
    const { listeners, whole, findings } = readListeners(text, 'f');
    expect(findings).toEqual([]);
    expect(listeners.map(said)).toEqual(expected);
    expect(whole).toEqual(protocols);
  });

  it('belongs to its namespace; the first listing of a protocol counts', () => {
    const files = [
      { path: 'n/ss-ltn.txt', text: captured('tools/ss-ltn.txt') },
      { path: 'n/ss-lun.txt', text: captured('tools/ss-lun.txt') },
      { path: 'n/netstat.txt', text: captured('tools/netstat-ltnup.txt') },
    ];
    const { namespace } = readNamespace(files, 'n', '');
    expect(namespace.captured).toEqual({ tcpListeners: [files[0]!.path, files[2]!.path], udpListeners: [files[1]!.path, files[2]!.path] });
    expect(namespace.listeners!.map(said).toSorted()).toEqual(bare(TOOLS).toSorted());
    expect(readNamespace([], 'n', '').namespace.listeners).toBeUndefined();
    expect(readNamespace([{ path: 'ss.txt', text: '' }], 'n', '').namespace.listeners).toBeUndefined();
  });
});
