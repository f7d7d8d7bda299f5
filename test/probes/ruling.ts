// A claim about matches, told by rule numbers: which rules of one chain a packet matches, and whether netwhy knows it or follows both ways.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeKernel } from '../oracle/kernel.ts';
import { BASE, BASE6, load, save, type Tables } from './claim.ts';
import { compare, line, report, type Comparison } from './compare.ts';
import { openNode, type Load, type Node, type Shot } from './node.ts';

/** What the kernel makes of a packet: the numbers of the rules it matches; `open` where netwhy can only follow several courses. */
export type Ruling = readonly [shot: Shot, numbers: readonly number[], open?: 'open' | undefined];

export interface Rules {
  /** Matches of FORWARD (or another chain of a table), each one rule that decides nothing; each packet finds no connection. */
  readonly rules: (title: string, family: 4 | 6, matches: readonly string[], rulings: readonly Ruling[], where?: Where) => void;
  /** Whole tables, both backends: what the kernel does with each packet, on one line, which is one of netwhy's courses: the only one unless `open`. */
  readonly whole: (title: string, family: 4 | 6, tables: Tables, told: readonly (readonly [Shot, string | RegExp, 'open'?])[], where?: Where) => void;
}

export interface Where {
  readonly chain?: string;
  readonly table?: string;
  readonly extra?: Partial<Load>;
  readonly backends?: readonly ('legacy' | 'nft')[];
  /** Packets meet the connections of those before them. */
  readonly connected?: true;
}

/** What a kernel says that was built without an extension. */
const LACKING = /missing kernel module|RULE_APPEND failed \(No such file or directory\)|No chain\/target\/match by that name/;

/** A group of such claims on one node, skipped with its reason where the kernel cannot be asked. */
export function describeRules(title: string, tests: (r: Rules) => void): void {
  describeKernel(title, () => {
    let node: Node | undefined;
    beforeAll(() => {
      node = openNode();
    });
    afterAll(async () => {
      await node?.close();
    });
    const ask = (
      title: string,
      family: 4 | 6,
      tables: Tables,
      shots: readonly Shot[],
      where: Where,
      judge: (i: number, c: Comparison) => void,
    ): void => {
      for (const backend of where.backends ?? (['legacy', 'nft'] as const))
        it(`${title} (${backend}${family === 6 ? '6' : ''})`, async (context) => {
          const rules = { [family === 6 ? `${backend}6` : backend]: save(tables) };
          const whole = load(family === 6 ? BASE6 : BASE, rules, where.extra);
          const all = await compare(node!, whole, shots, where.connected ? {} : { fresh: true }).catch((problem: Error) => {
            const lack = LACKING.exec(problem.message);
            if (lack) context.skip(`this kernel: ${lack[0]}`);
            throw problem;
          });
          const wrong = all.find((c) => !c.taken);
          if (wrong) throw new Error(`netwhy and the kernel disagree\n${report(whole, wrong)}`);
          for (const [i, c] of all.entries()) judge(i, c);
        });
    };
    tests({
      rules: (title, family, matches, rulings, where = {}) => {
        const { chain = 'FORWARD', table = 'filter' } = where;
        const tables = { [table]: matches.map((m) => `-A ${chain} ${m}`) };
        const shots = rulings.map(([shot]) => shot);
        ask(title, family, tables, shots, where, (i, c) => {
          const [shot, numbers, open] = rulings[i]!;
          const matched = c.kernel.rules.map((r) => Number(r.split(' ').at(-1)));
          expect({ shot, matched }).toEqual({ shot, matched: numbers });
          expectKnown(c, open);
        });
      },
      whole: (title, family, tables, told, where = {}) => {
        const shots = told.map(([shot]) => shot);
        ask(title, family, tables, shots, where, (i, c) => {
          const [, wanted, open] = told[i]!;
          const shown = line(c.kernel).replaceAll('nft ', '');
          if (typeof wanted === 'string') expect(shown).toContain(wanted);
          else expect(shown).toMatch(wanted);
          expectKnown(c, open);
        });
      },
    });
  });
}

function expectKnown(c: Comparison, open: 'open' | undefined): void {
  const courses = new Set(c.courses.map(line));
  if (open) expect(courses.size, `courses of ${JSON.stringify(c.shot)}`).toBeGreaterThan(1);
  else expect([...courses], `courses of ${JSON.stringify(c.shot)}`).toEqual([line(c.kernel)]);
}
