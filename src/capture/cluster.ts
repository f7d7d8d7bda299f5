// Captured nodes and the records about them, brought together: which Node object is which captured node, who has an address.
import { formatAddr, type Addr } from '../net/addr.ts';
import type { Finding, Span } from '../model/finding.ts';
import type { Namespace } from '../model/host.ts';
import type { NodeRecord, Witness } from '../model/witness.ts';

/** A capture beside the records of its cluster. */
export class Cluster {
  readonly witness: Witness;
  /** The root namespaces of the captured nodes. */
  readonly roots: readonly Namespace[];
  private readonly byAddr = new Map<string, Namespace[]>();
  private readonly recordOf = new Map<string, NodeRecord>();
  private readonly nodeOf = new Map<string, Namespace>();

  constructor(namespaces: readonly Namespace[], witness: Witness) {
    this.witness = witness;
    this.roots = namespaces.filter((n) => n.name === '' && n.stub !== true);
    for (const ns of namespaces) {
      if (ns.stub === true) continue;
      for (const key of new Set(ns.addresses.map((a) => formatAddr(a.addr)))) this.byAddr.set(key, [...(this.byAddr.get(key) ?? []), ns]);
    }
    // a folder may have another name than the node it was captured on; the address tells
    for (const record of witness.nodes) {
      const named = this.roots.find((r) => r.node === record.name);
      const holding = record.addresses.flatMap((a) => this.owners(a.addr).filter((n) => n.name === ''));
      const ns = named ?? (new Set(holding).size === 1 ? holding[0] : undefined);
      if (!ns) continue;
      this.nodeOf.set(record.name, ns);
      if (!this.recordOf.has(ns.node)) this.recordOf.set(ns.node, record);
    }
  }

  /** The captured namespaces that have an address. */
  owners(addr: Addr): readonly Namespace[] {
    return this.byAddr.get(formatAddr(addr)) ?? [];
  }

  /** The Node object of a captured node. */
  record(node: string): NodeRecord | undefined {
    return this.recordOf.get(node);
  }

  /** The captured node that a Node object, or a name in another object, is about. */
  captured(name: string): Namespace | undefined {
    return this.nodeOf.get(name) ?? this.roots.find((r) => r.node === name);
  }

  /** The one captured node whose root namespace has an address. */
  root(addr: Addr): Namespace | undefined {
    const holding = this.owners(addr).filter((n) => n.name === '');
    return holding.length === 1 ? holding[0] : undefined;
  }
}

/** `file:line` of the other side of a contradiction. */
export function where(at: Span): string {
  return `${at.file}:${at.line}`;
}

/** A contradiction between a record and a capture: worth knowing, and for itself no reason for anything. */
export function contradiction(code: string, message: string, at: Span, extra: Pick<Finding, 'hint' | 'about'> = {}): Finding {
  return { severity: 'warning', code, message, at, ...extra };
}
