// Evidence in words: what a log line tells, and what to do about it.
import type { LogEvidence } from '../model/evidence.ts';
import type { Finding } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';
import type { Chain } from '../model/ruleset.ts';

/** Pieces of evidence that say the same of one program on one node (the first stands for them) as a finding. `link` tells what on the packet's way it is about. */
export function testimony(pieces: readonly [LogEvidence, ...LogEvidence[]], ns?: Namespace, link = ''): Finding {
  const [first] = pieces;
  const count = pieces.reduce((n, e) => n + e.count, 0);
  const message = `${claim(first, pieces, ns)}${times(first, pieces.at(-1)!, count)}${link && `; ${link}`}${outcome(first)}`;
  return { severity: 'warning', code: first.kind, message, at: first.at, line: first.line, hint: remedy(first, ns) };
}

/** Reports whether two pieces of evidence are told as one. */
export function isAlike(a: LogEvidence, b: LogEvidence): boolean {
  if (a.kind !== b.kind || a.program !== b.program || a.node !== b.node) return false;
  switch (a.kind) {
    case 'restore-refused':
      return b.kind === a.kind && a.family === b.family && a.missing?.name === b.missing?.name && (a.missing !== undefined || a.why === b.why);
    case 'sysctl-refused':
      return b.kind === a.kind && a.key === b.key;
    case 'set-revision':
      return b.kind === a.kind && a.type === b.type && a.revision === b.revision;
    case 'not-authorised':
      return b.kind === a.kind && a.who === b.who;
    case 'chain-not-made':
      return b.kind === a.kind && a.family === b.family && a.why === b.why;
    case 'lock-held':
      return true;
  }
}

function claim(e: LogEvidence, pieces: readonly LogEvidence[], ns: Namespace | undefined): string {
  const who = `${e.program ?? 'a program'} on ${e.node ?? 'a node that its log does not name'}`;
  switch (e.kind) {
    case 'restore-refused': {
      const tool = `${e.family === 6 ? 'ip6' : 'ip'}tables-restore${e.backend ? ` (${e.backend})` : ''}`;
      const line = e.inputLine === undefined ? 'its input' : `line ${e.inputLine} of its input`;
      return `${who} could not write its rules${e.table === undefined ? '' : ` of table ${e.table}`}: ${tool} refused ${line}, ${reason(e)}`;
    }
    case 'sysctl-refused': {
      const here = ns?.kernel === undefined ? '' : `, and ${ns.node} has ${ns.kernel}`;
      return `${who} could not set ${e.key}: ${e.needs === undefined ? e.why : `the kernel has it from version ${e.needs} on${here}`}`;
    }
    case 'set-revision': {
      const set = e.type === undefined ? 'the sets of this kernel' : `sets of type ${e.type} in revision ${e.revision}`;
      return `ipset${e.version === undefined ? '' : ` v${e.version}`} of ${who} is too old for ${set}: it could not list what there is`;
    }
    case 'not-authorised': {
      const what = pieces.flatMap((p) => (p.kind === 'not-authorised' ? [`${p.verb} ${p.resource}${p.group ? ` (${p.group})` : ''}`] : []));
      const list = [...new Set(what)];
      return `${who} may not ${list.slice(0, MOST).join(', ')}${list.length > MOST ? ` and ${list.length - MOST} more` : ''}: the API server refuses ${e.who}`;
    }
    case 'chain-not-made': {
      const chains = [...new Set(pieces.flatMap((p) => (p.kind === 'chain-not-made' ? [chainText(p)] : [])))];
      const more = chains.length > MOST ? ` and ${chains.length - MOST} more` : '';
      return `${who} could not make ${chains.slice(0, MOST).join(', ')}${more}${e.why === undefined ? '' : `: ${e.why}`}`;
    }
    case 'lock-held':
      return `${who} could not write its rules: another program held the lock of iptables`;
  }
}

/** What it means for the capture. */
function outcome(e: LogEvidence): string {
  switch (e.kind) {
    case 'sysctl-refused':
      return '';
    case 'set-revision':
      return e.program ? `: what is captured of its sets may be old` : '';
    default:
      return ': what is captured of its rules may be old, or not all there';
  }
}

/** Of many, this many are told by name. */
const MOST = 5;

function chainText(e: LogEvidence & { kind: 'chain-not-made' }): string {
  const table = e.table === undefined ? '' : ` of ${e.table}`;
  return e.from === undefined ? `the chain ${e.chain}${table}` : `the jump from ${e.from} to ${e.chain}${table}`;
}

function reason(e: LogEvidence & { kind: 'restore-refused' }): string {
  const { missing } = e;
  if (!missing) return `saying '${e.why}'`;
  switch (missing.what) {
    case 'chain':
    case 'set':
      return `because there is no ${missing.what} ${missing.name}`;
    case 'target':
      return `because there is no chain and no target ${missing.name}`;
    case 'match':
      return `because it has no match ${missing.name}`;
  }
}

function times(first: LogEvidence, last: LogEvidence, count: number): string {
  const from = first.first;
  const to = last.last;
  if (count === 1) return from === undefined ? '' : ` (${from})`;
  return ` (${count} times${from === undefined || to === undefined ? '' : `, from ${from} to ${to}`})`;
}

function remedy(e: LogEvidence, ns: Namespace | undefined): string {
  switch (e.kind) {
    case 'restore-refused': {
      const { missing, backend } = e;
      if (missing?.what === 'set') return `see what ipset list ${missing.name} says on the node, and what the log of its maker says`;
      if (missing?.what === 'match') return 'compare iptables -V in its image and on the node, and see whether the kernel has that extension';
      if (!missing) return `compare iptables -V in its image and on the node${e.input === undefined ? '' : `; the refused line is ${e.input}`}`;
      const twin = ns && chainElsewhere(ns, missing.name, e.family, backend);
      if (twin)
        return `${missing.name} is in the ${twin.backend} tables (${twin.chain.at.file}:${twin.chain.at.line}): let all programs of the node use one backend of iptables`;
      return `find out who makes ${missing.name}, and with which backend of iptables: compare iptables-legacy-save and iptables-nft-save`;
    }
    case 'sysctl-refused':
      return e.needs === undefined
        ? `set it on the node: sysctl -w ${e.key}=...`
        : `the program goes by the version alone: where sysctl ${e.key} is there all the same (Red Hat has it in 3.10), set it by hand; else update to ${e.needs} or later`;
    case 'set-revision':
      return 'use an image with a newer ipset, which knows the sets of this kernel; list the sets with the ipset of the node itself';
    case 'not-authorised': {
      const group = e.group ? `.${e.group}` : '';
      return `give it the right in its ClusterRole: kubectl auth can-i ${e.verb} ${e.resource}${group} --as ${e.who}`;
    }
    case 'chain-not-made':
      return /lock/.test(e.why ?? '') ? LOCK : 'compare iptables -V in its image and on the node, and see whether the kernel has that table (lsmod)';
    case 'lock-held':
      return LOCK;
  }
}

const LOCK = 'see who holds /run/xtables.lock, and for how long: large rule sets, or an iptables that hangs';

/** A chain of that name in the tables of another backend than the one that did not find it. */
function chainElsewhere(
  ns: Namespace,
  name: string,
  family: 4 | 6,
  backend: 'legacy' | 'nft' | undefined,
): { readonly backend: string; readonly chain: Chain } | undefined {
  for (const t of ns.tables) {
    const chain = Object.hasOwn(t.chains, name) ? t.chains[name] : undefined;
    if (chain && backend && t.family === family && t.backend !== backend && t.backend !== 'unknown') return { backend: t.backend, chain };
  }
  return undefined;
}
