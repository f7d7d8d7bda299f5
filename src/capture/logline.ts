// One line of a log: what those who passed it on wrote before it (kubectl, the container runtime, journald, syslog), and
// whether a message begins here.
import type { LogProgram } from '../model/evidence.ts';

/** A log line without what stands before it. */
export interface LogEntry {
  readonly text: string;
  /** A message begins here; else the line may go on with the one before it. */
  readonly begins: boolean;
  /** Who passed it on, in one word: lines of one message have the same. */
  readonly source: string;
  readonly time?: string;
  readonly host?: string;
  readonly pod?: string;
  readonly program?: LogProgram;
}

const ISO = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?) /;
const POD = /^\[pod\/([\w.-]+)\/([\w.-]+)\] /;
const CRI = /^(?:stdout|stderr) [FP] /;
const SYSLOG = /^([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?) (\S+) ([\w./@-]+?)(?:\[(\d+)\])?: ?/;
const JOURNAL = /^(\S+) ([\w./@-]+?)\[(\d+)\]: ?/; // behind an ISO time
const KLOG = /^[IWEF](\d{4} \d\d:\d\d:\d\d(?:\.\d+)?) +\d+ ([\w.-]+\.go):\d+\] /;
const CALICO = /^(\d{2,4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) \[\w+\]\[\d+(?:\/\w+)?\] (\S+) \d+: /;
const LOGRUS = /^time="([^"]*)" level=/;

/** Takes a line apart. */
export function readLogLine(line: string): LogEntry {
  let text = line;
  let time: string | undefined;
  let host: string | undefined;
  let pod: string | undefined;
  let program: LogProgram | undefined;
  let source = '';
  const take = (prefix: RegExp): RegExpExecArray | null => {
    const m = prefix.exec(text);
    if (m) text = text.slice(m[0].length);
    return m;
  };
  const forwarded = text.startsWith('{') ? unwrap(text) : undefined;
  if (forwarded) ({ text, time } = forwarded);
  const podOf = take(POD);
  if (podOf) {
    pod = podOf[1];
    program = programNamed(podOf[2]!);
    source = podOf[0];
  }
  const syslog = take(SYSLOG);
  const iso = syslog ?? take(ISO);
  if (iso) time = iso[1];
  const journal = syslog?.slice(1) ?? (iso && take(JOURNAL));
  if (journal) {
    host = journal[1];
    program ??= programNamed(journal[2]!);
    source += `${host} ${journal[2]}[${journal[3] ?? ''}]`;
  }
  take(CRI);
  const klog = KLOG.exec(text);
  const calico = klog ? null : CALICO.exec(text);
  const logrus = klog || calico ? null : LOGRUS.exec(text);
  if (klog) program ??= programOfSource(klog[2]!);
  // calico-node runs several programs in one container
  if (calico) program = calico[2]!.startsWith('felix/') ? 'felix' : calico[2]!.includes('/') ? 'calico-node' : program;
  time ??= (klog ?? calico ?? logrus)?.[1];
  return {
    text,
    begins: (klog ?? calico ?? logrus) !== null || forwarded?.whole === true,
    source,
    ...(time !== undefined && { time }),
    ...(host !== undefined && { host }),
    ...(pod !== undefined && { pod }),
    ...(program && { program }),
  };
}

/** A line in JSON: Docker's `{"log":"...\n","stream":"stderr","time":"..."}`, or a message with its values (`whole`). */
function unwrap(line: string): { readonly text: string; readonly time: string | undefined; readonly whole: boolean } | undefined {
  let value: Readonly<Record<string, unknown>>;
  try {
    value = JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
  const { log, time, ts, msg, ...rest } = value;
  const when = typeof time === 'string' ? time : typeof ts === 'string' ? ts : undefined;
  if (typeof log === 'string') return { text: log.replace(/\n$/, ''), time: when, whole: false };
  if (typeof msg !== 'string') return undefined;
  const values = Object.entries(rest).map(([key, v]) => `${key}=${JSON.stringify(v)}`);
  return { text: [msg, ...values].join(' '), time: when, whole: true };
}

/** The program that a container, a unit, a service account or a file is named after. */
export function programNamed(name: string): LogProgram | undefined {
  const found = /kube-?proxy|kubelet|calico-node|canal|felix/i.exec(name)?.[0].toLowerCase();
  switch (found) {
    case undefined:
      return undefined;
    case 'kubelet':
    case 'felix':
      return found;
    case 'calico-node':
    case 'canal':
      return 'calico-node';
    default:
      return 'kube-proxy';
  }
}

function programOfSource(file: string): LogProgram | undefined {
  return file.startsWith('proxier') ? 'kube-proxy' : file.startsWith('kubelet') ? 'kubelet' : undefined;
}
