// What an iptables command says to do to a table (-A, -D, -P, ...), and doing it.
import { findTarget, type Token } from '../iptables-parser/index.ts';
import type { Rule } from '../model/ruleset.ts';
import { isRefused, type Refusal } from './edit.ts';
import type { TableDraft } from './editdraft.ts';
import { Reach, type Fresh, type Wrong } from './editreach.ts';
import { readRules, refuse, type Desk } from './editrule.ts';

type Verb = 'A' | 'C' | 'D' | 'I' | 'R' | 'P' | 'N' | 'X' | 'F' | 'E' | 'Z';

/** A command of iptables, taken apart. */
export interface Order {
  readonly verb: Verb;
  readonly table?: string;
  /** Absent where it is about all chains. */
  readonly chain?: string;
  readonly number?: number;
  /** The policy of -P, the new name of -E. */
  readonly argument?: string;
  /** The words of a rule as they were typed, and without their quotes. */
  readonly spec: string;
  readonly words: readonly string[];
}

const LONG: Readonly<Record<string, string>> = {
  '--append': 'A',
  '--check': 'C',
  '--delete': 'D',
  '--insert': 'I',
  '--replace': 'R',
  '--policy': 'P',
  '--new-chain': 'N',
  '--new': 'N',
  '--delete-chain': 'X',
  '--flush': 'F',
  '--rename-chain': 'E',
  '--zero': 'Z',
  '--list': 'L',
  '--list-rules': 'S',
};
const IDLE = /^(?:-[nvx46]|-vv|--verbose|--numeric|--exact|--line-numbers|--ipv[46]|--wait=\d+|--wait-interval=\d+)$/;

// do_parse(), iptables/xshared.c
/** Takes a command apart; `words` are those behind the tool's name, of `line`. */
export function readOrder(desk: Desk, line: string, words: readonly Token[]): Order | Refusal {
  const spec: Token[] = [];
  let verb: Verb | undefined;
  let table: string | undefined;
  let chain: string | undefined;
  let number: number | undefined;
  let argument: string | undefined;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const next = (): string | undefined => words[++i]?.text;
    const peek = words[i + 1];
    const { text } = word;
    if (word.quoted || !text.startsWith('-')) {
      spec.push(word);
      continue;
    }
    const glued = /^(-[tACDIRPNXFEZ])([^-].*)$/.exec(text) ?? /^(--(?:table|[a-z]+-?[a-z]*))=(.*)$/.exec(text);
    const flag = glued && (glued[1] === '--table' || glued[1]!.length === 2 || LONG[glued[1]!]) ? glued[1]! : text;
    const value = (): string | undefined => (flag === text ? next() : glued![2]);
    const letter = LONG[flag] ?? /^-([ACDIRPNXFEZLS])$/.exec(flag)?.[1];
    if (letter === 'L' || letter === 'S' || /^-[nvx]*[LS]$/.test(text))
      return refuse(desk, `${text} changes nothing`, 'a what-if takes commands that change something');
    if (flag === '-t' || flag === '--table') table = value();
    else if (flag === '-w' || flag === '-W' || flag === '--wait') i += /^\d+$/.test(peek?.text ?? '') ? 1 : 0;
    else if (IDLE.test(flag)) continue;
    else if (letter === undefined) spec.push(word);
    else {
      if (verb !== undefined) return refuse(desk, `Cannot use -${letter} with -${verb}`);
      verb = letter as Verb;
      const isBare = flag === text && (!peek || (!peek.quoted && /^[-!]/.test(peek.text)));
      if (isBare && !(verb === 'N' && peek) && verb !== 'X' && verb !== 'F' && verb !== 'Z')
        return refuse(desk, `option "${text}" requires an argument`);
      if (!isBare || verb === 'N') chain = value();
      const after = words[i + 1];
      if (verb === 'P' || verb === 'E') {
        if (!after || after.text.startsWith('-')) return refuse(desk, `-${verb} requires a chain and a ${verb === 'P' ? 'policy' : 'new name'}`);
        argument = next();
      } else if ((verb === 'I' || verb === 'D' || verb === 'R') && after && !after.quoted && !/^[-!]/.test(after.text)) {
        if (!/^[1-9]\d*$/.test(after.text)) return refuse(desk, `Invalid rule number \`${after.text}'`);
        number = Number(next());
      }
    }
  }
  if (verb === undefined) return refuse(desk, 'no command specified');
  if (verb === 'R' && number === undefined) return refuse(desk, '-R requires a rule number');
  const takesRule = 'ACIR'.includes(verb) || (verb === 'D' && number === undefined);
  const [stray] = takesRule ? [] : spec;
  if (stray) return refuse(desk, stray.text.startsWith('-') ? `Illegal option \`${stray.text}' with this command` : `Bad argument \`${stray.text}'`);
  return {
    verb,
    ...(table !== undefined && { table }),
    ...(chain !== undefined && { chain }),
    ...(number !== undefined && { number }),
    ...(argument !== undefined && { argument }),
    spec: spec.map((w) => line.slice(w.start, w.end)).join(' '),
    words: spec.map((w) => w.text),
  };
}

const NO_CHAIN = 'No chain/target/match by that name.';
const NO_RULE = 'Bad rule (does a matching rule exist in that chain?).';

/** A rule that was put in, and by which command: what the kernel looks at when the table is committed. */
export interface Entered extends Fresh {
  readonly verb: Verb;
  readonly line: number;
}

/** Does it to the table; a refusal where iptables would refuse. Rules that it puts in are added to `entered`. */
export function carryOut(desk: Desk, draft: TableDraft, order: Order, entered: Entered[]): Refusal | undefined {
  const { verb, chain = '', number } = order;
  if (order.chain === undefined) return ofAll(desk, draft, verb);
  const found = draft.chain(chain);
  switch (verb) {
    case 'P':
      if (!found?.base) return refuse(desk, 'Bad built-in chain name.');
      if (order.argument !== 'ACCEPT' && order.argument !== 'DROP') return refuse(desk, 'Bad policy name.');
      if (desk.table === 'nat' && order.argument === 'DROP')
        return refuse(desk, 'The "nat" table is not intended for filtering, the use of DROP is therefore inhibited.');
      draft.setPolicy(found, order.argument === 'DROP' ? 'drop' : 'accept');
      return undefined;
    case 'N': {
      const wrong = badName(chain);
      if (wrong !== undefined) return refuse(desk, wrong);
      if (found) return refuse(desk, 'Chain already exists.');
      draft.put({ name: chain, rules: [], at: draft.at });
      return undefined;
    }
    case 'E':
      return rename(desk, draft, chain, order.argument ?? '');
    case 'X':
      return found ? removeChain(desk, draft, chain) : refuse(desk, NO_CHAIN);
    case 'F':
      if (!found) return refuse(desk, NO_CHAIN);
      draft.splice(chain, 0, found.rules.length + draft.rules(chain).length, []);
      return undefined;
    case 'Z':
      return found ? undefined : refuse(desk, NO_CHAIN);
    case 'D':
      if (number !== undefined) {
        if (!found) return refuse(desk, NO_CHAIN);
        if (number > draft.rules(chain).length) return refuse(desk, 'Index of deletion too big.');
        draft.splice(chain, number - 1, 1, []);
        return undefined;
      }
      break;
    default:
      break;
  }
  return withRule(desk, draft, order, entered);
}

function withRule(desk: Desk, draft: TableDraft, { verb, chain = '', spec, words, number = 1 }: Order, entered: Entered[]): Refusal | undefined {
  const isSearch = verb === 'D' || verb === 'C';
  const typed = readRules(desk, draft, chain, spec, words, draft.at);
  if (isRefused(typed)) return typed;
  const { rules } = typed;
  if (!draft.chain(chain)) return refuse(desk, isSearch ? NO_RULE : NO_CHAIN);
  const there = draft.rules(chain);
  if (isSearch) {
    for (const r of rules) {
      const place = draft.rules(chain).findIndex((old) => old.text === r.text);
      if (place < 0)
        return there.some((old) => !old.text.startsWith('-A '))
          ? refuse(desk, `the rules of ${chain} are captured in words of nft, which say it otherwise`, `delete it by its number: -D ${chain} N`)
          : refuse(desk, desk.backend !== 'nft' && isCall(r) ? NO_CHAIN : NO_RULE);
      if (verb === 'D') draft.splice(chain, place, 1, []);
    }
    return undefined;
  }
  if (verb === 'R' && rules.length > 1) return refuse(desk, 'Replacement rule does not specify a unique address');
  if (verb === 'R' && number > there.length) return refuse(desk, 'Index of replacement too big.');
  if (verb === 'I' && number > there.length + 1) return refuse(desk, 'Index of insertion too big.');
  if (typed.invalid !== undefined) return refuse(desk, failed(desk, 'hook', { verb, chain }), typed.invalid);
  // each of a list goes before the one before: insert_entry(), iptables/iptables.c
  if (verb === 'A') draft.splice(chain, there.length, 0, rules);
  else draft.splice(chain, number - 1, verb === 'R' ? 1 : 0, rules.toReversed());
  entered.push(...rules.map((rule) => ({ chain, rule, verb, line: desk.line })));
  return undefined;
}

/** Whether a rule's target is a chain or a module: then libiptc's TC_DELETE_ENTRY() has another word for not finding it. */
function isCall(rule: Rule): boolean {
  return rule.then.some((s) => s.kind !== 'verdict') && !rule.text.endsWith(' -j QUEUE');
}

/** Why the kernel would not take the table with the rules that were put in. */
export function commit(desk: Desk, draft: TableDraft, entered: readonly Entered[]): Refusal | undefined {
  const reach = new Reach(draft, desk.backend === 'nft' ? undefined : untilVerdict);
  for (const e of entered) {
    // a later line may have taken the chain away again
    const wrong = draft.chain(e.chain) && reach.wrongWith(e, 'x_tables');
    if (wrong) return refuse(desk.backend === 'nft' ? { ...desk, line: e.line } : desk, failed(desk, wrong, e));
  }
  return undefined;
}

function failed(desk: Desk, wrong: Wrong, { verb, chain }: Pick<Entered, 'verb' | 'chain'>): string {
  if (desk.backend !== 'nft') return wrong === 'circle' ? 'Too many levels of symbolic links.' : 'Invalid argument.';
  const why = { circle: 'Too many links', hook: 'Invalid argument', base: 'Operation not supported' }[wrong];
  return `RULE_${verb === 'A' ? 'APPEND' : verb === 'I' ? 'INSERT' : 'REPLACE'} failed (${why}): rule in chain ${chain}`;
}

/** The rules that mark_source_chains() comes by: up to the first that ends every packet's walk. */
function untilVerdict(rules: readonly Rule[]): readonly Rule[] {
  const end = rules.findIndex((r) => r.match.kind === 'all' && r.match.of.length === 0 && r.then.length === 1 && r.then[0]!.kind === 'verdict');
  return end < 0 ? rules : rules.slice(0, end + 1);
}

function ofAll(desk: Desk, draft: TableDraft, verb: Verb): Refusal | undefined {
  if (verb === 'F') for (const name of draft.names()) if (draft.rules(name).length > 0) draft.splice(name, 0, draft.rules(name).length, []);
  if (verb !== 'X') return undefined;
  const own = draft.names().filter((n) => !draft.chain(n)!.base);
  const called = new Set(draft.names().flatMap((n) => draft.rules(n).flatMap((r) => draft.calls(r))));
  const wrong = own.toSorted().flatMap((name) => removeChain(desk, draft, name, called.has(name)) ?? []);
  // for_each_chain4() goes on to the last and tells its error
  return desk.backend === 'nft' ? wrong[0] : wrong.at(-1);
}

function removeChain(desk: Desk, draft: TableDraft, name: string, isCalled = draft.isCalled(name)): Refusal | undefined {
  const chain = draft.chain(name)!;
  const why = chain.base ? 'Invalid argument.' : isCalled ? 'Too many links.' : draft.rules(name).length > 0 ? 'Directory not empty.' : undefined;
  if (why === undefined) draft.remove(name);
  else return refuse(desk, desk.backend === 'nft' ? `CHAIN_DEL failed (Device or resource busy): chain ${name}` : why);
  return undefined;
}

function rename(desk: Desk, draft: TableDraft, from: string, to: string): Refusal | undefined {
  const wrong = badName(to);
  if (wrong !== undefined) return refuse(desk, wrong);
  const chain = draft.chain(from);
  if (draft.chain(to)) return refuse(desk, 'File exists.');
  if (!chain || (chain.base && desk.backend !== 'nft')) return refuse(desk, NO_CHAIN);
  draft.rename(from, to);
  return undefined;
}

// assert_valid_chain_name(), iptables/xshared.c
function badName(name: string): string | undefined {
  if (/^[-!]/.test(name)) return `chain name not allowed to start with \`${name[0]}'`;
  if (name.length >= 29) return `chain name \`${name}' too long (must be under 29 chars)`;
  return findTarget(name) ? 'chain name may not clash with target name' : undefined;
}
