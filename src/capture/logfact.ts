// What a message of a log tells, in the words of iptables, ipset, Kubernetes and Calico.
import type { LogFact, MissingName } from '../model/evidence.ts';

/** Pieces of text, one of which every message that tells something holds: what a large log is searched for. */
export const SIGNS: readonly string[] = [
  '-restore',
  'set sysctl',
  'ncompatib',
  'while ipset program',
  'in API group',
  'in api group',
  'at the cluster scope',
  'ailed to ensure',
  'tables lock',
  'xtables.lock',
];

/** Of these, the ones by which ipset complains. */
export const IPSET_SIGNS: readonly string[] = ['ncompatib', 'while ipset program'];

/** What a message tells, if it tells anything: the first that fits of what follows. */
export function factIn(message: string): LogFact | undefined {
  const text = unescape(message);
  return setRevision(text) ?? chainNotMade(text) ?? lockHeld(text) ?? restoreRefused(text) ?? sysctlRefused(text) ?? notAuthorised(text);
}

/** klog and logrus print what other programs said as a Go string, an error within an error as a string within a string. */
function unescape(message: string): string {
  return message.includes('\\') ? message.replace(/\\{1,16}([nt"])/g, (_, c: string) => (c === 'n' ? '\n' : c === 't' ? '\t' : '"')) : message;
}

function setRevision(text: string): LogFact | undefined {
  const listed = /Kernel and userspace incompatible: settype (\S+) with revision (\d+) not supported/i.exec(text);
  const library = /Kernel-library incompatibility: set (\S+) in kernel has got settype (\S+) with family \S+ and revision (\d+)/i.exec(text);
  const asked = /Kernel supports (\S+) type, family \S+ with (?:min|max)imal revision (\d+) while ipset program/i.exec(text);
  const other = /Kernel and userspace incompatible/i.test(text);
  if (!listed && !library && !asked && !other) return undefined;
  const type = listed?.[1] ?? library?.[2] ?? asked?.[1];
  const revision = listed?.[2] ?? library?.[3] ?? asked?.[2];
  const set = library?.[1] ?? /'ipset (?:list|save) ([^'\s]+)'/.exec(text)?.[1];
  const version = /ipset v(\d[\d.]*\d)/.exec(text)?.[1];
  return {
    kind: 'set-revision',
    ...(version !== undefined && { version }),
    // old programs print garbage there
    ...(type?.includes(':') === true && { type, revision: Number(revision) }),
    ...(set !== undefined && { set }),
  };
}

const TABLE = String.raw`(raw|mangle|nat|filter|security)`;
const ENSURED = new RegExp(
  String.raw`ailed to ensure (?:that )?(?:${TABLE} chain (?:(\S+) jumps to )?([\w.-]+)(?:: | exists)|chain ([\w.-]+) in table ${TABLE}\b)`,
);

function chainNotMade(text: string): LogFact | undefined {
  const begin = /ailed to ensure\b/.exec(text);
  if (!begin) return undefined;
  const [, table, from, made, chainIn, tableOf] = ENSURED.exec(text) ?? [];
  const chain =
    made ?? chainIn ?? field(text, 'dstChain') ?? field(text, 'chain') ?? /\b(KUBE-[\w-]+|cali-[\w-]+)/.exec(text.slice(begin.index))?.[1];
  if (chain === undefined) return undefined;
  const inTable = table ?? tableOf ?? field(text, 'table') ?? new RegExp(String.raw`\b${TABLE} (?:table|chain)\b`).exec(text)?.[1];
  const source = from ?? field(text, 'srcChain');
  const why = /(?:error (?:creating chain|checking rule|appending rule)[^:]*: |exit status \d+: )(.+)/.exec(text)?.[1];
  const said = why === undefined ? undefined : sentence(why.replace(/^exit status \d+: |" \w+=.*$/g, ''));
  const family = /\bip6tables\b/.test(text) ? 6 : /\biptables v/.test(text) ? 4 : undefined;
  return {
    kind: 'chain-not-made',
    chain,
    ...(inTable !== undefined && { table: inTable }),
    ...(source !== undefined && { from: source }),
    ...(family && { family }),
    ...(said !== undefined && said !== '' && { why: said }),
  };
}

/** A value behind its name: `table="nat"`, `chain=KUBE-SERVICES`. */
function field(text: string, name: string): string | undefined {
  return new RegExp(String.raw`\b${name}="?([\w.-]+)`).exec(text)?.[1];
}

function lockHeld(text: string): LogFact | undefined {
  // who still waits (`lock; waiting`) may get it
  const given =
    /Another app is currently holding the xtables lock\b(?! *;)[^\n]*/.exec(text) ??
    /(?:fail|timed out|error|can't|couldn't)[^\n]{0,80}(?:[xp]tables lock|xtables\.lock)[^\n]*/i.exec(text);
  return given ? { kind: 'lock-held', why: sentence(given[0]) } : undefined;
}

const RESTORE = /\b(ip6?)tables(?:-nft|-legacy)?-restore(?: v(\d[\d.]*)(?: \((legacy|nf_tables)\))?: *\n?|: (?!\S*exit status))(.*)/;

function restoreRefused(text: string): LogFact | undefined {
  if (!/tables(?:-nft|-legacy)?-restore/.test(text)) return undefined;
  const said = RESTORE.exec(text);
  const inputLine =
    /Error occurred at line: (\d+)/.exec(text)?.[1] ?? /-restore: line (\d+) failed/.exec(text)?.[1] ?? /^\s*line (\d+): \w+ failed/m.exec(text)?.[1];
  const failed = /failed to (?:execute|run) ip\S*tables-restore\S*( command)?|tables-restore(?:\S*| command) failed/i.exec(text);
  if (!said && inputLine === undefined && !failed) return undefined;
  const dump = inputOf(text, inputLine === undefined ? undefined : Number(inputLine));
  const missing = missingIn(text);
  const chain = /line \d+: \w+ failed \([^)\n]{0,80}\): (?:rule in )?chain (\S+)/.exec(text)?.[1];
  const bad = /Bad argument [^\n]*/.exec(text)?.[0];
  const why =
    said?.[4] ?? bad ?? /\b(?:error|err)="?([^\n]*?)"?(?: \w+=|$)/m.exec(text)?.[1] ?? text.slice((failed?.index ?? 0) + (failed?.[0].length ?? 0));
  const table = dump.table ?? field(text, 'table');
  return {
    kind: 'restore-refused',
    family: (said?.[1] ?? /\b(ip6?)tables\S*-restore/.exec(text)?.[1]) === 'ip6' ? 6 : 4,
    ...(said?.[2] !== undefined && { version: said[2] }),
    ...(said?.[3] !== undefined && { backend: said[3] === 'legacy' ? ('legacy' as const) : ('nft' as const) }),
    ...(table !== undefined && { table }),
    ...(inputLine !== undefined && { inputLine: Number(inputLine) }),
    ...(dump.input !== undefined && { input: dump.input }),
    ...(missing && { missing }),
    ...(chain !== undefined && { chain }),
    why: sentence(why),
  };
}

/** What iptables did not find. */
function missingIn(text: string): MissingName | undefined {
  const loaded = /Couldn't (?:load|find) (match|target) [`'](\S+?)'/.exec(text);
  if (loaded) return { what: loaded[1] as 'match' | 'target', name: loaded[2]! };
  const chain = /Chain '?([^\s']+)'? does not exist/.exec(text)?.[1];
  if (chain !== undefined) return { what: 'chain', name: chain };
  const set = /Set (\S+) doesn't exist/.exec(text)?.[1];
  return set === undefined ? undefined : { what: 'set', name: set };
}

/** The table and the rule that a line of the restore's input is in, where the log holds the input from its first line on. */
function inputOf(text: string, inputLine: number | undefined): { readonly table?: string; readonly input?: string } {
  const begin = new RegExp(String.raw`(?:^|["\n])\*${TABLE}\n`).exec(text);
  if (!begin || inputLine === undefined) return {};
  const lines = text.slice(begin.index + begin[0].indexOf('*')).split('\n', inputLine);
  if (lines.length < inputLine) return {};
  const table = lines.findLast((l) => l.startsWith('*'))?.slice(1);
  const input = lines[inputLine - 1]?.replace(/\\?"$/, '').slice(0, 200);
  return { ...(table !== undefined && { table }), ...(input !== undefined && { input }) };
}

function sysctlRefused(text: string): LogFact | undefined {
  const m = /can['\u2019]?t set sysctl,? (?:"?([\w.-]+(?:\/[\w.-]+)+)\W*)?(.*)/i.exec(text);
  if (!m) return undefined;
  const key = m[1] ?? /\bsysctl="?([\w./-]+)/.exec(text)?.[1];
  if (key === undefined) return undefined;
  const needs = /must be at least (\d+(?:\.\d+)*)/.exec(text)?.[1] ?? field(text, 'minimumKernelVersion');
  return { kind: 'sysctl-refused', key: key.replaceAll('/', '.'), ...(needs !== undefined && { needs }), why: sentence(m[2]!.replace(/".*$/, '')) };
}

/** The API server's words; before Kubernetes 1.12 without `resource`. */
function notAuthorised(text: string): LogFact | undefined {
  const m =
    /\buser "([^"]+)" cannot (\w+) resource "([^"]+)" in api group "([^"]*)"/i.exec(text) ??
    /\buser "([^"]+)" cannot (\w+) ([\w./-]+) (?:in the namespace|at the cluster scope)/i.exec(text);
  if (!m) return undefined;
  const [, who = '', verb = '', resource = '', group] = m;
  return { kind: 'not-authorised', who, verb, resource, ...(group !== undefined && { group }) };
}

/** The first line, without what is left at its ends of the brackets and quotes around it. */
function sentence(text: string): string {
  let line = text
    .slice(0, 400)
    .split('\n', 1)[0]!
    .replace(/^[\s:("]+|[\s.:]+$/g, '');
  if (line.endsWith('"') && line.split('"').length % 2 === 0) line = line.slice(0, -1);
  if (line.endsWith(')') && line.split(')').length > line.split('(').length) line = line.slice(0, -1);
  return line.slice(0, 200);
}
