import { describe, expect, it } from 'vitest';
import { readConntrack } from '../../src/capture/conntrack.ts';
import { formatAddr } from '../../src/net/addr.ts';
import { CT_STATUS } from '../../src/model/ruleset.ts';
import type { Tuple } from '../../src/model/packet.ts';
import { captured, plain, sorted } from './captured.ts';

const show = (t: Tuple): string => `${formatAddr(t.src)} ${t.sport} > ${formatAddr(t.dst)} ${t.dport}`;
const read = readConntrack(captured('tools/conntrack.txt'), 'conntrack.txt');
const one = (line: string): ReturnType<typeof readConntrack> => readConntrack(line, 'f');

describe('conntrack -L', () => {
  it('reads both directions of every protocol', () => {
    expect(read.findings).toEqual([]);
    expect(read.entries.map((e) => `${e.orig.proto} ${show(e.orig)}, ${show(e.reply)}`).toSorted()).toEqual([
      '1 10.0.0.5 1234 > 10.0.0.6 2048, 10.0.0.6 1234 > 10.0.0.5 0',
      '132 10.0.0.5 9 > 10.0.0.6 10, 10.0.0.6 10 > 10.0.0.5 9',
      '17 10.0.0.5 53 > 10.0.0.6 53, 10.0.0.6 53 > 10.0.0.5 53',
      '47 10.0.0.5 1 > 10.0.0.6 2, 10.0.0.6 2 > 10.0.0.5 1',
      `58 2001:db8::5 77 > 2001:db8::6 ${128 * 256}, 2001:db8::6 77 > 2001:db8::5 ${129 * 256}`,
      '6 10.0.0.5 40000 > 10.96.0.1 443, 192.168.21.11 6443 > 10.0.0.5 40000',
      '6 10.0.0.5 40001 > 10.0.0.6 80, 10.0.0.6 80 > 10.0.0.5 40001',
      '6 2001:db8::5 40000 > 2001:db8::6 443, 2001:db8::6 443 > 2001:db8::5 40000',
    ]);
  });

  it('a connection has seen a reply unless it is [UNREPLIED]', () => {
    const tcp = read.entries.find((e) => e.state === 'ESTABLISHED' && e.orig.proto === 6)!;
    expect(tcp).toMatchObject({ status: CT_STATUS.SEEN_REPLY | CT_STATUS.ASSURED, mark: 5, zone: 0, timeout: 3599 });
    expect(read.entries.find((e) => e.state === 'SYN_SENT')!.status).toBe(0);
  });

  it('is the same with -o extended, with -o id and in /proc/net/nf_conntrack', () => {
    const bare = (file: string): unknown => sorted(plain(readConntrack(captured(`tools/${file}.txt`), 'f').entries));
    for (const file of ['conntrack-extended', 'conntrack-id', 'nf_conntrack']) expect(bare(file)).toEqual(sorted(plain(read.entries)));
  });

  it('reads zones, security contexts, counters and offloaded flows', () => {
    const line =
      'ipv4     2 tcp      6 src=10.0.0.5 dst=10.0.0.6 sport=1 dport=2 packets=1 bytes=60 src=10.0.0.6 dst=10.0.0.5 sport=2 dport=1 packets=0 bytes=0 ' +
      '[OFFLOAD] mark=1 secctx=system_u:object_r:unlabeled_t:s0 zone=3 delta-time=5 use=2';
    const { entries, findings } = one(line);
    expect(findings).toEqual([]);
    expect(entries).toMatchObject([{ zone: 3, mark: 1, orig: { sport: 1 }, reply: { sport: 2 } }]);
    expect(entries[0]).not.toHaveProperty('timeout');
  });

  it('says when it holds fewer entries than conntrack counted', () => {
    expect(one('conntrack v1.4.7 (conntrack-tools): 2 flow entries have been shown.\n').findings.map((f) => f.code)).toEqual(['truncated']);
  });

  it.each([
    'tcp 6 100 ESTABLISHED src=10.0.0.5 dst=10.0.0.6 sport=1 dport=2',
    'tcp 6 100 ESTABLISHED src=10.0.0.5 dst=10.0.0.6 sport=1 dport=99999 src=10.0.0.6 dst=10.0.0.5 sport=2 dport=1',
    'icmp 1 29 src=10.0.0.5 dst=10.0.0.6 src=10.0.0.6 dst=10.0.0.5 mark=0',
    '[NEW] tcp 6 120 SYN_SENT src=10.0.0.5',
  ])('an entry that is not whole is a finding: %s', (line) => {
    const { entries, findings } = one(line);
    expect([entries, findings.map((f) => [f.severity, f.code, f.line])]).toEqual([[], [['error', 'unreadable-connection', line]]]);
  });
});
