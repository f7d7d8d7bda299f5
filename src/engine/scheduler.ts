// Which real server a virtual server picks for a new connection.
import type { Addr } from '../net/addr.ts';
import type { RealServer, VirtualServer } from '../model/ipvs.ts';

/** Who asks. */
export interface NewConnection {
  readonly client?: Addr;
  readonly clientPort?: number;
  readonly virtual?: Addr;
  readonly proto: number;
  readonly kernel?: string;
}

/** A server that may be picked; without one, the scheduler finds none. */
export interface Candidate {
  readonly server?: RealServer;
  readonly probability?: number;
  readonly why: string;
}

/** The servers that a scheduler may pick. */
export function schedule(service: VirtualServer, _from: NewConnection): readonly [Candidate, ...Candidate[]] {
  const [first, ...more] = service.servers.filter((r) => r.weight > 0);
  if (!first) return [{ why: 'no server has a weight above 0' }];
  const candidate = (server: RealServer): Candidate => ({ server, probability: 1 / (1 + more.length), why: `${service.scheduler} picks it` });
  return [candidate(first), ...more.map(candidate)];
}
