// The scenarios whose networks take a guest kernel (IPIP, IPVS), there and in the engine.
import { describeAgreement, folderOf, scenariosOf } from './agreement.ts';
import { describeGuest } from './guest.ts';
import { openScenario, type StandingScenario } from './scenario.ts';

/** Guests that are up at one time: building a network waits more than it computes. */
const AT_ONCE = 3;

const names = scenariosOf('guest');
const folders = names.map(folderOf);
const opened = new Map<string, Promise<StandingScenario>>();

/** Opens a scenario, and the next ones with it. */
function open(folder: string): Promise<StandingScenario> {
  const i = folders.indexOf(folder);
  for (const f of folders.slice(i, i + AT_ONCE)) {
    if (opened.has(f)) continue;
    const standing = openScenario(f);
    standing.catch(() => {}); // told when it is its turn
    opened.set(f, standing);
  }
  return opened.get(folder)!;
}

for (const name of names) describeAgreement(describeGuest, name, open);
