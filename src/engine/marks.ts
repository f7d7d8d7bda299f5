// Who looks at the mark of packets: rules, policy routing, and what keeps marks for later.
import type { Namespace } from '../model/host.ts';
import type { Pred, Statement } from '../model/ruleset.ts';

const known = new WeakMap<Namespace, boolean>();

/** Reports whether a packet's mark can make a difference in this namespace. */
export function looksAtMarks(ns: Namespace): boolean {
  let looks = known.get(ns);
  if (looks === undefined) {
    const rules = ns.tables.flatMap((t) => Object.values(t.chains).flatMap((c) => c.rules));
    looks = ns.rules.some((r) => r.mark !== undefined || r.opaque !== undefined) || rules.some((r) => asks(r.match, ns) || r.then.some(keeps));
    known.set(ns, looks);
  }
  return looks;
}

function asks(p: Pred, ns: Namespace): boolean {
  switch (p.kind) {
    case 'all':
    case 'any':
      return p.of.some((x) => asks(x, ns));
    case 'not':
      return asks(p.of, ns);
    case 'in':
    case 'masked':
      return p.field === 'mark';
    case 'member':
      return ns.sets[p.set]?.dimensions.some((d) => d === 'mark' || d === 'set') ?? true;
    case 'rpfilter':
      return p.validMark;
    case 'opaque':
      return true;
    default:
      return false;
  }
}

function keeps(s: Statement): boolean {
  return (s.kind === 'copy' && s.from === 'mark') || s.kind === 'opaque' || s.kind === 'setmember' || s.kind === 'ct';
}
