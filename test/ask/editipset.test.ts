// What-if: ipset.
import { describe, expect, it } from 'vitest';
import type { Namespace } from '../../src/model/host.ts';
import { edited, namespaceOf } from './played.ts';

const RULES = '*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m set ! --match-set used src -j DROP\nCOMMIT\n';
const SAVE = `create used hash:net family inet hashsize 1024 maxelem 65536
add used 10.0.0.0/8
create other hash:ip family inet hashsize 1024 maxelem 65536
add other 1.1.1.1
create l list:set size 8
add l other
`;
const ns = namespaceOf({ 'ipset-save.txt': SAVE, 'iptables-legacy-save.txt': RULES });

function changed(command: string, of: Namespace = ns): Namespace {
  const after = edited(of, command);
  if (typeof after === 'string') throw new Error(after);
  return after;
}

describe('ipset', () => {
  it('adds what excludes a network, and leaves everything else the same object', () => {
    const after = changed('ipset add used 10.1.0.0/16 nomatch');
    expect(after.sets['used']!.members.map((m) => m.text)).toEqual(['10.0.0.0/8', '10.1.0.0/16 nomatch']);
    expect(after.sets['used']!.members[1]).toMatchObject({ nomatch: true, at: { file: '-e', line: 1 } });
    expect(after.sets['used']!.members[0]).toBe(ns.sets['used']!.members[0]);
    expect(after.sets['other']).toBe(ns.sets['other']);
    expect(after.links).toBe(ns.links);
    expect(after.tables).toBe(ns.tables);
    expect(ns.sets['used']!.members.length).toBe(1);
  });
  it('does not read rules that nobody asks for', () => {
    let isRead = false;
    const lazy: Namespace = Object.defineProperty({ ...ns }, 'tables', { get: () => ((isRead = true), ns.tables), enumerable: true });
    const after = changed('ipset del other 1.1.1.1', lazy);
    expect(isRead).toBe(false);
    expect(after.tables).toBe(ns.tables);
    expect(isRead).toBe(true);
  });
  it('does not take away what rules and lists use, and says which', () => {
    expect(edited(ns, 'ipset destroy used')).toBe('Set cannot be destroyed: it is in use by a kernel component');
    expect(edited(ns, 'ipset destroy other')).toBe('Set cannot be destroyed: it is in use by a kernel component');
    const free = changed('ipset del l other');
    expect(Object.keys(changed('ipset destroy other', free).sets)).toEqual(['used', 'l']);
  });
  it('does not take a set for missing that was not captured', () => {
    expect(edited(namespaceOf({}), 'ipset add used 10.1.0.0/16')).toMatch(/not captured/);
    expect(edited(ns, 'ipset add nope 10.1.0.0/16')).toBe('The set with the given name does not exist');
  });
  it('does not say what it cannot know of a set that was captured in part', () => {
    const part = namespaceOf({ 'ipset-list.txt': 'Name: used\nType: hash:ip\nHeader: family inet\nNumber of entries: 2\nMembers:\n1.1.1.1\n' });
    expect(edited(part, 'ipset del used 2.2.2.2')).toMatch(/is not known/);
    expect(changed('ipset del used 1.1.1.1', part).sets['used']!.members).toEqual([]);
    expect(changed('ipset flush used', part).sets['used']!.incomplete).toBeUndefined();
  });
  it('keeps the quotes of comments', () => {
    const noted = changed('ipset create c hash:ip comment');
    expect(changed('ipset add c 1.2.3.4 comment "of the shop"', noted).sets['c']!.members[0]!.text).toBe('1.2.3.4 comment "of the shop"');
  });
  it('does not make millions of elements', () => {
    const wide = changed('ipset create w hash:ip maxelem 4000000000');
    expect(edited(wide, 'ipset add w 10.0.0.0/8')).toMatch(/16777216 elements/);
    expect(edited(ns, 'ipset add other 10.0.0.0/8')).toBe('Hash is full, cannot add more elements');
  });
  it('adds many to a set of very many in one go', () => {
    const lines = Array.from({ length: 200_000 }, (_, i) => `add big ${10 + (i >> 16)}.0.${(i >> 8) & 255}.${i & 255}`);
    const big = namespaceOf({ 'ipset-save.txt': `create big hash:ip family inet maxelem 1000000\n${lines.join('\n')}\n` });
    const begin = performance.now();
    const after = changed('ipset add big 20.0.0.0/18', big);
    expect(after.sets['big']!.members.length).toBe(216_384);
    expect(edited(after, 'ipset add big 20.0.0.0/18')).toBe("Element cannot be added to the set: it's already added");
    expect(performance.now() - begin).toBeLessThan(5000);
  });
  it('refuses what changes nothing and what it does not know', () => {
    expect(edited(ns, 'ipset list')).toBe('ipset list changes nothing');
    expect(edited(ns, 'ipset frobnicate x')).toBe('No command specified: unknown argument frobnicate');
  });
});
