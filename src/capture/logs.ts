// Logs of those who program a node: few lines of them tell why rules, sets or settings are missing. A log may be large, so
// it is searched for signs first, and only the lines around one are looked at.
import type { LogEvidence, LogFact } from '../model/evidence.ts';
import type { Finding } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';
import type { Witness } from '../model/witness.ts';
import { Cluster } from './cluster.ts';
import { factIn, IPSET_SIGNS, SIGNS } from './logfact.ts';
import { programNamed, readLogLine, type LogEntry } from './logline.ts';
import { countLines, type CaptureFile, type FileReport } from './namespace.ts';
import { recognise } from './recognise.ts';

/** What the logs tell, and what became of their files. */
export interface LogReading {
  readonly evidence: readonly LogEvidence[];
  readonly findings: readonly Finding[];
  readonly files: readonly FileReport[];
}

/** Where logs lie and what there is besides them: to tell which node a line is of. */
export interface LogPlaces {
  /** The node in whose folder a file lies. */
  readonly nodeOf: (path: string) => string | undefined;
  readonly namespaces: readonly Namespace[];
  readonly witness?: Witness | undefined;
}

/** Reports whether a file is a log. */
export function isLog(file: CaptureFile): boolean {
  return recognise(file.path, file.text).kind === 'log';
}

/** Reads the logs among `files`, and what ipset complained of where it was to list sets. */
export function readLogs(files: readonly CaptureFile[], places: LogPlaces): LogReading {
  const evidence: LogEvidence[] = [];
  const findings: Finding[] = [];
  const reports: FileReport[] = [];
  const cluster = new Cluster(places.namespaces, places.witness ?? NOTHING);
  for (const file of files) {
    const { kind } = recognise(file.path, file.text);
    const isListing = kind === 'ipset-list' || kind === 'ipset-save' || kind === 'missing';
    if (kind !== 'log' && !isListing) continue;
    const found = readLog(file.text, file.path, isListing ? IPSET_SIGNS : SIGNS);
    for (const { pod, host, ...line } of found.evidence) {
      const node = places.nodeOf(file.path) ?? nodeNamed(host, line, pod, cluster);
      evidence.push({ ...line, ...(node !== undefined && { node }) });
    }
    findings.push(...found.findings);
    if (kind === 'log') reports.push({ path: file.path, kind, used: found.evidence.length > 0, lines: countLines(file.text) });
  }
  return { evidence, findings, files: reports };
}

const NOTHING: Witness = { nodes: [], pods: [], services: [], endpoints: [], pools: [], leases: [], networks: [], subnetFiles: [] };

/** The node that a line names by its host, by the kubelet that was refused, or by its pod. */
function nodeNamed(host: string | undefined, line: LogEvidence, pod: string | undefined, cluster: Cluster): string | undefined {
  const kubelet = line.kind === 'not-authorised' ? /^system:node:(.+)$/.exec(line.who)?.[1] : undefined;
  const own = pod === undefined ? undefined : cluster.witness.pods.find((p) => p.name === pod)?.node;
  const name = host ?? kubelet ?? own;
  if (name === undefined) return undefined;
  // a host may print its name with its domain, or without
  const like = cluster.roots.filter((r) => r.node.startsWith(`${name}.`) || name.startsWith(`${r.node}.`));
  return (cluster.captured(name) ?? (like.length === 1 ? like[0] : undefined))?.node ?? name;
}

/** Evidence, and what its line says of the node it came from. */
type Found = LogEvidence & { readonly host?: string; readonly pod?: string };

/** Different things that one log may tell; what comes after is not listed. */
const ENOUGH = 1000;
const QUOTED = 200;

/** Reads one log. What was said again and again is told once, with its count. */
function readLog(text: string, file: string, signs: readonly string[]): { readonly evidence: Found[]; readonly findings: Finding[] } {
  const found = new Map<string, { readonly told: Found; count: number; last: string | undefined }>();
  const findings: Finding[] = [];
  const named = programOfFile(file);
  for (const message of messages(text, signs)) {
    const fact = factIn(message.text);
    if (!fact) continue;
    const { host, pod, time } = message.entry;
    const program = message.entry.program ?? programRefused(fact) ?? named;
    const same = JSON.stringify([sameness(fact), program, host, pod]);
    const before = found.get(same);
    if (before) {
      before.count++;
      before.last = time ?? before.last;
      continue;
    }
    const at = { file, line: message.number };
    if (found.size >= ENOUGH) {
      const note = `more than ${ENOUGH} different things are told in this log; those from here on are not listed`;
      findings.push({ severity: 'note', code: 'and-more', message: note, at });
      break;
    }
    const told: Found = {
      ...fact,
      ...(program && { program }),
      ...(host !== undefined && { host }),
      ...(pod !== undefined && { pod }),
      count: 1,
      ...(time !== undefined && { first: time }),
      line: message.line.slice(0, QUOTED),
      at,
    };
    found.set(same, { told, count: 1, last: time });
  }
  const evidence = [...found.values()].map(({ told, count, last }): Found => ({ ...told, count, ...(last !== undefined && { last }) }));
  return { evidence, findings };
}

/** What two lines have in common that say the same: where in its input iptables stopped changes with every service. */
function sameness(fact: LogFact): unknown {
  if (fact.kind !== 'restore-refused') return fact;
  const { inputLine: _line, input: _input, why, ...rest } = fact;
  return [rest, why.replace(/\d+/g, '#')];
}

/** Whose account the API server refused. */
function programRefused(fact: LogFact): LogEvidence['program'] {
  return fact.kind !== 'not-authorised' ? undefined : fact.who.startsWith('system:node:') ? 'kubelet' : programNamed(fact.who);
}

/** The program that a log is named after: its own name first, then the folders around it. */
function programOfFile(path: string): LogEvidence['program'] {
  return path
    .split('/')
    .toReversed()
    .map((part) => programNamed(part))
    .find((p) => p !== undefined);
}

interface Message {
  readonly text: string;
  /** Of the line that holds the first sign. */
  readonly entry: LogEntry;
  readonly line: string;
  readonly number: number;
}

/** How far a message may reach from the line with the sign, in lines and in characters, and how many lines of others may stand within. */
const BACK = 40;
const FORTH = 200;
const LONGEST = 1024 * 1024;
const OTHERS = 20;

/** The messages in which a sign stands, each once. */
function* messages(text: string, signs: readonly string[]): Generator<Message> {
  const next = signs.map((sign) => text.indexOf(sign));
  /** Where the latest message of each source begins: none that goes on here began before. */
  const told = new Map<string, number>();
  let counted = 0;
  let number = 1;
  for (let from = 0; ;) {
    for (const [i, at] of next.entries()) if (at >= 0 && at < from) next[i] = text.indexOf(signs[i]!, from);
    const hit = Math.min(...next.filter((at) => at >= 0));
    if (hit === Infinity) return;
    const start = text.lastIndexOf('\n', hit) + 1;
    for (let at = text.indexOf('\n', counted); at >= 0 && at < start; at = text.indexOf('\n', at + 1)) number++;
    counted = start;
    const { line, end } = lineAt(text, start);
    const entry = readLogLine(line);
    const before = entry.begins ? { at: start, lines: [], first: entry } : linesBefore(text, start, told.get(entry.source) ?? 0, entry);
    const after = linesAfter(text, end, entry, before.first !== undefined);
    if (told.get(entry.source) !== before.at)
      yield { text: [...before.lines, entry.text, ...after.lines].join('\n'), entry: { ...entry, ...before.first }, line, number };
    told.set(entry.source, before.at);
    // lines of others may stand between those of one message
    from = after.isMixed ? end : after.end;
  }
}

/** The line that begins at `start`, without its end, and where the next one begins. */
function lineAt(text: string, start: number): { readonly line: string; readonly end: number } {
  const stop = text.indexOf('\n', start);
  const end = stop < 0 ? text.length : stop;
  const line = text.slice(start, Math.min(end, start + LONGEST));
  return { line: line.endsWith('\r') ? line.slice(0, -1) : line, end: end + 1 };
}

/** The lines of a message before one that does not begin it, back to `floor`, and where they begin; `first` is the one that begins it. */
function linesBefore(
  text: string,
  start: number,
  floor: number,
  entry: LogEntry,
): { readonly at: number; readonly lines: string[]; readonly first?: LogEntry } {
  const lines: string[] = [];
  for (let at = start, n = 0; n < BACK && at > floor; n++) {
    at = at < 2 ? 0 : text.lastIndexOf('\n', at - 2) + 1;
    const other = readLogLine(lineAt(text, at).line);
    if (other.source !== entry.source) continue;
    lines.unshift(other.text);
    if (other.begins) return { at, lines, first: other };
  }
  return { at: start, lines: [] };
}

/** In a text without beginnings of messages, what iptables and klog put on lines of their own. */
const GOES_ON = /^(?:\s|\)|$|Error occurred at line|Try `|line \d+: |Perhaps )/;

/** The lines of a message after one of its lines, and where they end. */
function linesAfter(
  text: string,
  start: number,
  entry: LogEntry,
  isKnown: boolean,
): { readonly lines: string[]; readonly end: number; readonly isMixed: boolean } {
  const lines: string[] = [];
  let at = start;
  let size = 0;
  let others = 0;
  for (let n = 0; n < FORTH && size < LONGEST && others <= OTHERS && at < text.length; n++) {
    const { line, end } = lineAt(text, at);
    const other = readLogLine(line);
    if (other.source !== entry.source) others++;
    else if (other.begins || (!isKnown && !GOES_ON.test(other.text))) break;
    else {
      lines.push(other.text);
      size += line.length;
    }
    at = end;
  }
  return { lines, end: at, isMixed: others > 0 };
}
