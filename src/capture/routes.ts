// `ip route`: routes of both families, from text or from `ip -j`. JSON is put back into the words of the text first, so
// there is one reading of a route.
import * as z from 'zod';
import { ANY4, ANY6, familyOf, isError, parseAddr, parsePrefix, type Addr, type Family, type Prefix } from '../net/addr.ts';
import type { Finding } from '../model/finding.ts';
import type { NextHop, Route, RouteType } from '../model/host.ts';
import { isJson, readItems } from './json.ts';
import { isPrompt, Source, type Line } from './source.ts';

/** What the name of the file tells about the routes in it. */
export interface RouteContext {
  /** Decides `default` where neither gateway nor source shows the family. */
  readonly family?: Family;
  /** The table of routes that name none: `main`, unless the output of `ip route show table N` is read. */
  readonly table?: string;
}

const TYPES: Readonly<Record<string, RouteType>> = {
  unicast: 'unicast',
  local: 'local',
  broadcast: 'broadcast',
  anycast: 'anycast',
  multicast: 'multicast',
  blackhole: 'blackhole',
  unreachable: 'unreachable',
  prohibit: 'prohibit',
  throw: 'throw',
  nat: 'nat',
};
const FLAGS = new Set(['onlink', 'dead', 'linkdown', 'pervasive', 'offload', 'rt_offload', 'trap', 'rt_trap', 'notify', 'unresolved', 'cache']);
// Words with one value that change nothing here.
const VALUED = new Set(
  (
    'nhid advmss rtt rttvar window cwnd initcwnd initrwnd ssthresh reordering hoplimit features rto_min congctl quickack fastopen_no_cookie ' +
    'realm realms expires error pref mark users used age iif uid lock'
  ).split(' '),
);
const METRICS = new Set(['mtu', 'advmss', 'rtt', 'rttvar', 'window', 'cwnd', 'hoplimit', 'ssthresh', 'rto_min']); // may be locked: `mtu lock 1400`

interface Hop {
  via?: Addr;
  device?: string;
  weight: number;
  onlink?: boolean;
  dead?: boolean;
  linkdown?: boolean;
}

interface Draft {
  readonly line: Line;
  readonly type: RouteType;
  readonly to: Prefix | undefined;
  readonly hops: Hop[];
  text: string;
  family?: Family;
  table?: string;
  src?: Addr;
  scope?: string;
  metric?: number;
  tos: number;
  mtu?: number;
  proto?: string;
  from?: Prefix;
  unusable?: boolean;
}

/** Reads routes from what `ip route`, `ip -6 route` or `ip -j route` printed, of one table or of all. */
export function readRoutes(text: string, file: string, context: RouteContext = {}): { readonly routes: Route[]; readonly findings: Finding[] } {
  const source = new Source(text, file);
  const routes: Route[] = [];
  let draft: Draft | undefined;
  const finish = (): void => {
    if (draft && !draft.unusable) routes.push(build(draft, source, context));
    draft = undefined;
  };
  const lines = isJson(text) ? readItems(text, source, Json).flatMap(({ value, line }) => wordsOf(value, line)) : source.lines();
  for (const line of lines) {
    const words = line.text.trim().split(/\s+/);
    const first = words[0]!;
    if (first === '' || isPrompt(line.text)) continue;
    if (/^\s/.test(line.text) || first === 'nexthop') {
      if (!draft) source.report('warning', 'unknown-line', 'a continuation without a route before it', line);
      else if (first === 'nexthop') {
        draft.text += ` ${words.join(' ')}`;
        const hop: Hop = { weight: 1 };
        draft.hops.push(hop);
        readWords(words, 1, draft, hop, line, source);
      } else if (first === 'nh_info') {
        continue; // ip -d: the nexthop object once more
      } else if (first === 'cache') {
        draft.unusable = true; // the answer of `ip route get`
        source.report('note', 'not-a-table', 'the answer to ip route get is not a route of a table', draft.line, {
          hint: 'capture ip route show table all',
        });
      } else readWords(words, 0, draft, draft.hops[0] ?? { weight: 1 }, line, source);
      continue;
    }
    finish();
    draft = begin(words, line, source);
  }
  finish();
  return { routes, findings: source.findings };
}

function begin(words: readonly string[], line: Line, source: Source): Draft | undefined {
  const type = Object.hasOwn(TYPES, words[0]!) ? TYPES[words[0]!] : undefined;
  const at = type === undefined ? 0 : 1;
  const word = words[at] ?? '';
  const to = /^(default|all|any|0\/0)$/.test(word) ? undefined : parsePrefix(word);
  if (isError(to)) {
    const trouble = /^(RTNETLINK|Error|Cannot|Dump|FIB table|Command)/.test(line.text);
    if (trouble) source.report('error', 'refused', `ip could not list: ${line.text}`, line);
    else source.report('error', 'unreadable-route', `no destination: ${to.error}`, line, { part: word });
    return undefined;
  }
  const draft: Draft = { line, type: type ?? 'unicast', to, hops: [], text: words.join(' '), tos: 0 };
  if (to) draft.family = familyOf(to.addr);
  const hop: Hop = { weight: 1 };
  readWords(words, at + 1, draft, hop, line, source);
  if (draft.hops.length === 0 && (hop.via !== undefined || hop.device !== undefined)) draft.hops.push(hop);
  return draft;
}

function readWords(words: readonly string[], from: number, draft: Draft, first: Hop, line: Line, source: Source): void {
  let hop = first;
  const address = (word: string): Addr | undefined => {
    const addr = parseAddr(word);
    if (!isError(addr)) return addr;
    source.report('error', 'unreadable-route', addr.error, line, { part: word });
    draft.unusable = true;
    return undefined;
  };
  for (let i = from; i < words.length; i++) {
    const word = words[i]!;
    const next = words[i + 1] ?? '';
    switch (word) {
      case 'via': {
        const foreign = next === 'inet' || next === 'inet6';
        const via = address(foreign ? (words[i + 2] ?? '') : next);
        if (via !== undefined) {
          hop.via = via;
          // only a gateway of the other family is spelled with it
          draft.family ??= foreign ? (next === 'inet6' ? 4 : 6) : familyOf(via);
        }
        i += foreign ? 2 : 1;
        break;
      }
      case 'src': {
        const src = address(next);
        if (src !== undefined) {
          draft.src = src;
          draft.family ??= familyOf(src);
        }
        i++;
        break;
      }
      case 'dev':
        if (next) hop.device = next;
        i++;
        break;
      case 'weight':
        hop.weight = Number(next) || 1;
        i++;
        break;
      case 'table':
        draft.table = next;
        i++;
        break;
      case 'proto':
      case 'protocol':
        draft.proto = next;
        i++;
        break;
      case 'scope':
        draft.scope = next;
        i++;
        break;
      case 'metric':
      case 'preference':
        draft.metric = numberOf(next, draft, line, source);
        i++;
        break;
      case 'tos':
      case 'dsfield':
        draft.tos = TOS.get(next) ?? numberOf(next, draft, line, source);
        i++;
        break;
      case 'pref':
      case 'error':
        draft.family ??= 6; // ip prints these for IPv6 only
        i++;
        break;
      case 'nexthop': // ip -o, and routes written by hand
        hop = { weight: 1 };
        draft.hops.push(hop);
        break;
      case 'onlink':
        hop.onlink = true;
        break;
      case 'dead':
        hop.dead = true;
        break;
      case 'linkdown':
        hop.linkdown = true;
        break;
      case 'from': {
        const prefix = parsePrefix(next === 'default' || next === 'all' ? '::/0' : (next ?? ''));
        if (isError(prefix)) {
          source.report('warning', 'bad-route', `'${next ?? ''}' is not the source prefix of a route`, line, { part: `from ${next ?? ''}` });
          draft.unusable = true;
        } else if (prefix.length > 0) {
          draft.from = prefix;
          draft.family ??= familyOf(prefix.addr);
        }
        i++;
        break;
      }
      case 'encap': {
        source.report('note', 'unmodelled-route', 'the encapsulation of this route (encap) is not modelled', line, { part: `encap ${next}` });
        while (i + 1 < words.length && !/^(via|dev|nhid|table|proto|nexthop)$/.test(words[i + 1]!)) i++;
        break;
      }
      default: {
        if (METRICS.has(word)) {
          const value = next === 'lock' ? words[i + 2] : next;
          if (word === 'mtu') draft.mtu = numberOf(value ?? '', draft, line, source);
          i += next === 'lock' ? 2 : 1;
        } else if (VALUED.has(word)) i++;
        else if (!FLAGS.has(word) && word !== '\\')
          source.report('note', 'unknown-word', `'${word}' is not known in a route; it is passed over`, line, { part: word });
      }
    }
  }
}

const TOS = new Map([
  ['lowdelay', 0x10],
  ['throughput', 0x08],
  ['reliability', 0x04],
]);

const TABLE_NAMES = new Map([
  ['253', 'default'],
  ['254', 'main'],
  ['255', 'local'],
]);

/** The name of a table that was printed as a number (`ip -N`), for the three that the kernel itself has. */
export function tableName(text: string): string {
  return TABLE_NAMES.get(text) ?? text;
}

function numberOf(word: string, draft: Draft, line: Line, source: Source): number {
  if (/^(\d{1,10}|0x[0-9a-fA-F]{1,8})$/.test(word)) return Number(word);
  source.report('error', 'unreadable-route', `'${word}' is not a number`, line, word ? { part: word } : {});
  draft.unusable = true;
  return 0;
}

function build(d: Draft, source: Source, context: RouteContext): Route {
  const family = d.family ?? context.family ?? 4;
  return {
    family,
    type: d.type,
    to: d.to ?? { addr: family === 4 ? ANY4 : ANY6, length: 0 },
    table: tableName(d.table ?? context.table ?? 'main'),
    nextHops: d.hops satisfies NextHop[],
    ...(d.from === undefined ? {} : { from: d.from }),
    ...(d.src === undefined ? {} : { src: d.src }),
    // What ip leaves out: scope global, protocol boot; the kernel gives IPv6 routes the metric 1024.
    scope: d.scope ?? 'global',
    metric: d.metric ?? (family === 6 ? 1024 : 0),
    tos: d.tos,
    ...(d.mtu === undefined ? {} : { mtu: d.mtu }),
    proto: d.proto ?? 'boot',
    text: d.text,
    at: source.span(d.line),
  };
}

const Via = z.looseObject({ family: z.string(), host: z.string() });
const Flags = z.array(z.string()).optional();
const JsonHop = z.looseObject({
  gateway: z.string().optional(),
  via: Via.optional(),
  dev: z.string().optional(),
  weight: z.number().optional(),
  encap: z.string().optional(),
  flags: Flags,
});
const Json = z.looseObject({
  type: z.string().optional(),
  dst: z.string(),
  from: z.string().optional(),
  tos: z.union([z.string(), z.number()]).optional(), // a number where it is the encapsulation's
  gateway: z.string().optional(),
  via: Via.optional(),
  dev: z.string().optional(),
  table: z.string().optional(),
  protocol: z.string().optional(),
  scope: z.string().optional(),
  prefsrc: z.string().optional(),
  metric: z.number().optional(),
  encap: z.string().optional(),
  flags: Flags,
  metrics: z.array(z.looseObject({ mtu: z.number().optional() })).optional(),
  nexthops: z.array(JsonHop).optional(),
  pref: z.string().optional(),
});

// The lines that ip prints for the same route.
function wordsOf(r: z.output<typeof Json>, line: Line): Line[] {
  const word = (name: string, value: string | number | undefined): string => (value === undefined ? '' : ` ${name} ${value}`);
  const hop = (h: z.output<typeof JsonHop>): string =>
    word('encap', h.encap) + word('via', h.gateway ?? (h.via && `${h.via.family} ${h.via.host}`)) + word('dev', h.dev);
  const flags = (f: readonly string[] | undefined): string => (f ?? []).map((x) => ` ${x}`).join('');
  // The encapsulation has a "dst" of its own, and the second of two equal keys wins.
  const dst = r.encap === undefined ? r.dst : (/"dst": ?"([^"]*)"/.exec(line.text)?.[1] ?? r.dst);
  const mtu = r.metrics?.find((m) => m.mtu !== undefined)?.mtu;
  const text =
    `${r.type === undefined || r.type === 'unicast' ? '' : `${r.type} `}${dst}${word('from', r.from)}${word('tos', typeof r.tos === 'string' ? r.tos : undefined)}${hop(r)}${word('table', r.table)}` +
    `${word('proto', r.protocol)}${word('scope', r.scope)}${word('src', r.prefsrc)}${word('metric', r.metric)}${flags(r.flags)}${word('mtu', mtu)}${word('pref', r.pref)}`;
  const hops = (r.nexthops ?? []).map((h) => `\tnexthop${hop(h)}${word('weight', h.weight)}${flags(h.flags)}`);
  return [text, ...hops].map((t) => ({ text: t, number: line.number }));
}
