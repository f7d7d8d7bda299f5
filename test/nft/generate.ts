// Random nodes with nft's own rules: tables of several families, chains of any priority, sets, maps, and what iptables may have beside them.
import { Dice } from '../probes/dice.ts';
import { makeGround, makeRuleset, makeShot, shotToSix, toSix } from '../probes/generate.ts';
import { PACKETS, RULESETS_PER_GROUND, type Case } from '../probes/machine.ts';
import type { Load, Shot } from '../probes/node.ts';
import { makeStory } from '../probes/story.ts';
import { HOOKS, makeMatch, makeSet, makeStatement, type ChainKind, type Hook, type Place } from './language.ts';

/** Priorities at which nothing of the kernel's, or of iptables', stands. */
const FREE: Readonly<Record<ChainKind, readonly number[]>> = {
  filter: [-450, -350, -299, -250, -201, -199, -175, -149, -101, -99, -10, -1, 1, 10, 49, 75, 99, 101, 140, 225, 400],
  nat: [-190, -150, -101, -100, -99, -50, 0, 50, 99, 100, 101, 300],
  route: [-350, -250, -190, -149, -99, 1, 60],
};
/** Where iptables' tables and nft's usual chains are: what is registered last runs first. */
const USUAL: Readonly<Record<ChainKind, readonly number[]>> = { filter: [-300, -150, 0], nat: [-100, 100], route: [-150] };
const NAT_HOOKS: readonly Hook[] = ['prerouting', 'input', 'output', 'postrouting'];

function makeRule(d: Dice, at: Place): string {
  // each match once; what asks for two transport protocols is refused
  const matches = new Map(d.some(0, 2, () => makeMatch(d, at)).flatMap((m) => (m ? [[m.kind, m.text] as const] : [])));
  const statements: string[] = [];
  for (let more = true; more;) {
    const made = makeStatement(d, at);
    if (made) statements.push(made.text);
    more = made !== undefined && !made.last && d.chance(45);
  }
  const words = [...matches.values(), ...statements];
  // now and then a match stands behind what has been done already
  if (words.length > 2 && d.chance(12)) words.splice(words.length - 2, 0, words.shift()!);
  const rule = words.join(' ');
  return rule === '' || !agree(rule) ? 'counter' : rule;
}

const TRANSPORT =
  /(?<!["@\w-])(?:(tcp|udp|sctp|udplite|icmpv6|icmp) (?:dport|sport|flags|type)|meta l4proto(?! \.) (?:!= )?(\{[^}]*\}|[\w-]+)|\bth (?:dport|sport))/g;

/** Reports whether a rule asks for one transport protocol only: nft refuses those that ask for several. */
function agree(rule: string): boolean {
  const named = new Set<string>();
  let asked = 0;
  for (const m of rule.matchAll(TRANSPORT)) {
    if (m[2] !== undefined) asked++;
    if (m[1] !== undefined) named.add(m[1]);
    else if (m[2] !== undefined && !m[2].startsWith('{')) named.add(m[2]);
  }
  const named4 = /(?:nfproto|l3proto) ipv4/.test(rule) && /\bip6 /.test(rule);
  const named6 = /(?:nfproto|l3proto) ipv6/.test(rule) && /\bip (?!\})/.test(rule);
  // nft leaves `meta protocol` out of its listing before what needs the same protocol, whatever it says
  if (/meta protocol/.test(rule) && /\bip6? |icmp/.test(rule)) return false;
  // nft 1.0.6 cannot list ports of what has none
  const portless = /l4proto (?:!= )?(?:gre|icmp|ipv6-icmp)\b/.test(rule) && /\bth /.test(rule);
  const once = (word: RegExp): boolean => (rule.match(word)?.length ?? 0) < 2;
  return (
    !portless &&
    !named4 &&
    !named6 &&
    named.size < 2 &&
    asked < 2 &&
    !(asked > 0 && named.size > 0 && /meta l4proto (?:!=|\{)/.test(rule)) &&
    once(/meta nfproto|meta protocol/g)
  );
}

/** One table of a family, with its sets and chains. */
function makeTable(d: Dice, name: string, family: string, six: boolean, taken: Set<string>, usual: boolean): string {
  const inet = family === 'inet';
  const foreign = family !== 'inet' && family !== (six ? 'ip6' : 'ip');
  const seen = foreign ? !six : six;
  const blocks: string[] = [];
  const shared = d.some(0, 2, (i) => `u${i}`);
  const sets = d.some(0, 4, (i) => makeSet(d, `s${i}`, seen, shared));
  const plain = sets.filter((s) => s.data !== 'verdict');
  for (const [i, chain] of shared.entries()) {
    // chains that verdict maps may call do not look into those maps: nobody goes round in circles
    const at: Place = { six: seen, inet, base: false, kind: 'filter', early: false, sets: plain, chains: shared.slice(i + 1) };
    blocks.push(
      block(
        `chain ${chain}`,
        d.some(0, 3, () => makeRule(d, at)),
      ),
    );
  }
  for (const hook of HOOKS) {
    for (let n = d.below(3); n > 0; n--) {
      const kind: ChainKind = hook === 'output' && d.chance(25) ? 'route' : NAT_HOOKS.includes(hook) && d.chance(45) ? 'nat' : 'filter';
      const priority = d.pick(usual || d.chance(8) ? USUAL[kind] : FREE[kind]);
      const place = `${hook} ${kind === 'nat' ? 'nat ' : ''}${priority}`;
      if (taken.has(place) && !d.chance(20)) continue;
      taken.add(place);
      const own = kind === 'filter' ? d.some(0, 1, (i) => `${hook}${n}-${i}`) : [];
      const at: Place = {
        six: seen,
        inet,
        base: true,
        hook,
        kind,
        early: kind !== 'nat' && priority < -200,
        sets: kind === 'nat' ? sets.filter((s) => s.data !== 'verdict') : sets,
        chains: kind === 'nat' ? [] : [...own, ...shared],
      };
      for (const chain of own)
        blocks.push(
          block(
            `chain ${chain}`,
            d.some(0, 3, () => makeRule(d, { ...at, base: false, sets: plain, chains: shared })),
          ),
        );
      const policy = kind === 'nat' || !d.chance(6) ? 'accept' : 'drop';
      blocks.push(
        block(`chain ${hook}${n}`, [`type ${kind} hook ${hook} priority ${priority}; policy ${policy};`, ...d.some(1, 5, () => makeRule(d, at))]),
      );
    }
  }
  return block(`table ${family} ${name}`, [...sets.map((s) => s.text), ...blocks]);
}

function block(head: string, lines: readonly string[]): string {
  return `${head} {\n${lines.map((l) => `${l}\n`).join('')}}\n`;
}

/** Tables of nft, for packets of one family. */
export function makeTables(d: Dice, six: boolean): string {
  const taken = new Set<string>();
  const usual = d.chance(10);
  const own = six ? 'ip6' : 'ip';
  return d.some(1, 3, (i) => makeTable(d, `t${i}`, d.pick([own, own, own, 'inet', 'inet', 'inet', six ? 'ip' : 'ip6']), six, taken, usual)).join('');
}

const STORIES = 4;

/** The case with a number: everything about it follows from the seed. */
export function makeNftCase(seed: number, at: number, packets = PACKETS): Case {
  const group = Math.floor(at / RULESETS_PER_GROUND);
  const six = group % 4 === 3;
  const ground = makeGround(new Dice(seed * 6_368_787 + group * 2 + 1), six);
  const d = new Dice(seed * 200_003 + at * 2);
  const beside = d.chance(25) ? makeRuleset(d, { ...ground, mixed: false }) : {};
  const tables = d.below(0x7fffffff);
  // packets are aimed at what the rules of IPv4 mention; those of IPv6 are made by the same dice
  const four: Load = { ...ground.load, ...beside, first: d.pick(['legacy', 'ruleset']), ruleset: makeTables(new Dice(tables), false) };
  const load: Load = six ? { ...toSix(four), ruleset: makeTables(new Dice(tables), true) } : four;
  const shot = (): Shot => {
    const made = makeShot(d, four);
    // since Linux 6.16 conntrack knows DCCP by its addresses only
    const known = made.proto === 'dccp' ? { ...made, proto: 'udplite' } : made;
    return six ? shotToSix(known) : known;
  };
  const single = d.some(packets, packets, shot);
  const stories = d.some(STORIES, STORIES, (i) => makeStory(d, shot, i, false));
  return { at, load, fresh: at % RULESETS_PER_GROUND === 0, single, stories };
}
