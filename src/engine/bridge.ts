// Which way a bridge sends a frame: br_handle_frame_finish() and br_dev_xmit(), net/bridge/br_input.c and br_device.c.
import type { Span } from '../model/finding.ts';
import type { FdbEntry, Link, World } from '../model/host.ts';
import type { OutcomeKind } from '../model/trace.ts';
import { isFor, type Destination } from './frame.ts';
import type { Learned } from './learned.ts';
import { place } from './routing.ts';
import { behind, linkOf, type Station } from './wire.ts';

export type Forwarding =
  /** It is for the bridge's own host. */
  | { readonly kind: 'up' }
  | { readonly kind: 'port'; readonly port: string; readonly how: string; readonly at?: Span }
  /** By all of these ports, to no avail: who it is for is behind none of them. */
  | { readonly kind: 'flooded'; readonly ports: readonly string[]; readonly outcome: OutcomeKind; readonly why: string; readonly at?: Span }
  /** To a port behind which nobody was captured. */
  | { readonly kind: 'outside'; readonly port?: string }
  | { readonly kind: 'stopped'; readonly outcome: OutcomeKind; readonly why: string; readonly at?: Span };

/** Decides about a frame that came in by `bridge.port`, or that the bridge's own host sends where that is absent. */
export function forwardFrame(world: World, bridge: Station, to: Destination, learned: Learned): Forwarding {
  const { ns, device } = bridge;
  const where = `${device} of ${place(ns)}`;
  const stopped = (outcome: OutcomeKind, why: string, at?: Span): Forwarding => ({ kind: 'stopped', outcome, why, ...(at && { at }) });
  const ports = ns.links.filter((l) => l.master === device);
  // br_flood(): what the fdb does not know goes out of every port that takes it
  const flooded = (outcome: OutcomeKind, why: string, at?: Span): Forwarding => {
    const out = ports.filter(
      (p) =>
        p.up &&
        p.port?.forwarding !== false &&
        p.port?.flood !== false &&
        (p.name !== bridge.port || p.port?.hairpin) &&
        !(p.port?.isolated && inPort?.port?.isolated),
    );
    return { kind: 'flooded', ports: out.map((p) => p.name), outcome, why, ...(at && { at }) };
  };
  const inPort = bridge.port === undefined ? undefined : linkOf(ns, bridge.port);
  if (linkOf(ns, device)?.bridge?.vlanFiltering) return stopped('cannot-tell', `the bridge ${where} filters VLANs, which is not modelled`);
  if (inPort?.port?.forwarding === false)
    return stopped('dropped', `the port ${inPort.name} of ${where} does not forward (spanning tree)`, inPort.port.at);
  const own = linkOf(ns, device)?.mac;
  const local = to.mac === undefined || to.mac === own ? undefined : ports.find((p) => p.mac === to.mac);
  if (bridge.port !== undefined) {
    // br_fdb_local: its own address and those of its ports; but a frame for another port is PACKET_OTHERHOST to the host
    if (local && local.name !== bridge.port)
      return stopped(
        'not-for-us',
        `${to.mac} is the port ${local.name} of ${where}, and the frame came in by ${bridge.port}: the host does not take it`,
        to.at,
      );
    if (local || isFor(to, { ns, device })) return { kind: 'up' };
  } else if (local) return stopped('not-for-us', `${to.mac} is the port ${local.name} of ${where} itself: nobody behind it has that address`, to.at);

  const reached = (): readonly Link[] => ports.filter((p) => behind(world, { ns, device: p.name }, bridge)?.stations.some((s) => isFor(to, s)));
  const told = to.mac === undefined ? undefined : entryOf(bridge, to.mac);
  // who was heard since the capture is where it was heard: br_fdb_update() moves entries, static ones too
  const moved = told && to.mac !== undefined && learned.hasHeard(to.mac) ? reached().find((p) => p.port?.learning) : undefined;
  const entry = moved && moved.name !== told?.device ? undefined : told;
  let name = entry?.device ?? moved?.name;
  let how = entry ? `${to.mac} is behind ${entry.device} (fdb)` : 'the station is behind it, and has been heard there';
  if (name === undefined) {
    const candidates = reached();
    name = (candidates.find((p) => p.name !== bridge.port) ?? candidates[0])?.name;
    if (name !== undefined) how = `the station is behind ${name}`;
  }
  if (name === undefined) {
    const snooped = ports.find((p) => p.vxlan?.learning && to.mac !== undefined && learned.remote({ ns, device: p.name }, to.mac) !== undefined);
    if (snooped) {
      name = snooped.name;
      how = `the station is behind ${name}, as its packets told`;
    }
  }
  if (name === undefined) {
    const open = ports.find((p) => p.up && !p.vxlan && p.name !== bridge.port && (behind(world, { ns, device: p.name }, bridge)?.open ?? true));
    if (open) return { kind: 'outside', port: open.name };
    const why = `nobody on the bridge ${where} has the link-layer address ${to.mac ?? 'of the next hop'}${to.how ? `: ${to.how}` : ''}`;
    return flooded('not-for-us', why, to.at);
  }
  const port = linkOf(ns, name);
  const at = entry?.at ?? port?.port?.at ?? port?.at;
  const isLearned = port?.port?.learning !== false && learned.hasHeard(to.mac);
  const refuse = entry || isLearned ? stopped : flooded;
  // should_deliver(), net/bridge/br_forward.c
  if (name === bridge.port && !port?.port?.hairpin)
    return refuse(
      'dropped',
      `the frame would leave ${where} by ${name}, the port it came in by, and hairpin_mode of that port is off`,
      port?.port?.at ?? at,
    );
  if (port && !port.up) return refuse('dropped', `the port ${name} of ${where} is down`, port.at);
  if (port?.port?.forwarding === false) return refuse('dropped', `the port ${name} of ${where} does not forward (spanning tree)`, port.port.at);
  if (port?.port?.isolated && inPort?.port?.isolated)
    return refuse('dropped', `the ports ${inPort.name} and ${name} of ${where} are both isolated: no frame goes from one to the other`, port.port.at);
  if (!entry && !isLearned && port?.port?.flood === false && ns.captured.fdb)
    return refuse(
      'dropped',
      `the fdb of ${where} does not know ${to.mac ?? 'the address'}, and ${name} takes no unknown frames (flood off)`,
      port.port.at,
    );
  return { kind: 'port', port: name, how, ...(entry && { at: entry.at }) };
}

/** An address that the bridge has learned or was told; those of its own ports are not among them. */
function entryOf(bridge: Station, mac: string): FdbEntry | undefined {
  return bridge.ns.fdb.find((e) => e.bridge === bridge.device && e.mac === mac && !e.permanent && e.vlan === undefined);
}
