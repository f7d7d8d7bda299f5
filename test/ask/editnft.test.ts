// What an edit by nft makes of the tables of a namespace, beside what the kernel test asks the kernel about.
import { describe, expect, it } from 'vitest';
import { applyEdit, isRefused, type Refusal } from '../../src/ask/edit.ts';
import { readNamespace } from '../../src/capture/namespace.ts';
import type { Namespace } from '../../src/model/host.ts';
import type { Table } from '../../src/model/ruleset.ts';

const LISTED = `table inet fw { # handle 1
	set hosts { # handle 4
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/24, 10.1.0.1 }
	}
	map to { # handle 5
		typeof ip saddr : verdict
		elements = { 10.0.0.1 : goto extra }
	}
	chain extra { # handle 2
		accept # handle 6
	}
	chain in { # handle 3
		type filter hook input priority 0; policy accept;
		ip saddr @hosts accept # handle 7
		tcp dport 22 drop # handle 8
	}
}
`;
const ns = readNamespace([{ path: 'nft-ruleset.txt', text: LISTED }], 'n1', '').namespace;

function edit(command: string, of = ns): Namespace | Refusal {
  const done = applyEdit({ namespaces: [of], wires: [], findings: [] }, { node: 'n1', namespace: '', command, at: { file: 'edits', line: 3 } });
  return isRefused(done) ? done : done.namespaces[0]!;
}

function edited(command: string, of = ns): Namespace {
  const done = edit(command, of);
  if (isRefused(done)) throw new Error(done.refused);
  return done;
}

const tables = (of: Namespace): readonly Table[] => of.tables.filter((t) => t.nft === 'inet fw');
const texts = (of: Namespace, chain: string): string[] => tables(of)[0]!.chains[chain]!.rules.map((r) => r.text);

describe('an edit by nft', () => {
  it('changes both families of an inet table', () => {
    const after = edited('nft add rule inet fw in udp dport 53 accept');
    expect(tables(after)).toHaveLength(2);
    expect(tables(after)[0]!.chains).toBe(tables(after)[1]!.chains);
    expect(texts(after, 'in').at(-1)).toBe('udp dport 53 accept');
    expect(tables(after)[0]!.chains['extra']).toBe(tables(ns)[0]!.chains['extra']);
  });

  it('finds rules by the handles of the listing', () => {
    expect(texts(edited('nft delete rule inet fw in handle 7'), 'in')).toEqual(['tcp dport 22 drop']);
    expect(texts(edited('nft replace rule inet fw in handle 8 tcp dport 23 drop'), 'in')).toEqual(['ip saddr @hosts accept', 'tcp dport 23 drop']);
    expect(texts(edited('nft insert rule inet fw in position 8 drop'), 'in')[1]).toBe('drop');
    expect(edit('nft delete rule inet fw in handle 70')).toMatchObject({ refused: 'nft: Error: Could not process rule: No such file or directory' });
  });

  it('asks for a listing with handles where there are none', () => {
    const bare = readNamespace([{ path: 'nft-ruleset.txt', text: LISTED.replace(/ # handle \d+/g, '') }], 'n1', '').namespace;
    const done = edit('nft delete rule inet fw in handle 7', bare);
    expect('hint' in done && done.hint).toMatch(/capture nft -a list ruleset/);
  });

  it('reads a rule with the sets of its table', () => {
    const rule = tables(edited('nft add rule inet fw in ip saddr vmap @to'))[0]!.chains['in']!.rules.at(-1)!;
    expect(rule.then).toMatchObject([{ kind: 'vmap', map: 'to' }]);
    expect(rule.at).toEqual({ file: 'edits', line: 3 });
  });

  it('adds elements of the types that the set has, at the place of the edit', () => {
    const { elements } = tables(edited('nft add element inet fw hosts { 10.2.0.0/16, 10.3.0.1-10.3.0.9 }'))[0]!.sets!['hosts']!;
    expect(elements).toHaveLength(4);
    expect(elements.at(-1)).toMatchObject({ text: '10.3.0.1-10.3.0.9', at: { file: 'edits', line: 3 } });
  });

  it('refuses to delete what is in use', () => {
    expect(edit('nft delete set inet fw hosts')).toMatchObject({ refused: 'nft: Error: Could not process rule: Device or resource busy' });
    expect(edit('nft delete chain inet fw extra')).toMatchObject({ refused: 'nft: Error: Could not process rule: Device or resource busy' });
    expect(texts(edited('nft delete element inet fw to { 10.0.0.1 }; delete chain inet fw extra'), 'in')).toHaveLength(2);
  });

  it('carries out a script whole or not at all', () => {
    const after = edited('nft -f -\nflush chain inet fw in\nadd rule inet fw in \\\n  tcp dport { 80,\n    443 } accept # web\n');
    expect(texts(after, 'in')).toEqual(['tcp dport { 80, 443 } accept']);
    expect(edit('nft -f -\nflush chain inet fw in\nadd rule inet fw nowhere drop')).toMatchObject({
      hint: 'there is no chain nowhere in the table inet fw',
    });
  });

  it('takes what a shell would have taken the quotes and backslashes off', () => {
    const chain = tables(edited('nft add chain inet fw out \\{ type filter hook output priority filter\\; policy drop\\; \\}'))[0]!.chains['out'];
    expect(chain?.base).toEqual({ hook: 'OUTPUT', policy: 'drop', priority: 0, type: 'filter' });
  });

  it('says what it does not carry out', () => {
    expect(edit('nft add rule bridge fw in drop')).toMatchObject({ hint: expect.stringContaining('inet') as string });
    expect(edit('nft list ruleset')).toMatchObject({ hint: 'a what-if takes commands that change something' });
    expect(edit('nft add counter inet fw c')).toMatchObject({ refused: "nft: Error: 'add counter' cannot be carried out" });
  });
});
