// Named texts -> nodes and namespaces. A folder that holds captures is a node; folders below it (also below
// `namespaces/`) that hold captures are that node's other namespaces.
import type { LogEvidence } from '../model/evidence.ts';
import type { Finding } from '../model/finding.ts';
import type { Namespace, World } from '../model/host.ts';
import type { Witness } from '../model/witness.ts';
import { contradictions } from './contradiction.ts';
import { isLog, readLogs } from './logs.ts';
import type { ReadYaml } from './manifest.ts';
import { hostnameOf, isCapture, readNamespace, type CaptureFile, type FileReport } from './namespace.ts';
import { baseName, recognise } from './recognise.ts';
import { isWitness, readWitness } from './witness.ts';

/** Names that the files themselves do not tell. */
export interface BundleOptions {
  /** The name of the node, where there is one node. */
  readonly node?: string;
  /** The name of the folder that the paths are relative to: the node's name when neither `node` nor `uname -a` gives one. */
  readonly folder?: string;
  /** What reads records in YAML. */
  readonly readYaml?: ReadYaml;
}

/** All namespaces of all nodes that a capture holds, and what the records of their cluster say. */
export interface Bundle {
  readonly namespaces: readonly Namespace[];
  readonly witness?: Witness;
  readonly evidence?: readonly LogEvidence[];
  readonly findings: readonly Finding[];
  readonly files: readonly FileReport[];
}

/** Reads a folder, an unpacked archive or a single dump. */
export function readBundle(all: readonly CaptureFile[], options: BundleOptions = {}): Bundle {
  const records = all.filter(isWitness);
  const files = all.filter((f) => !records.includes(f) && !isLog(f));
  const byFolder = new Map<string, CaptureFile[]>();
  for (const f of files) byFolder.set(folderOf(f.path), [...(byFolder.get(folderOf(f.path)) ?? []), f]);
  const holding = [...byFolder].filter(([, list]) => list.some((f) => isCapture(recognise(f.path, f.text)))).map(([folder]) => folder);
  const nodes = holding.filter((f) => !holding.some((g) => isBelow(f, g)));

  const findings: Finding[] = [];
  const readings: (readonly Finding[])[] = [findings];
  const reports: FileReport[] = [];
  const namespaces: Namespace[] = [];
  const names = new Map<string, string>();
  for (const top of nodes.toSorted()) {
    const inside = byFolder.get(top) ?? [];
    const own = top === '' ? (options.folder ?? (files.length === 1 ? baseName(files[0]!.path) : 'node')) : baseName(top);
    let node = (nodes.length === 1 ? options.node : undefined) ?? hostnameOf(inside) ?? own;
    const other = names.get(node);
    if (other !== undefined) {
      const at = { file: byFolder.get(top)?.[0]?.path ?? top, line: 1 };
      findings.push({
        severity: 'note',
        code: 'node-twice',
        message: `${other || 'the top folder'} is node ${node} too; this one is called ${top}`,
        at,
      });
      node = top;
    }
    names.set(node, top);
    const root = readNamespace(inside, node, '');
    namespaces.push(root.namespace);
    readings.push(root.findings);
    reports.push(...root.files);
    for (const folder of holding.filter((f) => isBelow(f, top)).toSorted()) {
      const name = folder.slice(top === '' ? 0 : top.length + 1).replace(/^namespaces\//, '');
      const inner = readNamespace(byFolder.get(folder) ?? [], node, name);
      namespaces.push(inner.namespace);
      readings.push(inner.findings);
      reports.push(...inner.files);
    }
  }
  // Folders without captures: what lies there is named all the same.
  const seen = new Set(reports.map((f) => f.path));
  const rest = readNamespace(
    files.filter((f) => !seen.has(f.path)),
    '',
    '',
  );
  readings.push(rest.findings);
  reports.push(...rest.files);
  const nodeOf = (path: string): string | undefined => {
    const folder = folderOf(path);
    return [...names].find(([, top]) => top === folder || (isBelow(folder, top) && top !== ''))?.[0];
  };
  const cluster = readWitness(records, nodeOf, options.readYaml);
  findings.push(...cluster.findings, ...(cluster.witness ? contradictions(namespaces, cluster.witness) : []));
  const logs = readLogs(all, { nodeOf, namespaces, witness: cluster.witness });
  findings.push(...logs.findings);
  reports.push(...cluster.files, ...logs.files);
  if (namespaces.length === 0) {
    const at = { file: all[0]?.path ?? '', line: 1 };
    findings.push({
      severity: 'error',
      code: 'no-captures',
      message: 'there is no capture in it',
      at,
      hint: 'run `netwhy capture` on the node, or save iptables-save, ip addr and ip route',
    });
  }
  return {
    namespaces,
    ...(cluster.witness && { witness: cluster.witness }),
    ...(logs.evidence.length > 0 && { evidence: logs.evidence }),
    files: reports,
    get findings() {
      return readings.flat();
    },
  };
}

/** The world of a bundle: its namespaces, without wires between them. */
export function worldOf(bundle: Bundle): World {
  return {
    namespaces: bundle.namespaces,
    wires: [],
    ...(bundle.witness && { witness: bundle.witness }),
    ...(bundle.evidence && { evidence: bundle.evidence }),
    get findings() {
      return bundle.findings;
    },
  };
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))).replace(/^\.(?:\/|$)/, ''); // tar writes ./node1
}

function isBelow(folder: string, top: string): boolean {
  return folder !== top && (top === '' || folder.startsWith(`${top}/`));
}
