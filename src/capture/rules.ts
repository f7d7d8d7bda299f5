// `ip rule`: the order in which route tables are asked, from text or from `ip -j`.
import * as z from 'zod';
import { familyOf, isError, parsePrefix, type Family, type Prefix } from '../net/addr.ts';
import { parseProtocol } from '../net/proto.ts';
import type { Finding } from '../model/finding.ts';
import type { RoutingRule } from '../model/host.ts';
import { isJson, readItems } from './json.ts';
import { tableName } from './routes.ts';
import { isPrompt, Source, type Line } from './source.ts';

type Draft = { -readonly [K in keyof RoutingRule]: RoutingRule[K] };

/** Reads what `ip rule`, `ip -6 rule` or `ip -j rule` printed. The family is that of the addresses in it, else `family`, else 4. */
export function readRules(text: string, file: string, family?: Family): { readonly rules: RoutingRule[]; readonly findings: Finding[] } {
  const source = new Source(text, file);
  const blocks: Draft[][] = [[]];
  const lines = isJson(text) ? readItems(text, source, Json).map(({ value, line }) => lineOf(value, line)) : source.lines();
  for (const line of lines) {
    if (line.text.trim() === '' || isPrompt(line.text)) continue;
    const head = /^(\d+):\s*(.*)$/.exec(line.text);
    if (!head || Number(head[1]) > 0xffffffff) {
      source.report('error', 'unreadable-rule', 'not a line that ip rule prints', line, {
        hint: 'a rule begins with its priority: `100: from all lookup main`',
      });
      continue;
    }
    const rule = readRule(Number(head[1]), head[2]!.trim().split(/\s+/), line, source);
    if (!rule) continue;
    // `ip rule; ip -6 rule` in one file: the list of the other family begins with its own rule 0.
    const last = blocks.at(-1)!;
    if (blocks.length === 1 && rule.priority === 0 && rule.table === 'local' && (last.at(-1)?.priority ?? 0) > 0) blocks.push([rule]);
    else last.push(rule);
  }
  const [first, second] = blocks.map(familyIn);
  const own = first ?? (second === undefined ? (family ?? 4) : second === 4 ? 6 : 4);
  for (const [i, block] of blocks.entries()) for (const rule of block) rule.family = i === 0 ? own : (second ?? (own === 4 ? 6 : 4));
  return { rules: blocks.flat(), findings: source.findings };
}

function familyIn(rules: readonly Draft[]): Family | undefined {
  for (const { from, to } of rules) {
    const prefix = from ?? to;
    if (prefix) return familyOf(prefix.addr);
  }
  return undefined;
}

function readRule(priority: number, words: readonly string[], line: Line, source: Source): Draft | undefined {
  const rule: Draft = { family: 4, priority, not: false, action: 'lookup', text: line.text.trim().replace(/\s+/g, ' '), at: source.span(line) };
  const opaque: string[] = [];
  let bad = false;
  const fail = (word: string, why: string): undefined => {
    source.report('error', 'unreadable-rule', why, line, word ? { part: word } : {});
    bad = true;
  };
  const number = (word: string): number => {
    if (/^(\d{1,10}|0x[0-9a-fA-F]{1,8})$/.test(word)) return Number(word);
    fail(word, `'${word}' is not a number`);
    return 0;
  };
  const range = (word: string): readonly [number, number] => {
    const dash = word.indexOf('-', 1);
    return dash < 0 ? [number(word), number(word)] : [number(word.slice(0, dash)), number(word.slice(dash + 1))];
  };
  const prefix = (word: string): Prefix | undefined => {
    if (/^(all|any|default)$/.test(word)) return undefined;
    const p = parsePrefix(word);
    return isError(p) ? fail(word, p.error) : p;
  };
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const next = words[i + 1] ?? '';
    switch (word) {
      case 'not':
        rule.not = true;
        break;
      case 'from':
      case 'to': {
        const p = prefix(next);
        if (p) rule[word] = p;
        i++;
        break;
      }
      case 'iif':
      case 'dev':
        rule.iif = next;
        i++;
        break;
      case 'oif':
        rule.oif = next;
        i++;
        break;
      case 'fwmark': {
        const [value, mask] = next.split('/');
        rule.mark = { value: number(value!), mask: mask === undefined ? 0xffffffff : number(mask) };
        i++;
        break;
      }
      case 'tos':
      case 'dsfield':
        rule.tos = TOS.get(next) ?? number(next);
        i++;
        break;
      case 'ipproto': {
        const proto = parseProtocol(next.replace(/^ipproto-/, ''));
        if (proto === undefined) fail(next, `'${next}' is not a protocol`);
        else rule.proto = proto;
        i++;
        break;
      }
      case 'sport':
      case 'dport':
        rule[word] = range(next);
        i++;
        break;
      case 'uidrange':
        rule.uid = range(next);
        i++;
        break;
      case 'lookup':
      case 'table':
        if (next === '[l3mdev-table]') rule.l3mdev = true;
        else if (next) rule.table = tableName(next);
        else fail('', `'${word}' without a table`);
        i++;
        break;
      case 'l3mdev':
        rule.l3mdev = true;
        break;
      case 'goto':
        rule.action = 'goto';
        rule.gotoPriority = number(next);
        i++;
        break;
      case 'nop':
      case 'blackhole':
      case 'unreachable':
      case 'prohibit':
        rule.action = word;
        break;
      case 'suppress_prefixlength':
      case 'sup_pl':
        rule.suppressPrefixLength = number(next);
        i++;
        break;
      case 'tun_id':
      case 'suppress_ifgroup':
      case 'sup_group':
      case 'flowlabel':
        opaque.push(`${word} ${next}`);
        i++;
        break;
      case 'proto':
      case 'protocol':
      case 'realms':
        i++;
        break;
      case '[detached]': // its device does not exist, so no packet has that name either
      case '[unresolved]':
        break;
      default: {
        // Unknown: a selector, as far as we can tell, with or without a value.
        const value = next && !KNOWN.has(next) ? ` ${next}` : '';
        opaque.push(`${word}${value}`);
        source.report('note', 'unknown-selector', `'${word}' is not known in a rule: whether the rule applies is not known`, line, { part: word });
        if (value) i++;
      }
    }
  }
  if (!bad && rule.action === 'lookup' && rule.table === undefined && !rule.l3mdev) {
    if (opaque.length === 0) fail('', 'a rule without an action');
    else rule.action = 'nop';
  }
  if (opaque.length > 0) rule.opaque = opaque.join(' ');
  return bad ? undefined : rule;
}

const TOS = new Map([
  ['lowdelay', 0x10],
  ['throughput', 0x08],
  ['reliability', 0x04],
]);
const KNOWN = new Set(
  (
    'not from to iif oif dev fwmark tos dsfield ipproto sport dport uidrange lookup table l3mdev goto nop blackhole unreachable prohibit ' +
    'suppress_prefixlength suppress_ifgroup tun_id proto realms'
  ).split(' '),
);

const Text = z.union([z.string(), z.number()]);
const Json = z.looseObject({
  priority: z.number(),
  not: z.null().optional(),
  src: z.string().optional(),
  srclen: z.number().optional(),
  dst: z.string().optional(),
  dstlen: z.number().optional(),
  tos: Text.optional(),
  fwmark: Text.optional(),
  fwmask: Text.optional(),
  iif: z.string().optional(),
  oif: z.string().optional(),
  l3mdev: z.null().optional(),
  uid_start: z.number().optional(),
  uid_end: z.number().optional(),
  ipproto: Text.optional(),
  sport: Text.optional(),
  sport_start: z.number().optional(),
  sport_end: z.number().optional(),
  dport: Text.optional(),
  dport_start: z.number().optional(),
  dport_end: z.number().optional(),
  tun_id: Text.optional(),
  table: Text.optional(),
  suppress_prefixlen: z.number().optional(),
  suppress_ifgroup: Text.optional(),
  goto: z.number().optional(),
  nop: z.null().optional(),
  action: z.string().optional(),
});
const JSON_ONLY = new Set(['iif_detached', 'oif_detached', 'unresolved', 'protocol', 'flow_from', 'flow_to', 'to', 'nat', 'flags']);

// The line that ip prints for the same rule.
function lineOf(r: z.output<typeof Json>, line: Line): Line {
  const word = (name: string, value: string | number | undefined, tail = ''): string => (value === undefined ? '' : ` ${name} ${value}${tail}`);
  const slash = (n: string | number | undefined): string => (n === undefined ? '' : `/${n}`);
  const ports = (name: string, one: string | number | undefined, lo: number | undefined, hi: number | undefined): string =>
    word(name, one ?? lo, one === undefined && hi !== undefined ? `-${hi}` : '');
  const unknown = Object.keys(r).filter((k) => !Object.hasOwn(Json.shape, k) && !JSON_ONLY.has(k));
  const text =
    `${r.priority}:\t${r.not === null ? 'not ' : ''}from ${r.src ?? 'all'}${slash(r.srclen)}${word('to', r.dst, slash(r.dstlen))}${word('tos', r.tos)}` +
    `${word('fwmark', r.fwmark, slash(r.fwmask))}${word('iif', r.iif)}${word('oif', r.oif)}${word('uidrange', r.uid_start, `-${r.uid_end ?? r.uid_start ?? 0}`)}` +
    `${word('ipproto', r.ipproto)}${ports('sport', r.sport, r.sport_start, r.sport_end)}${ports('dport', r.dport, r.dport_start, r.dport_end)}` +
    `${word('tun_id', r.tun_id)}${unknown.map((k) => ` ${k}`).join('')}${r.l3mdev === null ? ' lookup [l3mdev-table]' : ''}${word('lookup', r.table)}` +
    `${word('suppress_prefixlength', r.suppress_prefixlen)}${word('suppress_ifgroup', r.suppress_ifgroup)}${word('goto', r.goto)}` +
    `${r.nop === null ? ' nop' : ''}${r.action === undefined ? '' : ` ${r.action}`}`;
  return { text, number: line.number };
}
