// What-if: conntrack.
import { describe, expect, it } from 'vitest';
import { edited, namespaceOf } from './played.ts';

const ns = namespaceOf({
  'conntrack.txt': `udp      17 25 src=10.0.0.3 dst=10.96.0.10 sport=1000 dport=53 src=10.1.0.1 dst=10.0.0.3 sport=5353 dport=1000 mark=1 use=1
tcp      6 299 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1000 dport=80 src=10.0.0.2 dst=10.0.0.9 sport=80 dport=1000 [ASSURED] mark=5 use=1
tcp      6 299 SYN_SENT src=10.0.0.1 dst=10.0.0.2 sport=1001 dport=80 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=80 dport=1001 zone=7 use=1
`,
});

function left(command: string): unknown {
  const after = edited(ns, command);
  return typeof after === 'string' ? after : after.conntrack.map((e) => ns.conntrack.indexOf(e));
}

describe('conntrack', () => {
  it('deletes what all of the filter is true of', () => {
    expect(left('conntrack -D -p udp --dport 53')).toEqual([1, 2]);
    expect(left('conntrack -D --orig-dst 10.0.0.2 --zone=7')).toEqual([0, 1]);
    expect(left('conntrack -D -n')).toEqual([0, 2]);
    expect(left('conntrack -D --dst-nat 10.1.0.0/16')).toEqual([1, 2]);
    expect(left('conntrack -D -q 10.0.0.9')).toEqual([0, 2]);
    expect(left('conntrack -D -m 1/1')).toEqual([2]);
    expect(left('conntrack -D -u SEEN_REPLY,ASSURED')).toEqual([0, 2]);
    expect(left('conntrack -D -p tcp --state SYN_SENT')).toEqual([0, 1]);
  });
  it('deletes all of them', () => {
    expect(left('conntrack -F')).toEqual([]);
    expect(left('conntrack -D')).toEqual([]);
  });
  it('refuses what finds nothing, as conntrack ends with an error', () => {
    expect(left('conntrack -D -s 9.9.9.9')).toBe('0 flow entries have been deleted.');
    expect(left('conntrack -D --dport 53')).toBe("unknown option `--dport'");
  });
  it('does not know what it deletes where nothing was captured; after -F there is nothing', () => {
    const bare = namespaceOf({});
    expect(edited(bare, 'conntrack -D -p udp')).toMatch(/not captured/);
    const after = edited(bare, 'conntrack -F');
    expect(typeof after === 'string' ? after : after.captured.conntrack).toEqual(['-e']);
  });
});
