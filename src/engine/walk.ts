// What a walk carries from visit to visit.
import type { Namespace } from '../model/host.ts';
import type { Choices } from './choice.ts';
import type { ConntrackTable } from './conntrack.ts';
import type { IpvsTable } from './ipvstable.ts';
import type { Learned } from './learned.ts';
import type { LiveSets } from './liveset.ts';
import type { LiveNftSets } from './nftset.ts';
import type { DeviceField, SupposedName } from './sight.ts';
import type { Watch } from './watch.ts';

/** What a walk has supposed of devices that nobody knows; shared by all packets that pass them. */
export type UnknownDevices = Readonly<Record<DeviceField, SupposedName[]>>;

/** Its choices, and what packets before have left behind. */
export interface Walk {
  readonly choices: Choices;
  readonly all: boolean;
  /** Hears which packets would have been decided alike. */
  readonly watch?: Watch | undefined;
  readonly learned: Learned;
  connections(ns: Namespace): ConntrackTable;
  sets(ns: Namespace): LiveSets;
  readonly nftSets: LiveNftSets;
  ipvs(ns: Namespace): IpvsTable;
  /** A name for one more visit, the same in every replay. */
  nextVisit(): string;
  /** Connection state the question prescribes for the first time conntrack looks; taken once. */
  takePrescribedState(): number | undefined;
}
