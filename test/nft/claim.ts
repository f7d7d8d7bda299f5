// A claim about nft's own rules: the kernel shows it, and netwhy says the same of the rule set in words and in JSON.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeKernel } from '../oracle/kernel.ts';
import { agree } from '../probes/compare.ts';
import { openNode, type Load, type Node, type Shot } from '../probes/node.ts';
import { DUAL, table } from './tables.ts';

/** A packet, and what its line must hold: `a c 1, a c 3 -> out cali1`. */
export type Told = readonly [shot: Shot, line: string | RegExp];

export interface Where {
  /** Added to the node, its `ip` lines behind the others. */
  readonly extra?: Partial<Load>;
  /** Packets meet the connections of those before them. */
  readonly connected?: true;
  /** Only in words: nft 1.0.6 tells it in JSON wrongly, or not at all. */
  readonly words?: true;
}

export interface InChain extends Where {
  /** `inet a` */
  readonly table?: string;
  /** `filter forward 0` */
  readonly base?: string;
  /** Sets and maps. */
  readonly things?: readonly string[];
  /** Other chains. */
  readonly chains?: Readonly<Record<string, readonly string[]>>;
}

export interface NftClaims {
  readonly claim: (title: string, ruleset: string, told: readonly Told[], where?: Where) => void;
  /** Rules of one base chain: the numbers of those that each packet runs to their end. */
  readonly runs: (title: string, rules: readonly string[], told: readonly (readonly [Shot, readonly number[]])[], where?: InChain) => void;
}

/** A group of such claims on one node, skipped with its reason where the kernel cannot be asked. */
export function describeNft(title: string, tests: (c: NftClaims) => void): void {
  describeKernel(title, () => {
    let node: Node | undefined;
    beforeAll(() => {
      node = openNode();
    });
    afterAll(async () => {
      await node?.close();
    });
    const linesOf = (ruleset: string, shots: readonly Shot[], { extra, connected, words }: Where): Promise<readonly string[]> => {
      const load = { ...DUAL, ...extra, ip: [...DUAL.ip!, ...(extra?.ip ?? [])], ruleset };
      return agree(node!, load, shots, { ...(!connected && { fresh: true }), ...(words && { words }) });
    };
    tests({
      claim: (title, ruleset, told, where = {}) => {
        it(title, async () => {
          const lines = await linesOf(
            ruleset,
            told.map(([shot]) => shot),
            where,
          );
          for (const [i, [, wanted]] of told.entries()) {
            const shown = lines[i]!.replaceAll('nft ', '');
            if (typeof wanted === 'string') expect(shown).toContain(wanted);
            else expect(shown).toMatch(wanted);
          }
        });
      },
      runs: (title, rules, told, where = {}) => {
        it(title, async () => {
          const { table: name = 'inet a', base = 'filter forward 0', things, chains } = where;
          const ruleset = table(name, { ...chains, c: [`@${base}`, ...rules] }, things);
          const lines = await linesOf(
            ruleset,
            told.map(([shot]) => shot),
            where,
          );
          for (const [i, [shot, numbers]] of told.entries()) {
            const ran = [...lines[i]!.matchAll(/\ba c (\d+)/g)].map((m) => Number(m[1]));
            expect({ shot, ran }).toEqual({ shot, ran: numbers });
          }
        });
      },
    });
  });
}
