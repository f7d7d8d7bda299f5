// A negated match is the negation of the match, for what the packet has.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddr, isError, type Addr } from '../../src/net/addr.ts';
import { evaluate } from '../../src/engine/pred.ts';
import type { Sight } from '../../src/engine/sight.ts';
import { CT_STATE } from '../../src/model/ruleset.ts';
import type { Packet, Pred, Truth } from '../../src/index.ts';
import { answer, router } from './router.ts';

function address(text: string): Addr {
  const a = parseAddr(text);
  if (isError(a)) throw new Error(a.error);
  return a;
}

const packet: Packet = {
  family: 4,
  src: address('10.0.0.1'),
  dst: address('10.0.1.7'),
  proto: 6,
  sport: 40000,
  dport: 80,
  flags: 2,
  ttl: 64,
  length: 60,
  tos: 0,
  mark: 0x10,
};

const sight: Sight = {
  visit: '1',
  packet,
  hook: 'FORWARD',
  iif: 'eth0',
  oif: 'eth1',
  physin: '',
  physout: '',
  tracked: { state: CT_STATE.NEW, direction: 'original' },
  elements: () => undefined,
  fib: () => ({ kind: 'none' }),
  set: () => undefined,
  supposedNames: () => [],
  addressType: () => ({ type: 2 }),
  reversePath: () => ({ ok: true, saw: 'as it should be' }),
  supposed: new Map(),
};

const { pred } = fc.letrec<{ pred: Pred; leaf: Pred }>((tie) => ({
  leaf: fc.oneof(
    fc
      .record({
        field: fc.constantFrom('sport', 'dport', 'ttl', 'length', 'mark', 'proto', 'ctstate', 'tos'),
        lo: fc.constantFrom(0, 1, 6, 60, 64, 80),
        n: fc.nat(70_000),
      })
      .map(({ field, lo, n }): Pred => ({ kind: 'in', field: field as 'sport', ranges: [[lo, lo + n]] })),
    fc
      .record({ value: fc.nat(0x1f), mask: fc.nat(0x1f) })
      .map(({ value, mask }): Pred => ({ kind: 'masked', field: 'mark', value: value & mask, mask })),
    fc
      .record({ field: fc.constantFrom('iif', 'oif'), glob: fc.constantFrom('eth0', 'eth1', 'eth+', 'eth', '+', 'cali+') })
      .map(({ field, glob }): Pred => ({ kind: 'name', field: field as 'iif', glob })),
    fc.constantFrom(0, 0.5, 1).map((probability): Pred => ({ kind: 'chance', probability, as: 'a coin' })),
    fc.constant<Pred>({ kind: 'opaque', as: '-m foo', why: 'unknown' }),
    fc.integer({ min: 1, max: 7 }).map((types): Pred => ({ kind: 'addrtype', side: 'dst', types })),
  ),
  pred: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    tie('pred').map((of): Pred => ({ kind: 'not', of })),
    fc
      .record({ kind: fc.constantFrom('all', 'any'), of: fc.array(tie('pred'), { maxLength: 4 }) })
      .map(({ kind, of }): Pred => ({ kind: kind as 'all', of })),
  ),
}));

function not(t: Truth): Truth {
  return t === 'unknown' ? t : !t;
}

/** Kleene's three-valued logic, the plain way. */
function plainly(p: Pred): Truth {
  switch (p.kind) {
    case 'not':
      return not(plainly(p.of));
    case 'all':
    case 'any': {
      const of = p.of.map(plainly);
      const stop = p.kind === 'any';
      return of.includes(stop) ? stop : of.includes('unknown') ? 'unknown' : !stop;
    }
    default:
      return evaluate(p, sight);
  }
}

describe('a predicate about what the packet has', () => {
  it('is negated by not, and what is unknown stays unknown', () => {
    fc.assert(
      fc.property(pred, (p) => {
        expect(evaluate({ kind: 'not', of: p }, sight)).toBe(not(evaluate(p, sight)));
      }),
    );
  });

  it('is decided as three-valued logic has it: a false part makes all false, whatever is unknown beside it', () => {
    fc.assert(
      fc.property(pred, (p) => {
        expect(evaluate(p, sight)).toBe(plainly(p));
      }),
      { numRuns: 500 },
    );
  });

  it('is unknown at most where a part of it is', () => {
    expect(evaluate({ kind: 'all', of: [] }, sight)).toBe(true);
    expect(evaluate({ kind: 'any', of: [] }, sight)).toBe(false);
    expect(evaluate({ kind: 'chance', probability: 1, as: 'sure' }, sight)).toBe(true);
    expect(evaluate({ kind: 'chance', probability: 0, as: 'never' }, sight)).toBe(false);
    expect(evaluate({ kind: 'chance', probability: 0.5, as: 'a coin' }, sight)).toBe('unknown');
  });
});

describe('in a rule', () => {
  const matches: readonly string[] = [
    '-s 10.0.0.0/24',
    '-s 10.0.0.2/32',
    '-d 10.0.1.7/32',
    '-d 10.0.1.0/255.255.255.3',
    '-i eth0',
    '-i eth1',
    '-i eth+',
    '-o eth1',
    '-p tcp',
    '-p udp',
  ];
  const tcp: readonly [string, string][] = [
    ['-m tcp', '--dport 80'],
    ['-m tcp', '--dport 81:90'],
    ['-m tcp', '--sport 1:65535'],
    ['-m tcp', '--tcp-flags FIN,SYN,RST,ACK SYN'],
    ['-m multiport', '--dports 22,80,100:200'],
    ['-m multiport', '--ports 22'],
    ['-m mark', '--mark 0x0/0xff'],
    ['-m mark', '--mark 0x4000/0x4000'],
    ['-m conntrack', '--ctstate NEW'],
    ['-m conntrack', '--ctstate RELATED,ESTABLISHED'],
    ['-m iprange', '--src-range 10.0.0.1-10.0.0.9'],
    ['-m iprange', '--dst-range 10.0.2.1-10.0.2.9'],
    ['-m addrtype', '--dst-type UNICAST'],
    ['-m addrtype', '--src-type LOCAL'],
    ['-m length', '--length 0:100'],
    ['-m pkttype', '--pkt-type broadcast'],
  ];
  const isDropped = (rule: string): boolean => {
    const kinds = answer(router({ filter: [`-A FORWARD ${rule} -m conntrack --ctdir ORIGINAL -j DROP`] }), {
      from: '10.0.0.1',
      to: '10.0.1.7:80',
    }).courses.map((c) => c.trace.outcome.kind);
    expect(kinds).toHaveLength(1);
    return kinds[0] === 'dropped';
  };

  it.each(matches)('exactly one of %s and its negation matches', (m) => {
    expect(isDropped(m)).not.toBe(isDropped(`! ${m}`));
  });

  it.each(tcp)('exactly one of %s %s and its negation matches', (m, option) => {
    expect(isDropped(`-p tcp ${m} ${option}`)).not.toBe(isDropped(`-p tcp ${m} ! ${option}`));
  });

  it('a negated port matches no packet that has no ports', () => {
    const rule = '-A FORWARD -p tcp -m tcp ! --dport 80 -j DROP';
    expect(answer(router({ filter: [rule] }), { from: '10.0.0.1', to: '10.0.1.7' }).courses.map((c) => c.trace.outcome.kind)).toEqual(['left']);
  });
});
