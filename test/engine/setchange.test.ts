// What a rule does to a set is seen by later rules of the walk and by the reply's; what was not captured is told, or forks.
import { describe, expect, it } from 'vitest';
import type { Answer } from '../../src/index.ts';
import { answer, router } from './router.ts';

const request = { from: '10.0.0.1', to: '10.0.1.2:80', in: 'router:eth0' };
const outcomes = (a: Answer): string[] => a.courses.map((c) => c.trace.outcome.kind);
const BACK = ['-A FORWARD -i eth1 -m set --match-set seen dst -j ACCEPT', '-A FORWARD -i eth1 -j DROP'];

describe('the SET target', () => {
  it('opens the way back for the reply', () => {
    const closed = answer(router({ filter: BACK }, 'create seen hash:ip\n'), request);
    expect(outcomes(closed)).toEqual(['reply-lost']);
    const open = answer(router({ filter: ['-A FORWARD -i eth0 -j SET --add-set seen src', ...BACK] }, 'create seen hash:ip\n'), request);
    expect(outcomes(open)).not.toContain('reply-lost');
    expect(open.courses[0]!.trace.outcome.kind).toBe(answer(router({}), request).courses[0]!.trace.outcome.kind);
  });

  it('closes it', () => {
    const rules = ['-A FORWARD -i eth0 -j SET --del-set seen src', ...BACK];
    expect(outcomes(answer(router({ filter: rules }, 'create seen hash:ip\nadd seen 10.0.0.1\n'), request))).toEqual(['reply-lost']);
  });

  it('tells what it did', () => {
    const { courses } = answer(
      router({ filter: ['-A FORWARD -i eth0 -j SET --add-set seen src'] }, 'create seen hash:net\nadd seen 10.0.0.0/28\n'),
      request,
    );
    const steps = courses[0]!.trace.hops.flatMap((h) => h.steps);
    expect(steps.flatMap((s) => (s.step === 'rule' && s.did !== undefined ? [s.did] : []))).toEqual(
      ['10.0.0.0/28 is in it already'].map((w) => `add seen: ${w}`),
    );
  });

  it('of a set that was not captured is an assumption, and the question for it a fork', () => {
    const { courses } = answer(
      router({ filter: ['-A FORWARD -i eth0 -j SET --add-set lost src', '-A FORWARD -m set --match-set lost src -j DROP'] }),
      request,
    );
    expect(outcomes({ courses } as Answer).toSorted()).toContain('dropped');
    expect(courses.length).toBeGreaterThan(1);
    expect(courses[0]!.trace.assumptions.some((a) => !a.forked && a.what.includes('later rules see lost as it was captured'))).toBe(true);
  });

  it('that maps marks of a set which was not captured forks', () => {
    const rules = { mangle: ['-A FORWARD -j SET --map-set lost src --map-mark'] };
    const { courses } = answer(router(rules), request);
    expect(outcomes({ courses } as Answer)).toContain('cannot-tell');
    expect(courses.length).toBe(2);
    const known = answer(router(rules, 'create lost hash:ip skbinfo\nadd lost 10.0.0.1 skbmark 0x7\n'), request);
    expect(known.courses.map((c) => c.trace.hops[0]!.steps.flatMap((s) => (s.step === 'rule' ? [s.did] : []))[0])).toEqual([
      'mark 0x0 -> 0x7 by lost',
    ]);
  });

  it('a counter is raised by each question of the packet, before it is looked at', () => {
    const rules = ['-A FORWARD -m set --match-set hits src --packets-gt 3 -j DROP', '-A FORWARD -m set --match-set hits src --packets-gt 3 -j DROP'];
    const of = (packets: number): string[] =>
      outcomes(answer(router({ filter: rules }, `create hits hash:ip counters\nadd hits 10.0.0.1 packets ${packets} bytes 100\n`), request));
    expect([of(0), of(1), of(2), of(3)].map((o) => o.join())).toEqual([of(0).join(), of(0).join(), 'dropped', 'dropped']);
    expect(of(0)).not.toContain('dropped');
  });
});
