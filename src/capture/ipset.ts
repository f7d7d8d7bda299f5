// `ipset save` and `ipset list`: sets and their members.
import type { Addr, Family } from '../net/addr.ts';
import type { IpSet, SetDimension, SetMember, SetPart } from '../model/ruleset.ts';
import { isUnreadable, maskIn, readElement } from './setelement.ts';
import { isPrompt, Source, type Line } from './source.ts';
import type { Finding, Span } from '../model/finding.ts';

/** What an ipset listing holds. `incomplete` says why sets may be missing from it altogether, `refusedAt` where ipset says so. */
export interface IpsetListing {
  readonly sets: IpSet[];
  readonly findings: Finding[];
  readonly incomplete?: string;
  readonly refusedAt?: Span;
}

/** What `readMember` needs to know of the set that the element is for. */
export type SetHead = Pick<IpSet, 'name' | 'type' | 'dimensions' | 'options'> & { readonly family?: Family };

const DIMENSIONS = new Set<SetDimension>(['ip', 'net', 'port', 'mac', 'iface', 'mark', 'set']);
const VALUED = new Set(
  'family hashsize maxelem bucketsize initval timeout netmask bitmask markmask range from to network size probes resize gc revision'.split(' '),
);
// The names that ipset before version 5 gave the types.
const OLD_TYPES = new Map(
  Object.entries({
    iphash: 'hash:ip',
    nethash: 'hash:net',
    ipporthash: 'hash:ip,port',
    ipportiphash: 'hash:ip,port,ip',
    ipportnethash: 'hash:ip,port,net',
    ipmap: 'bitmap:ip',
    macipmap: 'bitmap:ip,mac',
    portmap: 'bitmap:port',
    setlist: 'list:set',
  }),
);

interface Draft {
  head: SetHead;
  members: SetMember[];
  at: Span;
  incomplete?: string;
  /** `Number of entries`, from `ipset list`. */
  announced?: number;
  /** Whether `Members:` came, in the list form. */
  hasMembers: boolean;
  listed: number;
  line: Line;
}

// The type, family and dimensions that a set's create line or header gives it.
function readHead(name: string, type: string, options: Readonly<Record<string, string>>): SetHead {
  const known = OLD_TYPES.get(type) ?? type.replace(/\s+/g, '');
  const dimensions = (known.split(':')[1] ?? '').split(',').filter((d): d is SetDimension => DIMENSIONS.has(d as SetDimension));
  const hasFamily = dimensions.some((d) => d === 'ip' || d === 'net' || d === 'iface' || d === 'mark');
  const family: Family = /6/.test(options['family'] ?? '') ? 6 : 4;
  return { name, type: known, dimensions, options, ...(hasFamily ? { family } : {}) };
}

// The words after a set's type: `family inet hashsize 1024 counters`; a word without a value has the value ''.
function readOptions(words: readonly string[]): Record<string, string> {
  const options = new Map<string, string>();
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!.replace(/^--/, '');
    if (word === '-exist' || word === '-!') continue;
    if (word === 'inet' || word === 'inet6' || word === '-6' || word === '-4') options.set('family', word.includes('6') ? 'inet6' : 'inet');
    else options.set(word, VALUED.has(word) ? (words[++i] ?? '') : '');
  }
  return Object.fromEntries(options);
}

/** The members that one element stands for (a range in a net dimension is several prefixes, as in the kernel), or why there are none. */
export function readMember(head: SetHead, text: string, at: Span): readonly SetMember[] | { readonly error: string } {
  const words = text.match(/"[^"]*"?|\S+/g) ?? [];
  const element = words[0] ?? '';
  const rest: { nomatch?: true; timeout?: number; packets?: number; bytes?: number; skbmark?: SetMember['skbmark'] & {} } = {};
  let wildcard = false;
  for (let i = 1; i < words.length; i++) {
    const word = words[i]!;
    if (word === 'nomatch') rest.nomatch = true;
    else if (word === 'wildcard') wildcard = true;
    else if (word === 'timeout' || word === 'packets' || word === 'bytes') {
      const n = Number(words[++i]);
      if (!Number.isFinite(n)) return { error: `'${word}' needs a number` };
      rest[word] = n;
    } else if (word === 'skbmark') {
      const [, value, mask = '0xffffffff'] = /^(0x[0-9a-f]{1,8}|\d{1,10})(?:\/(0x[0-9a-f]{1,8}|\d{1,10}))?$/i.exec(words[++i] ?? '') ?? [];
      if (value === undefined) return { error: "'skbmark' needs a mark" };
      rest.skbmark = { value: Number(value), mask: Number(mask) };
    } else if (/^(comment|skbprio|skbqueue|before|after)$/.test(word)) i++;
    else if (word !== '-exist' && word !== '-!') return { error: `unknown word '${word}' after the element` };
  }
  const read = readElement(head, element);
  if ('error' in read) return read;
  const named = (part: SetPart): SetPart => (wildcard && part.kind === 'iface' ? { ...part, wildcard } : part);
  return read.map((parts) => ({ parts: wildcard ? parts.map(named) : parts, text: text.trim(), at, ...rest }));
}

function maskOfSet(head: SetHead): { readonly mask?: Addr } {
  if (head.family === undefined || (head.options['netmask'] === undefined && head.options['bitmask'] === undefined)) return {};
  const mask = maskIn(head, head.family);
  return isUnreadable(mask) ? {} : { mask };
}

/** Reads what `ipset save` or `ipset list` printed. */
export function readIpset(text: string, file: string): IpsetListing {
  const source = new Source(text, file);
  const drafts = new Map<string, Draft>();
  let current: Draft | undefined; // of the list form
  let inMembers = false;
  let refused: string | undefined;
  let refusedAt: Span | undefined;

  const open = (name: string, type: string, options: Record<string, string>, line: Line): Draft => {
    const draft: Draft = { head: readHead(name, type, options), members: [], at: source.span(line), listed: 0, hasMembers: false, line };
    if (drafts.has(name)) source.report('warning', 'duplicate-set', `set '${name}' is listed a second time; the first listing counts`, line);
    else drafts.set(name, draft);
    return draft;
  };
  const add = (draft: Draft, element: string, line: Line): void => {
    draft.listed++;
    const members = readMember(draft.head, element, source.span(line));
    if ('error' in members) {
      source.report('error', 'unreadable-member', `a member of set '${draft.head.name}': ${members.error}`, line);
      draft.incomplete ??= `the member on line ${line.number} could not be read: ${members.error}`;
    } else for (const m of members) draft.members.push(m);
  };
  const setType = (draft: Draft, type: string, line: Line): void => {
    draft.head = readHead(draft.head.name, type, draft.head.options);
    const parts = draft.head.type.split(/[:,]/).length - 1;
    if (draft.head.dimensions.length !== parts || parts === 0) {
      source.report('error', 'unknown-set-type', `set '${draft.head.name}' has the unknown type '${draft.head.type}'`, line);
      draft.incomplete = `its type '${draft.head.type}' is not known`;
    }
  };

  for (const line of source.lines()) {
    const t = line.text;
    const trouble =
      /^ipset v[\d.]+: (.*)/.exec(t) ??
      (/^ipset v[\d.]+, protocol/.test(t) ? null : /((?:Kernel error received|Kernel and userspace incompatible).*)/.exec(t));
    if (trouble) {
      const hint = /incompatible|protocol/.test(t)
        ? 'run ipset on the node itself rather than in a container; whatever image uses it needs a newer ipset, which knows the sets of this kernel'
        : 'capture again as root';
      source.report('error', 'ipset-refused', `ipset could not list: ${trouble[1]!}`, line, { hint });
      refused ??= `ipset printed an error: ${trouble[1]!}`;
      refusedAt ??= source.span(line);
      if (current) current.incomplete ??= refused;
      continue;
    }
    if (t.trim() === '' || isPrompt(t)) {
      inMembers = false;
      continue;
    }
    const header = /^\s*(Name|Type|Revision|Header|Size in memory|References|Number of entries|Default binding|Members)\s*:\s*(.*)$/i.exec(t);
    if (header) {
      const key = header[1]!.toLowerCase();
      const value = header[2]!.trim();
      if (key === 'name') [current, inMembers] = [open(value, '', {}, line), false];
      else if (!current) source.report('error', 'no-such-set', `'${header[1]!}' stands before any 'Name:'`, line);
      else if (key === 'type') setType(current, value, line);
      else if (key === 'header') current.head = readHead(current.head.name, current.head.type, readOptions(value.split(/\s+/).filter(Boolean)));
      else if (key === 'number of entries') {
        const n = /^(\d+)\s*(Members:)?/i.exec(value); // a paste may lose the line end between the two
        if (n) current.announced = Number(n[1]);
        inMembers = current.hasMembers = n?.[2] !== undefined;
      } else if (key === 'members') {
        inMembers = current.hasMembers = true;
        if (value) add(current, value, line);
      }
      continue;
    }
    if (current && inMembers) {
      add(current, t.trim(), line);
      continue;
    }
    const words = t.trim().split(/\s+/);
    const verb = words[0]!;
    if ((verb === 'create' || verb === '-N') && words.length >= 3) {
      setType(open(words[1]!, words[2]!, readOptions(words.slice(3)), line), words[2]!, line);
    } else if ((verb === 'add' || verb === '-A') && words.length >= 3) {
      const name = words[1]!;
      let draft = drafts.get(name);
      if (!draft) {
        source.report('error', 'no-such-set', `a member is added to set '${name}', which no line before it creates`, line, {
          hint: 'capture the whole of ipset save',
        });
        draft = open(name, '', {}, line);
        draft.incomplete = 'the line that creates it is missing';
      }
      if (draft.head.dimensions.length > 0) add(draft, t.slice(t.indexOf(name, t.indexOf(verb) + verb.length) + name.length), line);
    } else if (verb === 'create' || verb === 'add') {
      source.report('error', 'truncated', `'${verb}' needs a set and ${verb === 'add' ? 'an element' : 'a type'}`, line);
      refused ??= `line ${line.number} is cut off`;
    } else if (verb !== 'COMMIT') {
      source.report('warning', 'unknown-line', 'not a line that ipset prints', line);
    }
  }

  for (const d of drafts.values()) {
    if (d.incomplete || d.head.type === '') {
      d.incomplete ??= 'its type was not captured';
    } else if (
      d.announced !== undefined &&
      d.announced > 0 &&
      (!d.hasMembers || (d.listed < d.announced && d.head.options['timeout'] === undefined))
    ) {
      d.incomplete = `${d.listed} of ${d.announced} members are listed`;
      source.report('error', 'truncated', `set '${d.head.name}' has ${d.announced} entries, but ${d.listed} are listed`, d.line, {
        hint: 'capture the whole of ipset save (ipset list -t leaves the members out)',
      });
    }
  }
  const sets = [...drafts.values()].map((d): IpSet => ({
    ...d.head,
    ...maskOfSet(d.head),
    members: d.members,
    at: d.at,
    ...(d.incomplete ? { incomplete: d.incomplete } : {}),
  }));
  return { sets, findings: source.findings, ...(refused ? { incomplete: refused } : {}), ...(refusedAt ? { refusedAt } : {}) };
}
