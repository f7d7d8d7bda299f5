import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { evaluate, explain, undecided } from '../../src/engine/pred.ts';
import type { Directed, Sight } from '../../src/engine/sight.ts';
import { readSave } from '../../src/iptables-parser/index.ts';
import { isError, parseAddr, type Addr } from '../../src/net/addr.ts';
import { CT_STATE, type Pred } from '../../src/model/ruleset.ts';
import type { Packet } from '../../src/model/packet.ts';

function addr(text: string): Addr {
  const parsed = parseAddr(text);
  if (isError(parsed)) throw new TypeError(parsed.error);
  return parsed;
}

const packet: Packet = {
  family: 4,
  src: addr('192.0.2.7'),
  dst: addr('10.1.0.1'),
  proto: 6,
  sport: 40000,
  dport: 8080,
  flags: 2,
  ttl: 63,
  length: 40,
  tos: 0,
  mark: 0,
};
const request: Sight = {
  visit: '1',
  packet,
  hook: 'POSTROUTING',
  iif: 'in0',
  oif: 'out0',
  physin: '',
  physout: '',
  tracked: { state: CT_STATE.NEW, direction: 'original' },
  elements: () => undefined,
  fib: () => ({ kind: 'none' }),
  set: () => undefined,
  supposedNames: () => [],
  addressType: () => undefined,
  reversePath: () => ({ ok: true, saw: '' }),
  supposed: new Map(),
};
const reply: Sight = { ...request, tracked: { state: CT_STATE.ESTABLISHED, direction: 'reply' } };
const untracked: Sight = { ...request, tracked: { state: CT_STATE.UNTRACKED } };

const connection: Directed['connection'] = { addr: addr('10.96.0.1'), port: 80, method: 'masq' };
const marked: Directed = { connection };
const lost: Directed = {};

/** What the lines of test/ipvs/match.txt are about. */
const SIGHTS: Readonly<Record<string, Sight>> = {
  'masq, request': { ...request, ipvs: marked },
  'masq, reply': { ...reply, ipvs: lost },
  'masq without conntrack, request': { ...untracked, ipvs: marked },
  'masq without conntrack, reply': { ...untracked, ipvs: lost },
  'persistent, request': { ...request, ipvs: { connection: { ...connection, controlPort: 80 } } },
  'persistent, reply': { ...reply, ipvs: lost },
  'persistent on every port, request': { ...request, ipvs: { connection: { ...connection, controlPort: 0 } } },
  'persistent on every port, reply': { ...reply, ipvs: lost },
  'direct, request': { ...request, ipvs: { connection: { ...connection, method: 'direct' } } },
  'tunnel, request': { ...request, packet: { ...packet, proto: 4 }, ipvs: lost },
  'no virtual server, request': request,
  'no virtual server, reply': reply,
};

function pred(form: string): Pred {
  const { tables, findings } = readSave(`*mangle\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -m ipvs ${form}\nCOMMIT\n`, { file: 'x', family: 4 });
  expect(findings).toEqual([]);
  return tables[0]!.chains['POSTROUTING']!.rules[0]!.match;
}

const recorded = readFileSync(new URL('../ipvs/match.txt', import.meta.url), 'utf8');

describe('-m ipvs', () => {
  it.each([...recorded.matchAll(/^(\w.*)\n((?: {2}.*\n)+)/gm)].map(([, title, lines]) => [title!, lines!]))(
    '%s: matches what the kernel matched',
    (title, lines) => {
      const sight = SIGHTS[title];
      if (!sight) throw new RangeError(title);
      for (const [, sign, form = ''] of lines.matchAll(/^ {2}([+-]) (.*)$/gm)) expect(evaluate(pred(form), sight), form).toBe(sign === '+');
    },
  );

  it('of an IPv6 virtual server is asked under a mask', () => {
    const { tables } = readSave(
      '*mangle\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -m ipvs ! --vaddr fd00:96::9/64\n-A POSTROUTING -m ipvs --vaddr fd00:96::9/64\nCOMMIT\n',
      {
        file: 'x',
        family: 6,
      },
    );
    const of = (virtual: string): unknown[] =>
      tables[0]!.chains['POSTROUTING']!.rules.map((r) =>
        evaluate(r.match, { ...request, ipvs: { connection: { ...connection, addr: addr(virtual) } } }),
      );
    expect(of('fd00:96::1')).toEqual([false, true]);
    expect(of('fd00:97::1')).toEqual([true, false]);
  });

  const saw = (form: string, sight: Sight): string[] => {
    const { parts = [] } = explain(pred(form), sight);
    return parts.flatMap((p) => p.parts ?? [p]).flatMap((p) => p.saw ?? []);
  };

  it('says what it saw', () => {
    expect(saw('--ipvs', request)).toEqual(['IPVS did not send it here']);
    expect(saw('! --ipvs', { ...request, ipvs: marked })).toEqual(['IPVS sent it here']);
    expect(saw('--vport 443', { ...request, ipvs: marked })).toEqual([
      'IPVS sent it here',
      'its virtual server is 10.96.0.1:80',
      'its virtual server is 10.96.0.1:80',
    ]);
    expect(saw('--vmethod GATE', { ...reply, ipvs: lost }).at(-1)).toBe('IPVS has no connection for it');
    expect(saw('--vmethod GATE', { ...request, ipvs: marked }).at(-1)).toBe('its forwarding method is masq');
    expect(saw('--vportctl 21', { ...request, ipvs: marked }).at(-1)).toBe('no other connection controls it');
    expect(saw('--vportctl 21', SIGHTS['persistent, request']!).at(-1)).toBe('the connection that controls it is one to port 80');
  });

  it('cannot be decided where nothing about IPVS was captured', () => {
    const dark: Sight = { ...request, ipvs: 'unknown' };
    expect(evaluate(pred('--vport 80'), dark)).toBe('unknown');
    const open = undecided(pred('--vport 80'), dark)!;
    expect(open.claim).toBe('IPVS sent the packet here (nothing about IPVS was captured)');
    expect(evaluate(pred('--vport 80'), { ...dark, supposed: new Map([[open.leaf, false]]) })).toBe(false);
    const sent: Sight = { ...dark, supposed: new Map([[open.leaf, true]]) };
    const next = undecided(pred('--vport 80'), sent)!;
    expect(next.claim).toBe('IPVS has a connection for the packet (nothing about IPVS was captured)');
    expect(undecided(pred('! --vaddr 10.96.0.1'), { ...sent, supposed: new Map([...sent.supposed, [next.leaf, true]]) })!.claim).toBe(
      "'! --vaddr 10.96.0.1' holds (nothing about IPVS was captured)",
    );
    expect(saw('--vport 80', dark)).toEqual(Array.from({ length: 3 }, () => 'nothing about IPVS was captured'));
  });
});
