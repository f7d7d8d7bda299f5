// What is found where legacy tables and those of nf_tables stand side by side.
import { describe, expect, it } from 'vitest';
import { readNamespace } from '../../src/capture/namespace.ts';
import type { Finding } from '../../src/model/finding.ts';

const NFT = 'iptables v1.8.9 (nf_tables)\n';
const ACCEPTS = '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n';
const DROPS = '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n';
const REFUSES = ACCEPTS.replace('COMMIT', ':OWN - [0:0]\n:UNUSED - [0:0]\n-A INPUT -j OWN\n-A OWN -p tcp -j REJECT\n-A UNUSED -j DROP\nCOMMIT');
const TRANSLATES =
  '*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\n-A PREROUTING -j KUBE-SERVICES\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n';
const WARNING = '# Warning: iptables-legacy tables present, use iptables-legacy-save to see them\n';

function found(files: Readonly<Record<string, string>>): Finding[] {
  const { namespace, findings } = readNamespace(
    Object.entries(files).map(([path, text]) => ({ path, text })),
    'host',
    '',
  );
  expect(namespace.tables).toBeDefined(); // rules are read when they are asked for
  return findings.filter((f) => f.code === 'backend-split' || f.code === 'other-backend');
}

describe('both backends', () => {
  it('are told with what each decides, and with a line of each', () => {
    const [split, ...others] = found({
      'iptables-version.txt': NFT,
      'iptables-save.txt': REFUSES,
      'iptables-legacy-save.txt': DROPS + TRANSLATES,
    });
    expect(others).toEqual([]);
    expect(split).toMatchObject({ severity: 'warning', code: 'backend-split', at: { file: 'iptables-legacy-save.txt', line: 3 } });
    expect(split?.message).toBe(
      'both backends hold rules of IPv4 here, and packets meet both: legacy (iptables-legacy-save.txt:3) has filter at FORWARD (policy DROP) ' +
        'to drop, nat at PREROUTING and POSTROUTING to masquerade (KUBE-SERVICES is empty); nft (iptables-save.txt:7) has filter at INPUT to reject',
    );
    expect(split?.hint).toMatch(/^this node's iptables, and nft list ruleset, show only those of nft, iptables-legacy those of legacy;/);
  });

  it("of which the node's own iptables is legacy are found where that does not look", () => {
    const [split] = found({
      'iptables-version.txt': 'iptables v1.8.9 (legacy)\n',
      'iptables-save.txt': REFUSES,
      'iptables-nft-save.txt': TRANSLATES,
    });
    expect(split?.at).toEqual({ file: 'iptables-nft-save.txt', line: 5 });
    expect(split?.hint).toMatch(/^this node's iptables shows only those of legacy, iptables-nft and nft list ruleset those of nft;/);
  });

  it('are nothing to tell of where one holds empty chains that accept', () => {
    expect(found({ 'iptables-version.txt': NFT, 'iptables-save.txt': ACCEPTS, 'iptables-legacy-save.txt': REFUSES })).toEqual([]);
    expect(found({ 'iptables-version.txt': NFT, 'iptables-save.txt': DROPS, 'iptables-legacy-save.txt': ACCEPTS })).toEqual([]);
  });

  it('are nothing to tell of where they are of different families', () => {
    expect(found({ 'iptables-version.txt': NFT, 'iptables-save.txt': REFUSES, 'ip6tables-legacy-save.txt': REFUSES })).toEqual([]);
  });

  it('of which one was not captured are what iptables-nft warns of', () => {
    const [other, ...more] = found({ 'iptables-version.txt': NFT, 'iptables-save.txt': REFUSES + WARNING });
    expect(more).toEqual([]);
    expect(other).toMatchObject({ code: 'other-backend', hint: 'capture iptables-legacy-save too' });
    const both = found({ 'iptables-version.txt': NFT, 'iptables-save.txt': REFUSES + WARNING, 'iptables-legacy-save.txt': ACCEPTS });
    expect(both).toEqual([]);
  });
});
