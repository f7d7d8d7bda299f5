// One claim about the network is one test: the kernel shows it, and netwhy says the same.
import { afterAll, beforeAll, expect, it, type TestContext } from 'vitest';
import { describeKernel } from '../oracle/kernel.ts';
import { agree, tally } from './compare.ts';
import { openNode, type Load, type Node, type Ruleset, type Shot } from './node.ts';

/** A node between two networks, with two pods. */
export const BASE: Load = {
  devs: [{ name: 'eth0', addrs: ['192.168.21.20/24'] }, { name: 'eth1', addrs: ['10.9.0.20/24'] }, { name: 'cali1' }, { name: 'cali2' }],
  ip: ['route add 10.1.0.1/32 dev cali1', 'route add 10.1.0.2/32 dev cali2', 'route add default via 192.168.21.1'],
};

/** The same with IPv6. */
export const BASE6: Load = {
  devs: [{ name: 'eth0', addrs: ['fd00:21::20/64'] }, { name: 'eth1', addrs: ['fd00:9::20/64'] }, { name: 'cali1' }, { name: 'cali2' }],
  ip: ['route add fd00:1::1/128 dev cali1', 'route add fd00:1::2/128 dev cali2', 'route add default via fd00:21::1 dev eth0'],
};

/** A client in the outside network, on its way to the first pod. */
export const FROM_OUTSIDE: Shot = { iif: 'eth0', src: '8.8.8.8', dst: '10.1.0.1' };
export const FROM_POD: Shot = { iif: 'cali1', src: '10.1.0.1', dst: '8.8.8.8' };
export const FROM_OUTSIDE6: Shot = { iif: 'eth0', src: 'fd00:8::8', dst: 'fd00:1::1' };
export const FROM_POD6: Shot = { iif: 'cali1', src: 'fd00:1::1', dst: 'fd00:8::8' };

const CHAINS: Readonly<Record<string, readonly string[]>> = {
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  raw: ['PREROUTING', 'OUTPUT'],
  security: ['INPUT', 'FORWARD', 'OUTPUT'],
};

/** Rules by table: `-A ...`, or `:CHAIN POLICY`. */
export type Tables = Readonly<Record<string, readonly string[]>>;

/** iptables-save text; chains that rules are appended to are declared. */
export function save(tables: Tables): string {
  return Object.entries(tables)
    .map(([table, lines]) => {
      const policies = new Map(lines.filter((l) => l.startsWith(':')).map((l) => l.slice(1).split(' ') as [string, string]));
      const rules = lines.filter((l) => l.startsWith('-'));
      const chains = new Set([...(CHAINS[table] ?? []), ...policies.keys(), ...rules.map((r) => r.split(' ')[1]!)]);
      const heads = [...chains].map((c) => `:${c} ${policies.get(c) ?? (CHAINS[table]?.includes(c) ? 'ACCEPT' : '-')} [0:0]`);
      return [`*${table}`, ...heads, ...rules, 'COMMIT', ''].join('\n');
    })
    .join('');
}

type Expected = string | RegExp;
type Extra = Partial<Load>;

/** Tests of one node, one claim each. */
export interface Claims {
  /** The packets meet each other's connections. What is expected stands in the packet's line, `->` and all. */
  readonly claim: (title: string, load: Load, shots: Shot | readonly Shot[], expected: Expected | readonly Expected[]) => void;
  /** Likewise for rules on the base node, in either backend. */
  readonly both: (title: string, tables: Tables, shots: Shot | readonly Shot[], expected: Expected | readonly Expected[], extra?: Extra) => void;
  /** Likewise with ip6tables. */
  readonly both6: (title: string, tables: Tables, shots: Shot | readonly Shot[], expected: Expected | readonly Expected[], extra?: Extra) => void;
  /** Each packet finds no connection; the claim is that netwhy agrees. */
  readonly same: (title: string, load: Load, shots: readonly Shot[]) => void;
}

/** Rules and additions on a base node. */
export function load(base: Load, rules: Ruleset, extra: Extra = {}): Load {
  return { ...base, ...extra, ...rules, ip: [...(base.ip ?? []), ...(extra.ip ?? [])] };
}

/** What a kernel was built without is skipped, and said so. */
function lacking(context: TestContext): (problem: Error) => never {
  return (problem) => {
    const lack = /set type not supported/.exec(problem.message);
    if (lack) context.skip(`this kernel: ${lack[0]}`);
    throw problem;
  };
}

/** Where claims are tried: the kernel of this machine, or a guest's. */
interface Ground {
  readonly describe: (title: string, tests: () => void) => void;
  readonly open: () => Node;
}

const HERE: Ground = { describe: describeKernel, open: openNode };

/** A group of claims, skipped with its reason where the kernel cannot be asked. */
export function describeClaims(title: string, tests: (c: Claims) => void, { describe, open }: Ground = HERE): void {
  describe(title, () => {
    let node: Node | undefined;
    beforeAll(() => {
      node = open();
    });
    afterAll(async () => {
      await node?.close();
      if (process.env['NETWHY_TALLY'] !== undefined)
        console.log(`${title}: ${tally.packets} packets, ${tally.courses} courses, ${tally.loads} loads`);
    });
    const claim: Claims['claim'] = (title, load, shots, expected) => {
      it(title, async (context) => {
        const lines = await agree(node!, load, [shots].flat()).catch(lacking(context));
        const wanted = [expected].flat();
        const shown = lines.map((l) => l.replaceAll('nft ', ''));
        expect(shown.length).toBe(wanted.length);
        for (const [i, w] of wanted.entries()) {
          if (typeof w === 'string') expect(shown[i]).toContain(w);
          else expect(shown[i]).toMatch(w);
        }
      });
    };
    tests({
      claim,
      both: (title, tables, shots, expected, extra) => {
        for (const backend of ['legacy', 'nft'] as const)
          claim(`${title} (${backend})`, load(BASE, { [backend]: save(tables) }, extra), shots, expected);
      },
      both6: (title, tables, shots, expected, extra) => {
        for (const backend of ['legacy6', 'nft6'] as const)
          claim(`${title} (${backend})`, load(BASE6, { [backend]: save(tables) }, extra), shots, expected);
      },
      same: (title, load, shots) => {
        it(title, async (context) => {
          await agree(node!, load, shots, { fresh: true }).catch(lacking(context));
        });
      },
    });
  });
}
