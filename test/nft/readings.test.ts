// One node, three readings of its rules: what iptables-nft saved, nft's words and nft's JSON, the last two with only those rules taken
// from the first that nft cannot show. They are the same rules, so every packet has the same fate by each.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { load } from '../../src/cli/load.ts';
import { ask, isMisunderstood, trace, type Namespace, type Step, type World } from '../../src/index.ts';
import { withNames } from '../../src/capture/nft.ts';
import { readNftJson } from '../../src/nft/json.ts';
import { lowerRuleset } from '../../src/nft/lower.ts';
import type { RulesetSyntax } from '../../src/nft/syntax.ts';
import { readNftText } from '../../src/nft/text.ts';
import { Dice } from '../probes/dice.ts';

const folder = join(import.meta.dirname, '../captures/kube-proxy-1.26-iptables/node1');
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
const PACKETS = 10_000;

let saved: World;
let node: Namespace;

/** The same node with the tables of a listing in the place of those that were saved. */
function withTables(listing: RulesetSyntax): { world: World; native: number } {
  let native = 0;
  const { tables } = lowerRuleset(listing, [], (family, table, chain, number) => {
    const twin = node.tables.find((t) => t.name === table && t.family === (family === 'ip6' ? 6 : 4))?.chains[chain]?.rules[number - 1];
    expect(twin, `${family} ${table} ${chain} ${number}`).toBeDefined();
    return twin;
  });
  for (const t of listing.tables)
    for (const c of t.chains)
      native += c.rules.filter((r) => r.statements.length > 0 && !r.statements.some((s) => s.kind === 'xt' && s.name !== 'comment')).length;
  return { world: { ...saved, namespaces: [{ ...node, tables }] }, native };
}

beforeAll(async () => {
  const whole = (await load(folder)).world;
  saved = { ...whole, namespaces: whole.namespaces.map((n) => ({ ...n, tables: n.tables })) };
  node = saved.namespaces[0]!;
});

type RuleStep = Extract<Step, { step: 'rule' }>;

function fates(world: World, request: Parameters<typeof ask>[1]): unknown {
  const asked = ask(world, request);
  if (isMisunderstood(asked)) return asked.error;
  return trace(world, asked).courses.map(({ trace: t }) =>
    [t, t.reply].map(
      (way) =>
        way && {
          outcome: way.outcome.kind,
          final: way.final,
          translated: [way.translated.src?.to, way.translated.dst?.to],
          probability: way.probability.toFixed(6),
          rules: way.hops
            .flatMap((h) => h.steps)
            .filter((s): s is RuleStep => s.step === 'rule' && s.truth !== false)
            .map((s) => `${s.hook} ${s.table} ${s.chain} ${s.number}`),
        },
    ),
  );
}

/** A packet towards what the rules speak of, or near it. */
function request(d: Dice, words: { readonly addrs: readonly string[]; readonly ports: readonly string[] }): Parameters<typeof ask>[1] {
  const proto = d.pick(['tcp', 'udp', 'sctp']);
  const from = d.pick(['10.244.1.20', '10.244.1.5', '192.168.21.20', '192.168.21.50', '203.0.113.9', d.pick(words.addrs)]);
  const mark = d.chance(20) ? { mark: d.pick(['0x4000', '0x1', '0xc000']) } : {};
  return { from, to: `${d.pick(words.addrs)}:${d.pick(words.ports)}`, proto, ...mark };
}

const json = (): RulesetSyntax => readNftJson(read('nft.json'), 'nft.json');

/** The words, with the names of what iptables put there, which only JSON tells. */
function named(): RulesetSyntax {
  const text = readNftText(read('nft.txt'), 'nft.txt');
  return { ...text, tables: text.tables.map((t) => withNames(t, () => json().tables)) };
}

describe('the rules of one kube-proxy', () => {
  it.each([
    ['nft.txt', named, 70],
    ['nft.json', json, 30],
  ] as const)(`are the same rules in %s as in iptables-nft-save.txt, for ${PACKETS} packets`, (_file, listing, most) => {
    const { world, native } = withTables(listing());
    // so many are told in nft's own words, and no words of iptables
    expect(native).toBeGreaterThan(most);
    const text = read('iptables-nft-save.txt');
    const words = {
      addrs: [...new Set(text.match(/\b\d+\.\d+\.\d+\.\d+\b/g)), '192.168.21.20', '127.0.0.1', '8.8.8.8'],
      ports: [...new Set([...text.matchAll(/(?:dport |:)(\d{2,5})\b/g)].map((m) => m[1]!)), '1', '443'],
    };
    const d = new Dice(6);
    for (let i = 0; i < PACKETS; i++) {
      const asked = request(d, words);
      const [byNft, byIptables] = [fates(world, asked), fates(saved, asked)];
      if (JSON.stringify(byNft) !== JSON.stringify(byIptables)) expect(byNft, JSON.stringify(asked)).toEqual(byIptables);
    }
  });
});
