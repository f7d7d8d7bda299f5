// What the commands of iproute2 have in common: words that may be cut short, devices, and what ip says when it refuses.
import type { Family } from '../net/addr.ts';
import type { Finding, Span } from '../model/finding.ts';
import type { CaptureKind, Link, Namespace } from '../model/host.ts';
import type { Refusal } from './edit.ts';

/** A command of ip or bridge behind its object and verb: `route add` and what it is to add. */
export interface IpCommand {
  readonly verb: string;
  readonly words: readonly string[];
  /** `-4`, `-6`. */
  readonly family?: Family;
  readonly at: Span;
}

/** matches(), lib/utils.c of iproute2: the first name that the word begins. */
export function wordFor(word: string, names: readonly string[]): string | undefined {
  return word === '' ? undefined : names.find((n) => n.startsWith(word));
}

/** The kernel's refusal by its errno. */
export function answers(what: string, hint?: string): Refusal {
  return { refused: `RTNETLINK answers: ${what}`, ...(hint !== undefined && { hint }) };
}

/** ll_name_to_index(): the device of that name; where no devices were captured, nothing speaks against it. */
export function findLink(ns: Namespace, name: string): Link | Refusal | undefined {
  const link = ns.links.find((l) => l.name === name);
  return link ?? (ns.captured.links ? { refused: `Cannot find device "${name}"` } : undefined);
}

/** A refusal where it is not known what there is: what was not captured cannot be taken away. */
export function uncaptured(ns: Namespace, kind: CaptureKind, what: string, capture: string): Refusal | undefined {
  // what a scenario says of a node is all there is of it
  if (ns.captured[kind] || ns.stub) return undefined;
  return { refused: `${what} of ${ns.name ? `${ns.node}/${ns.name}` : ns.node} were not captured`, hint: `capture \`${capture}\`` };
}

/** What a reader could not make of the words. */
export function unread(findings: readonly Finding[]): Refusal | undefined {
  const found = findings.find((f) => f.severity !== 'note') ?? findings[0];
  return found && { refused: found.message, ...(found.hint !== undefined && { hint: found.hint }) };
}

/** garbage() as ip says it of a word that it cannot place. */
export function garbage(word: string, instead: string): Refusal {
  return { refused: `Error: either "${instead}" is duplicate, or "${word}" is a garbage.` };
}

/** The list with one member replaced, taken out (nothing instead), or put in at the end (nothing before). */
export function replaced<T>(list: readonly T[], old: T | undefined, now: T | undefined): T[] {
  const out = list.flatMap((x) => (x !== old ? [x] : now === undefined ? [] : [now]));
  if (old === undefined && now !== undefined) out.push(now);
  return out;
}
