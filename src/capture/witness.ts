// The records of a cluster from all files that hold some, wherever they lie: in the capture's root or in a node's folder.
import type { Finding, Span } from '../model/finding.ts';
import type { Witness } from '../model/witness.ts';
import { readFlannel } from './flannel.ts';
import { readKubernetes } from './kubernetes.ts';
import type { ReadYaml } from './manifest.ts';
import { countLines, type CaptureFile, type FileReport } from './namespace.ts';
import { recognise } from './recognise.ts';

/** What the records say, and what became of their files. */
export interface WitnessReading {
  /** Absent where there are no records. */
  readonly witness?: Witness;
  readonly findings: readonly Finding[];
  readonly files: readonly FileReport[];
}

/** Reports whether a file holds records of a cluster rather than what a node printed about itself. */
export function isWitness(file: CaptureFile): boolean {
  const { kind } = recognise(file.path, file.text);
  return kind === 'kubernetes' || kind === 'flannel';
}

/** Reports whether a file cannot be read without a reader of YAML. */
export function isYaml(file: CaptureFile): boolean {
  const { kind, format } = recognise(file.path, file.text);
  return kind === 'kubernetes' && format === 'text';
}

type Lists = { -readonly [K in keyof Witness]: Witness[K][number][] };

/** Reads files of records; `nodeOf` tells in which node's folder a file lies. */
export function readWitness(
  files: readonly CaptureFile[],
  nodeOf: (path: string) => string | undefined,
  readYaml: ReadYaml | undefined,
): WitnessReading {
  const out: Lists = { nodes: [], pods: [], services: [], endpoints: [], pools: [], leases: [], networks: [], subnetFiles: [] };
  const findings: Finding[] = [];
  const reports: FileReport[] = [];
  const seen = new Map<string, { readonly at: Span; readonly says: string }>();
  const add = <T extends { readonly at: Span }>(list: T[], records: readonly T[], what: string, nameOf: (record: T) => string): void => {
    for (const record of records) {
      const name = nameOf(record);
      const says = JSON.stringify(record, (key, value: unknown) => (key === 'at' ? undefined : value));
      const first = seen.get(`${what} ${name}`);
      if (!first) {
        seen.set(`${what} ${name}`, { at: record.at, says });
        list.push(record);
      } else if (first.says !== says) {
        const message = `${what} ${name} is at ${first.at.file}:${first.at.line} too, and differs; that one counts`;
        findings.push({ severity: 'note', code: 'record-twice', message, at: record.at });
      }
    }
  };
  const full = (r: { readonly namespace: string; readonly name: string }): string => `${r.namespace}/${r.name}`;
  for (const file of files) {
    const { kind } = recognise(file.path, file.text);
    const text = file.text.replace(/^\ufeff/, '');
    const node = nodeOf(file.path);
    const k = kind === 'kubernetes' ? readKubernetes(text, file.path, readYaml) : undefined;
    const f = kind === 'flannel' ? readFlannel(text, file.path) : undefined;
    if (k) {
      add(out.nodes, k.nodes, 'Node', (r) => r.name);
      add(out.pods, k.pods, 'Pod', full);
      add(out.services, k.services, 'Service', full);
      add(out.endpoints, k.endpoints, 'endpoints of', (r) => `${r.namespace}/${r.service} (${r.kind}, ${spelled(r)})`);
      add(out.pools, k.pools, 'IPPool', (r) => r.name);
    }
    const found = k ?? f;
    if (!found) continue;
    add(out.leases, found.leases, 'lease', spelled);
    add(out.networks, found.networks, 'network', spelled);
    const subnets = (f?.subnetFiles ?? []).map((s) => ({ ...s, ...(node !== undefined && { node }) }));
    add(out.subnetFiles, subnets, 'subnet', (r) => `${r.node ?? ''} ${r.at.file}`);
    findings.push(...found.findings);
    const used = Object.values(found).some((list: readonly unknown[]) => list !== found.findings && list.length > 0);
    reports.push({ path: file.path, kind, used, lines: countLines(file.text) });
  }
  const some = Object.values(out).some((list: readonly unknown[]) => list.length > 0);
  return { ...(some && { witness: out }), findings, files: reports };
}

/** A record by everything it says. */
function spelled(record: object): string {
  return JSON.stringify(record, (key, value: unknown) => (key === 'at' ? undefined : value));
}
