// Reads the words of one rule: which match or target each option belongs to, and what is wrong with those that fit nowhere.
import type { Family } from '../net/addr.ts';
import type { Counters } from '../model/ruleset.ts';
import { standard } from './addr.ts';
import type { Extension, Flag, Given } from './extension.ts';
import { IMPLIED } from './l4.ts';
import { findMatch, findTarget } from './registry.ts';
import type { Line, Report } from './report.ts';
import { parseCounters, type Command, type RuleSyntax, type UsedMatch } from './syntax.ts';
import { isBad } from './value.ts';
import type { Token, Tokens } from './words.ts';

interface Draft {
  readonly extension: Extension | undefined;
  readonly name: string;
  readonly options: Record<string, Given>;
  readonly tokens: Token[];
  /** How many further elements have begun: `--next` of policy. */
  elements: number;
  /** Takes all words up to the next -m or -j. */
  greedy: boolean;
  why?: string;
}

const OPS: Readonly<Record<string, Command['op']>> = {
  '-A': 'append',
  '--append': 'append',
  '-I': 'insert',
  '--insert': 'insert',
  '-R': 'replace',
  '--replace': 'replace',
  '-D': 'delete',
  '--delete': 'delete',
};
const JUMPS: Readonly<Record<string, 'match' | 'jump' | 'goto'>> = {
  '-m': 'match',
  '--match': 'match',
  '-j': 'jump',
  '--jump': 'jump',
  '-g': 'goto',
  '--goto': 'goto',
};
/** Flags of the command itself that say nothing about the rule, with the words they take. */
const IDLE: Readonly<Record<string, number>> = {
  '-v': 0,
  '-n': 0,
  '-w': 0,
  '--wait': 0,
  '--verbose': 0,
  '--numeric': 0,
  '-x': 0,
  '--line-numbers': 0,
};
const BOUNDARY = new Set([
  ...Object.keys(JUMPS),
  '-s',
  '-d',
  '-i',
  '-o',
  '-p',
  '-f',
  '-c',
  '--source',
  '--destination',
  '--protocol',
  '--in-interface',
  '--out-interface',
]);

const lookup = <V>(table: Readonly<Record<string, V>>, key: string): V | undefined => (Object.hasOwn(table, key) ? table[key] : undefined);

/**
 * Options seen before, by their words: `-p tcp` of a hundred thousand rules is one object. Only what the rule itself asks
 * is shared, and no more than a bounded number.
 */
export type Shared = Map<string, Given>;
const MOST_SHARED = 1 << 16;

/** Reads the words of one rule command; undefined, with a finding, when it names no chain. */
export function readCommand({ words, open }: Tokens, line: Line, report: Report, shared: Shared, counters?: Counters): Command | undefined {
  return new RuleReader(words, line, report, shared, counters, open !== undefined).read();
}

/** The state of reading one rule: the words not yet read, and the match or target that options go to. */
class RuleReader {
  #words: readonly Token[];
  readonly #line: Line;
  readonly #report: Report;
  readonly #shared: Shared;
  readonly #isCut: boolean;
  #counters: Counters | undefined;
  #at = 0;
  #not: Token | undefined;
  readonly #standard: Draft = draft(standard, '');
  /** Matches, and among them the target, in the order they were named. */
  readonly #loaded: Draft[] = [];
  #target: Draft | undefined;
  #goto = false;
  #only: Family | undefined;
  #op: Command['op'] | undefined;
  #chain = '';
  #number: number | undefined;
  #table: string | undefined;

  constructor(words: readonly Token[], line: Line, report: Report, shared: Shared, counters: Counters | undefined, isCut: boolean) {
    this.#words = words;
    this.#line = line;
    this.#report = report;
    this.#shared = shared;
    this.#counters = counters;
    this.#isCut = isCut;
  }

  read(): Command | undefined {
    while (this.#at < this.#words.length) this.#step(this.#words[this.#at++]!);
    if (this.#not) this.#stray(this.#not, "a '!' with nothing after it");
    if (this.#op === undefined) return undefined;
    const target = this.#target;
    const matches = this.#loaded.filter((d) => d !== target).map((d) => this.#used(d));
    if (this.#standard.why !== undefined) matches.unshift({ ...this.#used({ ...this.#standard, options: {} }), name: '' });
    const rule: RuleSyntax = {
      chain: this.#chain,
      standard: this.#standard.options,
      matches,
      ...(target && { target: { ...this.#used(target), goto: this.#goto } }),
      ...(this.#counters && { counters: this.#counters }),
      ...(this.#only && { only: this.#only }),
      ...(this.#isCut && { isCut: true as const }),
      at: { file: this.#line.file, line: this.#line.number },
      source: this.#line.text.slice(0, 200),
    };
    return {
      op: this.#op,
      ...(this.#number !== undefined && { number: this.#number }),
      ...(this.#table !== undefined && { table: this.#table }),
      rule,
    };
  }

  #step(t: Token): void {
    if (t.quoted || (t.text[0] !== '-' && t.text !== '!')) {
      const d = this.#loaded.at(-1);
      if (d?.greedy) d.tokens.push(t);
      else if (/^\[\d+:\d+\]$/.test(t.text)) this.#counters = parseCounters(t.text);
      else this.#stray(t, `'${t.text}' belongs to no option`);
      return;
    }
    if (t.text === '!') {
      const next = this.#words[this.#at];
      const d = this.#loaded.at(-1);
      if (d?.greedy && !(next && BOUNDARY.has(next.text))) d.tokens.push(t);
      else this.#not = this.#not ? undefined : t;
      return;
    }
    const d = this.#loaded.at(-1);
    if (d?.greedy && !BOUNDARY.has(t.text)) {
      d.tokens.push(t);
      return;
    }
    const verb = lookup(JUMPS, t.text);
    if (verb === 'match') return this.#load(t);
    if (verb) return this.#jump(t, verb);
    if (this.#commandWord(t)) return;
    const found = this.#find(t.text) ?? this.#abbreviated(t.text);
    if (found) return this.#option(found[0], found[1], t);
    if (this.#unglue(t)) return;
    this.#unknownOption(t);
  }

  /** Takes `--dport=80` and `-ptcp` apart, as getopt does, and reads the two words instead. */
  #unglue(t: Token): boolean {
    const parts = /^(--[\w-]+)=(.*)$/s.exec(t.text) ?? /^(-[sdiopmjgtAI])([^-].*)$/s.exec(t.text);
    const [, flag, value] = parts ?? [];
    if (flag === undefined || value === undefined) return false;
    if (!lookup(JUMPS, flag) && !lookup(OPS, flag) && flag !== '-t' && flag !== '--table' && !this.#find(flag)) return false;
    const cut = t.start + flag.length;
    this.#words = [
      ...this.#words.slice(0, this.#at),
      { text: value, start: cut + (t.text[cut - t.start] === '=' ? 1 : 0), end: t.end, quoted: true },
      ...this.#words.slice(this.#at),
    ];
    this.#step({ text: flag, start: t.start, end: cut, quoted: false });
    return true;
  }

  /** -A and the like, counters, and the flags that say nothing about the rule. */
  #commandWord(t: Token): boolean {
    const op = lookup(OPS, t.text);
    if (op) {
      this.#op = op;
      const chain = this.#words[this.#at];
      if (!chain) {
        this.#op = undefined;
        this.#problem('bad-rule', `${t.text} wants the name of a chain`, t);
        return true;
      }
      this.#chain = chain.text;
      this.#at++;
      const number = this.#words[this.#at];
      if (op !== 'append' && number && !number.quoted && /^\d+$/.test(number.text)) {
        this.#number = Number(number.text);
        this.#at++;
      }
      return true;
    }
    if (t.text === '-t' || t.text === '--table') {
      const table = this.#words[this.#at++];
      if (table) this.#table = table.text;
      return true;
    }
    if (t.text === '-c' || t.text === '--set-counters') {
      const [packets, bytes] = [this.#words[this.#at], this.#words[this.#at + 1]];
      const counters = packets && bytes ? parseCounters(`[${packets.text}:${bytes.text}]`) : undefined;
      if (counters) {
        this.#counters = counters;
        this.#at += 2;
      } else {
        this.#problem('bad-value', '-c wants the numbers of packets and of bytes', t);
      }
      return true;
    }
    if (t.text === '-4' || t.text === '--ipv4') this.#only = 4;
    else if (t.text === '-6' || t.text === '--ipv6') this.#only = 6;
    else if (lookup(IDLE, t.text) === undefined) return false;
    return true;
  }

  /** -m NAME */
  #load(t: Token): void {
    if (this.#not) this.#stray(this.#not, "'!' cannot stand before -m");
    this.#not = undefined;
    const name = this.#words[this.#at++];
    if (!name) return this.#stray(t, `${t.text} wants the name of a match`);
    const extension = findMatch(name.text);
    const d = draft(extension, extension?.name ?? name.text);
    if (!extension) {
      d.why = `the match ${name.text} is not known`;
      this.#problem('unknown-match', `the match '${name.text}' is not known; whether it holds stays open`, name);
    }
    this.#loaded.push(d);
  }

  /** -j NAME and -g CHAIN */
  #jump(t: Token, verb: 'jump' | 'goto'): void {
    if (this.#not) this.#stray(this.#not, `'!' cannot stand before ${t.text}`);
    this.#not = undefined;
    const name = this.#words[this.#at++];
    if (!name) return this.#stray(t, `${t.text} wants the name of a target or chain`);
    if (this.#target) this.#problem('refused', 'a rule has one target only; the last one counts', t);
    const extension = verb === 'jump' ? findTarget(name.text) : undefined;
    this.#target = draft(extension, name.text);
    this.#goto = verb === 'goto';
    this.#loaded.push(this.#target);
  }

  /** The option a flag means: of the rule itself, of the match or target named last, ..., or of the match that -p implies. */
  #find(flag: string): readonly [Draft, Flag] | undefined {
    const isShort = flag[1] !== '-';
    const own = isShort ? standard.flags.get(flag) : undefined;
    if (own) return [this.#standard, own];
    for (let i = this.#loaded.length - 1; i >= 0; i--) {
      const d = this.#loaded[i]!;
      const hit = d.extension?.flags.get(flag);
      if (hit) return [d, hit];
    }
    const long = standard.flags.get(flag);
    if (long) return [this.#standard, long];
    const proto = this.#standard.options['-p'];
    const implied = proto && !proto.not ? IMPLIED[proto.value as number] : undefined;
    const hit = implied?.flags.get(flag);
    if (!implied || !hit || this.#loaded.some((d) => d.extension === implied)) return undefined;
    const d = draft(implied, implied.name);
    this.#loaded.push(d);
    return [d, hit];
  }

  /** As getopt_long(): the beginning of a flag stands for it where no other begins so. */
  #abbreviated(text: string): readonly [Draft, Flag] | undefined {
    if (!/^--\w[\w-]*$/.test(text)) return undefined;
    const hits = [...this.#loaded, this.#standard].flatMap((d) =>
      [...(d.extension?.flags ?? [])].filter(([name]) => name.startsWith(text)).map(([, flag]) => [d, flag] as const),
    );
    const [first] = hits;
    return first && hits.every(([, flag]) => flag.option === first[1].option && flag.value === first[1].value) ? first : undefined;
  }

  #option(d: Draft, flag: Flag, t: Token): void {
    let not = this.#not !== undefined;
    const first = this.#not ?? t;
    const mine = this.#not ? [this.#not, t] : [t];
    this.#not = undefined;
    const next = this.#words[this.#at];
    if (flag.words > 0 && next && !next.quoted && next.text === '!') {
      not = !not;
      mine.push(next);
      this.#at++;
    }
    const absent = flag.isOptional && (!next || (!next.quoted && /^[-!]/.test(next.text)));
    const words = absent ? 0 : flag.words;
    const values = this.#words.slice(this.#at, this.#at + words);
    this.#at += values.length;
    mine.push(...values);
    const { option } = flag;
    if (option.begins) d.elements++;
    const name = d.elements > 0 ? `${option.name}#${d.elements}` : option.name;
    const key = d === this.#standard ? `${not ? '! ' : ''}${option.name} ${values[0]?.text ?? ''}` : undefined;
    const before = key === undefined || values.length < words ? undefined : this.#shared.get(key);
    if (before && d.options[name] === undefined) {
      d.options[name] = before;
      return;
    }
    const value = this.#value(d, flag, t, values, words);
    if (value === undefined) {
      // Reported already.
    } else if (not && !option.negatable) {
      this.#broken(d, `${t.text} cannot be inverted with '!'`, first);
    } else if (d.options[name] !== undefined) {
      this.#broken(d, `${t.text} is given twice`, t, 'use the match twice: -m NAME ... -m NAME ...');
    } else {
      const given = { value, not };
      d.options[name] = given;
      if (key !== undefined && this.#shared.size < MOST_SHARED) this.#shared.set(key, given);
      // What the rule itself asks stays as it is when a word beside it is bad; a match is unknown as a whole.
      if (d === this.#standard) return;
    }
    d.tokens.push(...mine);
  }

  /** The value of an option; undefined, and reported, when it cannot be read. */
  #value(d: Draft, flag: Flag, t: Token, values: readonly Token[], words: number): unknown {
    if (values.length < words) {
      this.#broken(d, `${t.text} wants ${flag.value.shape}`, t);
      return undefined;
    }
    const value = flag.value.read(...values.map((v) => v.text));
    if (!isBad(value)) return value;
    const at = values[value.word ?? 0] ?? t;
    const start = at.start + (at.quoted && this.#line.text[at.start] === '"' ? 1 : 0) + (value.column ?? 0);
    this.#broken(d, value.error, { ...at, start: Math.min(start, at.end - 1) }, value.hint);
    return undefined;
  }

  #broken(d: Draft, why: string, t: Token, hint?: string): void {
    d.why ??= why;
    this.#problem('bad-value', why, t, hint);
  }

  #unknownOption(t: Token): void {
    const d = this.#loaded.at(-1) ?? this.#standard;
    const owner = d === this.#standard ? 'no match named before it' : d === this.#target ? `the target ${d.name}` : `the match ${d.name}`;
    if (this.#not) d.tokens.push(this.#not);
    this.#not = undefined;
    d.tokens.push(t);
    d.why ??= `the option ${t.text} is not known`;
    this.#problem(
      'unknown-option',
      `'${t.text}' is an option of ${owner}`.replace('is an option of no', 'is not an option of the rule, and there is no'),
      t,
    );
    // Whatever follows may be its value.
    if (d !== this.#standard) d.greedy = true;
    else while (this.#at < this.#words.length && !/^[-!]/.test(this.#words[this.#at]!.text)) d.tokens.push(this.#words[this.#at++]!);
  }

  /** A word that belongs nowhere: the rule may mean anything, so it gets a part that is unknown. */
  #stray(t: Token, message: string): void {
    const d = this.#standard;
    d.tokens.push(t);
    d.why ??= message;
    this.#problem('bad-rule', message, t);
  }

  /** A draft as data; its words are kept, as they were written, only where they are all there is. */
  #used(d: Draft): UsedMatch {
    const keep = d.why !== undefined || d.extension === undefined;
    return {
      name: d.name,
      options: d.options,
      ...(keep && { words: d.tokens.map((t) => this.#raw(t)) }),
      ...(d.why !== undefined && { why: d.why }),
    };
  }

  #raw(t: Token): string {
    const raw = this.#line.text.slice(t.start, t.end);
    const isOpen = this.#isCut && t.end === this.#line.text.length;
    if (!isOpen) return raw;
    return raw.endsWith('\\') ? `${raw}\\"` : `${raw}"`;
  }

  #problem(code: string, message: string, place: Token, hint?: string): void {
    this.#report.add(code === 'refused' || code === 'unknown-match' ? 'warning' : 'error', code, message, this.#line, {
      place,
      ...(hint !== undefined && { hint }),
    });
  }
}

function draft(extension: Extension | undefined, name: string): Draft {
  return { extension, name, options: {}, tokens: [], elements: 0, greedy: !extension && name !== '' };
}
