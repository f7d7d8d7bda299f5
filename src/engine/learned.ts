// What hosts and bridges learn while a packet and its answer are under way: neighbours from ARP, addresses behind ports and tunnels from frames.
import { formatAddr, type Addr } from '../net/addr.ts';
import { keyOf, type Station } from './wire.ts';

/** Begins empty with every course; what was learned before is in the captures. */
export class Learned {
  readonly #heard = new Set<string>();
  readonly #neighbours = new Map<string, Station>();
  readonly #remotes = new Map<string, Addr>();

  /** A frame from this link-layer address has passed: br_fdb_update(), net/bridge/br_fdb.c. */
  hear(mac: string | undefined): void {
    if (mac !== undefined) this.#heard.add(mac);
  }

  hasHeard(mac: string | undefined): boolean {
    return mac === undefined || this.#heard.has(mac);
  }

  /** Who answers an ARP request remembers who asked: arp_process(), neigh_event_ns(). */
  meet(here: Station, addr: Addr, who: Station): void {
    this.#neighbours.set(`${keyOf(here)} ${formatAddr(addr)}`, who);
  }

  neighbour(here: Station, addr: Addr): Station | undefined {
    return this.#neighbours.get(`${keyOf(here)} ${formatAddr(addr)}`);
  }

  /** vxlan_snoop(): a frame from `mac` came out of the tunnel from `remote`. */
  snoop(tunnel: Station, mac: string, remote: Addr): void {
    this.#remotes.set(`${keyOf(tunnel)} ${mac}`, remote);
  }

  remote(tunnel: Station, mac: string): Addr | undefined {
    return this.#remotes.get(`${keyOf(tunnel)} ${mac}`);
  }
}
