// A cure that `why` prints is carried out by the real tools in the scenario's network, and the packet sent again: it works there too.
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { isMisunderstood, requestOf } from '../../src/ask/question.ts';
import { why, type Cure } from '../../src/ask/why.ts';
import type { ScenarioQuestion } from '../../src/model/scenario.ts';
import { folderOf, scenariosOf } from '../oracle/agreement.ts';
import { describeKernel, kernelMissing } from '../oracle/kernel.ts';
import { loadScenario, openScenario, placeName, type Replay } from '../oracle/scenario.ts';

/** Cures of one question that are tried: those that are printed. */
const TRIED = 5;

/** The first question of a scenario that fails and can be cured. */
function curable(name: string): { question: ScenarioQuestion; cures: readonly Cure[] }[] {
  const out: { question: ScenarioQuestion; cures: readonly Cure[] }[] = [];
  const { world, scenario } = loadScenario(folderOf(name));
  for (const question of scenario.questions ?? []) {
    const found = why(world, requestOf(question), { kind: 'reply-delivered' });
    if (isMisunderstood(found) || found.answer.verdict !== 'no') continue;
    // what is only supposed nobody can carry out
    const cures = found.cures.slice(0, TRIED).filter((c) => c.supposes === undefined);
    if (cures.length > 0) out.push({ question, cures });
  }
  return out;
}

/** An answer came back, and it was no refusal. */
function works({ replied, observation }: Replay): boolean {
  return replied && !/^E[A-Z]+$/.test(observation.socket ?? '');
}

const missing = kernelMissing() ?? (existsSync('/proc/sys/net/bridge') ? undefined : 'the module br_netfilter is not loaded');

describeKernel(
  'the cures that why proves',
  () => {
    for (const name of scenariosOf('host')) {
      for (const found of curable(name))
        for (const cure of found.cures) {
          const commands = cure.edits.map((e) => `${placeName(e)}# ${e.command}`).join('; ');
          it(`${name}: ${found.question.name}: ${commands}`, async () => {
            const standing = await openScenario(folderOf(name));
            try {
              expect(works(await standing.replay(found.question)), 'before').toBe(false);
              for (const e of cure.edits) {
                const done = await standing.network.run(placeName(e), 'sh', '-c', e.command);
                expect([e.command, done.code, done.stderr.replace(/^#.*\n?/gm, '')]).toEqual([e.command, 0, '']);
              }
              expect(works(await standing.replay(found.question)), 'after').toBe(true);
            } finally {
              await standing.close();
            }
          });
        }
    }
  },
  missing,
);
