// `nft -j list ruleset`: libnftables-json(5). The items are taken out of the text one by one, so each keeps its line, and a capture
// that was cut off gives every item that is whole.
import * as z from 'zod';
import { Report } from '../iptables-parser/report.ts';
import type { Finding, Span } from '../model/finding.ts';
import { readElement, readExpr, wideNumber, type Place } from './json-expression.ts';
import { flowtableBody, objectBody } from './json-object.ts';
import { asNumbers, readStatement } from './json-statement.ts';
import { printStatement } from './print.ts';
import type { ChainSyntax, ElementSyntax, NftFamily, ObjectSyntax, RuleSyntax, RulesetSyntax, SetSyntax, TableSyntax, TypeSyntax } from './syntax.ts';

const family = z.enum(['ip', 'ip6', 'inet', 'arp', 'bridge', 'netdev']);
/** A list of one loses its brackets. */
const words = z.union([z.string(), z.array(z.string())]).transform((w) => (typeof w === 'string' ? [w] : w));
const within = { family, table: z.string() };
const named = { ...within, name: z.string(), handle: z.number().optional(), comment: z.string().optional() };

const METAINFO = z.object({ version: z.string().optional(), json_schema_version: z.number().optional() });
const TABLE = z.object({ family, name: z.string(), handle: z.number().optional(), flags: words.optional(), comment: z.string().optional() });
const CHAIN = z.object({
  ...named,
  type: z.string().optional(),
  hook: z.string().optional(),
  prio: z.number().optional(),
  policy: z.enum(['accept', 'drop']).optional(),
  dev: words.optional(),
});
const RULE = z.object({
  ...within,
  chain: z.string(),
  handle: z.number().optional(),
  comment: z.string().optional(),
  expr: z.array(z.unknown()).optional(),
});
const TYPE = z.union([words, z.object({ typeof: z.unknown() })]);
const SET = z.object({
  ...named,
  type: TYPE,
  map: TYPE.optional(),
  flags: words.optional(),
  policy: z.string().optional(),
  size: z.number().optional(),
  timeout: z.number().optional(),
  'gc-interval': z.number().optional(),
  'auto-merge': z.boolean().optional(),
  elem: z.array(z.unknown()).optional(),
  stmt: z.array(z.unknown()).optional(),
});
const ELEMENT = z.object({ ...within, name: z.string(), elem: z.union([z.array(z.unknown()), z.object({ set: z.array(z.unknown()) })]) });
const FLOWTABLE = z.object({ ...named, hook: z.string().optional(), prio: z.number().optional(), dev: words.optional(), flags: words.optional() });
const OBJECT = z.looseObject(named);

const OBJECTS: ReadonlySet<string> = new Set(['counter', 'quota', 'limit', 'ct helper', 'ct timeout', 'ct expectation', 'synproxy', 'secmark']);
const TABLE_FLAGS: ReadonlySet<string> = new Set(['dormant', 'owner', 'persist']);
const SCHEMA_VERSION = 1;
/** Brackets within brackets: a rule has a dozen. */
const DEEPEST = 200;

/** Reads what `nft -j list ruleset` prints into the tree that its text gives too. */
export function readNftJson(text: string, file: string): RulesetSyntax {
  const reader = new Reader(text, file);
  reader.read();
  return reader.ruleset();
}

interface OpenChain {
  readonly syntax: ChainSyntax;
  readonly rules: RuleSyntax[];
}

interface OpenSet {
  readonly syntax: SetSyntax;
  readonly elements: ElementSyntax[];
}

/** A table while its items come in. */
interface OpenTable {
  syntax: TableSyntax;
  readonly sets: Map<string, OpenSet>;
  readonly chains: Map<string, OpenChain>;
  readonly objects: ObjectSyntax[];
}

const CUT_OFF = 'the JSON ends before its end';

class Reader {
  private readonly report = new Report();
  private readonly tables = new Map<string, OpenTable>();
  private version: string | undefined;
  private readonly text: string;
  private readonly file: string;
  /** The item being read: what it says, and where. */
  private piece = '';
  private at: Span;
  /** Behind the last word of it that was spoken of. */
  private told = 0;

  constructor(text: string, file: string) {
    this.text = text;
    this.file = file;
    this.at = { file, line: 1 };
  }

  ruleset(): RulesetSyntax {
    const tables = [...this.tables.values()].map(({ syntax, sets, chains, objects }) => ({
      ...syntax,
      sets: [...sets.values()].map((s) => ({ ...s.syntax, elements: s.elements })),
      chains: [...chains.values()].map((c) => ({ ...c.syntax, rules: c.rules, ...(this.mayLack(chains, c) && { incomplete: CUT_OFF }) })),
      objects,
    }));
    return { tables, findings: this.report.findings, ...(this.version !== undefined && { version: this.version }) };
  }

  /** Whether rules of a chain may have been lost with the end of the JSON: nft lists a table's rules chain by chain, behind all chains. */
  private mayLack(chains: ReadonlyMap<string, OpenChain>, chain: OpenChain): boolean {
    if (!this.report.findings.some((f) => f.code === 'truncated') || chains !== [...this.tables.values()].at(-1)?.chains) return false;
    const all = [...chains.values()];
    return all.indexOf(chain) >= all.findLastIndex((c) => c.rules.length > 0);
  }

  /** Cuts the items out by their braces, each of them one step inside `{"nftables": [`. */
  read(): void {
    const { text } = this;
    const inside = /^\ufeff?\s*\[/.test(text) ? 0 : 1;
    let depth = 0;
    let inString = false;
    let line = 1;
    let lineStart = 0;
    let start = -1;
    let items = 0;
    let nesting = 0;
    let deepest = 0;
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c === 10) {
        line++;
        lineStart = i + 1;
      }
      if (inString) {
        if (c === 92) i++;
        else if (c === 34) inString = false;
      } else if (c === 34) inString = true;
      else if (c === 91) deepest = Math.max(deepest, ++nesting);
      else if (c === 93) nesting--;
      else if (c === 123) {
        deepest = Math.max(deepest, ++nesting);
        if (depth++ !== inside) continue;
        start = i;
        deepest = nesting = 0;
        this.at = { file: this.file, line, column: i - lineStart + 1 };
      } else if (c === 125 && depth > 0) {
        nesting--;
        if (--depth !== inside) continue;
        this.piece = text.slice(start, i + 1);
        this.told = 0;
        items++;
        if (deepest > DEEPEST)
          this.tell('error', 'bad-json', 'this item has more brackets within brackets than nft prints', 'capture the whole output again');
        else this.item();
      }
    }
    if (depth > inside) {
      this.piece = text.slice(start, start + 1000);
      // json_string() of jansson refuses what is no UTF-8, and the output ends there.
      const isFlags = /"flags": *$/.test(text.trimEnd());
      const hint = isFlags ? 'nft 1.0.6 breaks off at a dormant table: capture the text of `nft list ruleset`' : 'capture the whole output again';
      this.tell('error', 'truncated', 'the JSON ends in the middle of an item', hint);
    } else if (depth > 0 || !/[\]}]\s*$/.test(text)) {
      this.piece = '';
      this.at = { file: this.file, line };
      this.tell('error', 'truncated', 'the JSON has no end', 'capture the whole output again');
    } else if (items === 0 && !/"nftables"\s*:/.test(text)) {
      this.piece = '';
      this.at = { file: this.file, line: 1 };
      this.tell('error', 'unexpected-json', 'this is not what nft -j list ruleset prints', 'capture `nft -j list ruleset`');
    }
  }

  private tell(severity: Finding['severity'], code: string, message: string, hint?: string, word?: string): void {
    const found = word === undefined || this.report.isFull(code, this.file) ? -1 : this.find(word);
    const at = found < 0 ? this.at : this.placeOf(found);
    const from = found - 60;
    const line = this.piece
      .slice(Math.max(0, from), Math.max(0, from) + 1000)
      .replace(/\s+/g, ' ')
      .slice(0, 180);
    this.report.tell({ severity, code, message, at, ...(line !== '' && { line }), ...(hint !== undefined && { hint }) });
  }

  /** Where a word stands in the item: behind the one before, where there are several. */
  private find(word: string): number {
    const quoted = JSON.stringify(word);
    const next = this.piece.indexOf(quoted, this.told);
    const found = next < 0 ? this.piece.indexOf(quoted) : next;
    this.told = found + 1;
    return found;
  }

  private placeOf(offset: number): Span {
    const { file, line, column = 1 } = this.at;
    const before = this.piece.slice(0, offset);
    const feed = before.lastIndexOf('\n');
    return { file, line: line + before.split('\n').length - 1, column: feed < 0 ? column + offset : offset - feed };
  }

  private item(): void {
    let json: unknown;
    try {
      json = JSON.parse(keepWide(this.piece));
    } catch {
      this.tell('error', 'bad-json', 'this item is not JSON', 'capture the whole output again');
      return;
    }
    const [kind, body] = Object.entries(json as object)[0] ?? ['', undefined];
    if (kind === 'metainfo') this.fits(METAINFO, body, (m) => this.metainfo(m));
    else if (kind === 'table') this.fits(TABLE, body, (t) => this.table(t));
    else if (kind === 'chain') this.fits(CHAIN, body, (c) => this.chain(c));
    else if (kind === 'rule') this.fits(RULE, body, (r) => this.rule(r));
    else if (kind === 'set' || kind === 'map' || kind === 'meter') this.fits(SET, body, (s) => this.set(kind === 'map' ? 'map' : 'set', s));
    else if (kind === 'element') this.fits(ELEMENT, body, (e) => this.element(e));
    else if (kind === 'flowtable') this.fits(FLOWTABLE, body, (f) => this.object('flowtable', f, flowtableBody(f)));
    else if (OBJECTS.has(kind)) this.fits(OBJECT, body, (o) => this.object(kind, o, objectBody(kind, o)));
    else
      this.tell(
        'warning',
        'unknown-item',
        `the item '${kind}' is not understood`,
        'capture `nft -j list ruleset`, or the text of `nft list ruleset`',
      );
  }

  private fits<S extends z.ZodType>(schema: S, json: unknown, use: (value: z.output<S>) => void): void {
    const read = schema.safeParse(json);
    if (read.success) {
      use(read.data);
      return;
    }
    const issue = read.error.issues[0];
    const where = issue?.path.length ? ` at '${issue.path.join('.')}'` : '';
    this.tell('error', 'unexpected-json', `this item is not what nft -j prints${where}: ${issue?.message ?? 'it does not fit'}`);
  }

  private place(of: NftFamily): Place {
    return {
      family: of,
      statement: readStatement,
      unknown: (code, what, word) => {
        const hint = 'what it decides is unknown; capture the text of `nft list ruleset` too, and say what it is in an issue';
        this.tell('warning', code, what, hint, word);
      },
    };
  }

  private metainfo({ version, json_schema_version: schema }: z.output<typeof METAINFO>): void {
    this.version ??= version;
    if (schema === undefined || schema <= SCHEMA_VERSION) return;
    const message = `json_schema_version ${schema} is newer than ${SCHEMA_VERSION}, which is what is known here: it is read as if it were that`;
    this.tell('warning', 'newer-schema', message, 'capture the text of `nft list ruleset` too');
  }

  private table({ family: of, name, handle, flags = [], comment }: z.output<typeof TABLE>): void {
    const unknown = flags.find((f) => !TABLE_FLAGS.has(f));
    if (unknown !== undefined) {
      const message = `'${unknown}' is no flag of a table; nft 1.0.6 prints such words for dormant`;
      this.tell('warning', 'unknown-flag', message, 'see in the text of `nft list ruleset` whether this table is dormant');
    }
    this.open(of, name).syntax = {
      family: of,
      name,
      ...(handle !== undefined && { handle }),
      flags,
      ...(comment !== undefined && { comment }),
      sets: [],
      chains: [],
      objects: [],
      at: this.at,
    };
  }

  /** `nft -j list chain` prints no table: there it is what its items say. */
  private open(of: NftFamily, name: string): OpenTable {
    const key = `${of} ${name}`;
    let table = this.tables.get(key);
    if (!table) {
      const syntax = { family: of, name, flags: [], sets: [], chains: [], objects: [], at: this.at };
      this.tables.set(key, (table = { syntax, sets: new Map(), chains: new Map(), objects: [] }));
    }
    return table;
  }

  private chain(c: z.output<typeof CHAIN>): void {
    const { type, hook, prio, policy = 'accept', dev = [] } = c;
    const isBase = type !== undefined && hook !== undefined && prio !== undefined;
    const isUnsaid = dev.length === 0 && isOfDevices(hook);
    if (isUnsaid) {
      const message = `chain '${c.name}' hangs on ${hook} of devices that are not said: nft 1.0.6 has none in its JSON`;
      this.tell('warning', 'no-device', message, 'capture the text of `nft list ruleset`');
    }
    const syntax: ChainSyntax = {
      name: c.name,
      ...(c.handle !== undefined && { handle: c.handle }),
      ...(isBase && { base: { type, hook, priority: prio, policy, ...(isOfDevices(hook) && !isUnsaid && { devices: dev }) } }),
      ...(c.comment !== undefined && { comment: c.comment }),
      rules: [],
      at: this.at,
    };
    const { chains } = this.open(c.family, c.table);
    chains.set(c.name, { syntax, rules: chains.get(c.name)?.rules ?? [] });
  }

  private rule(r: z.output<typeof RULE>): void {
    const { chains } = this.open(r.family, r.table);
    let chain = chains.get(r.chain);
    if (!chain) {
      this.tell('error', 'no-such-chain', `this rule is of chain '${r.chain}', which is not there`, 'capture `nft -j list ruleset` again');
      chains.set(r.chain, (chain = { syntax: { name: r.chain, rules: [], at: this.at }, rules: [] }));
    }
    const place = this.place(r.family);
    const statements = (r.expr ?? []).map((s) => readStatement(s, place));
    chain.rules.push({
      statements,
      ...(r.comment !== undefined && { comment: r.comment }),
      ...(r.handle !== undefined && { handle: r.handle }),
      text: statements.map(printStatement).join(' '),
      at: this.at,
    });
  }

  private set(kind: 'set' | 'map', s: z.output<typeof SET>): void {
    const place = this.place(s.family);
    const key = typeOf(s.type, place);
    const syntax: SetSyntax = {
      kind,
      name: s.name,
      ...(s.handle !== undefined && { handle: s.handle }),
      key,
      ...(s.map !== undefined && { data: typeOf(s.map, place) }),
      flags: s.flags ?? [],
      ...(s['auto-merge'] === true && { autoMerge: true }),
      ...(s.policy !== undefined && { policy: s.policy }),
      ...(s.timeout !== undefined && { timeout: s.timeout }),
      ...(s['gc-interval'] !== undefined && { gcInterval: s['gc-interval'] }),
      ...(s.size !== undefined && { size: s.size }),
      ...(s.comment !== undefined && { comment: s.comment }),
      then: (s.stmt ?? []).map((x) => readStatement(x, place)),
      elements: [],
      at: this.at,
    };
    this.open(s.family, s.table).sets.set(s.name, { syntax, elements: this.elements(s.elem ?? [], syntax, place) });
  }

  private elements(of: readonly unknown[], { kind, key }: SetSyntax, place: Place): ElementSyntax[] {
    const isIndex = key.kind === 'type' && key.names.length === 1 && (key.names[0] === 'iface_index' || key.names[0] === 'realm');
    const { at } = this;
    return of.map((json) => {
      const e = readElement(json, place, kind === 'map');
      return isIndex ? { ...e, key: asNumbers(e.key), at } : { ...e, at };
    });
  }

  private element(e: z.output<typeof ELEMENT>): void {
    const set = this.open(e.family, e.table).sets.get(e.name);
    if (!set) {
      this.tell('error', 'no-such-set', `these elements are of set '${e.name}', which is not there`, 'capture `nft -j list ruleset` again');
      return;
    }
    const of = Array.isArray(e.elem) ? e.elem : e.elem.set;
    for (const x of this.elements(of, set.syntax, this.place(e.family))) set.elements.push(x);
  }

  private object(kind: string, o: z.output<typeof OBJECT>, body: string): void {
    const { name, handle } = o;
    this.open(o.family, o.table).objects.push({ kind, name, ...(handle !== undefined && { handle }), body, at: this.at });
  }
}

function isOfDevices(hook: string | undefined): boolean {
  return hook === 'ingress' || hook === 'egress';
}

/** `ipv4_addr . inet_service`, a list of names, or `{"typeof": ...}`. */
function typeOf(type: z.output<typeof TYPE>, place: Place): TypeSyntax {
  if (!Array.isArray(type)) return { kind: 'typeof', of: readExpr(type.typeof, place) };
  return { kind: 'type', names: type.flatMap((name) => name.split(' . ')) };
}

/** JSON.parse() would round what is above 2^53: such a number becomes a word. */
function keepWide(json: string): string {
  if (!/\d{16}/.test(json)) return json;
  return json.replace(/"(?:\\.|[^"\\])*"|-?\d{16,}/g, (m) => (m.startsWith('"') || Number.isSafeInteger(Number(m)) ? m : `"${wideNumber(m)}"`));
}
