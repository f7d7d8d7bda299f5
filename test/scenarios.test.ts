// Every folder in scenarios/ is a claim about a network: its questions are asked, its expectations held, its answers kept as goldens.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkProperty, checkQuestion } from '../src/ask/check.ts';
import { answerTo as askWorld, isUnasked } from '../src/ask/compare.ts';
import { load, type Loaded } from '../src/cli/load.ts';
import { answerJson, answerText, ask, isMisunderstood, requestOf, trace, TraceAnswer, type Answer, type Scenario } from '../src/index.ts';

type Question = NonNullable<Scenario['questions']>[number];

const folder = join(import.meta.dirname, '../scenarios');
const names = readdirSync(folder, { withFileTypes: true })
  .filter((f) => f.isDirectory())
  .map((f) => f.name);

/** Scenarios about what a tool could not print, and the files that hold its complaint. */
const UNREADABLE: Readonly<Record<string, readonly string[]>> = { 'ipset-revision': ['node2/ipset-list.txt'] };

/** Networks without a fault. */
const HEALTHY: ReadonlySet<string> = new Set(['calico-ipip', 'flannel-vxlan', 'ipvs-baseline', 'ipvs-mark-drop-present', 'ipvs-conn-reuse-6.1']);

/** Networks without a fault, where what is refused is meant to be. */
const GUARDED: ReadonlySet<string> = new Set(['kube-proxy-nftables', 'kube-proxy-nftables-ipv6', 'calico-nftables', 'docker-nftables', 'firewalld']);

/** The question's name as a file name. */
function slug(name: string): string {
  return name
    .toLowerCase()
    .replaceAll("'", '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^the-/, '');
}

function answerTo({ world }: Loaded, q: Question): Answer {
  const answer = askWorld(world, requestOf(q));
  if (isUnasked(answer)) throw new Error(`${q.name}: --${answer.option}: ${answer.error}`);
  return answer;
}

it('there are scenarios, and the emblem case is one of them', () => {
  expect(names).toContain('ippool-overlaps-host');
});

describe.each(names)('%s', (name) => {
  let loaded: Loaded;
  let questions: readonly Question[] = [];
  beforeAll(async () => {
    loaded = await load(join(folder, name));
    questions = loaded.scenario?.questions ?? [];
  });

  const each = (check: (q: Question, answer: Answer) => void): void => {
    expect(questions.length).toBeGreaterThan(0);
    for (const q of questions) check(q, answerTo(loaded, q));
  };

  it('every question expects something, and the names make different goldens', () => {
    each((q) => expect(Object.keys(q.expect ?? {}), q.name).not.toEqual([]));
    expect(new Set(questions.map((q) => slug(q.name))).size).toBe(questions.length);
  });

  it('nothing in the captures is beyond reading', () => {
    const errors = loaded.world.findings.filter((f) => f.severity === 'error');
    expect(errors.map((f) => f.at?.file)).toEqual(UNREADABLE[name] ?? []);
  });

  if (HEALTHY.has(name))
    it('where nothing is wrong nothing is found', () => {
      expect(loaded.world.findings.filter((f) => f.severity !== 'note')).toEqual([]);
      each((q, answer) => expect(answer.verdict, q.name).toBe('yes'));
    });

  if (GUARDED.has(name))
    it('where all is as it is meant to be nothing is found, and every question has its answer', () => {
      each((q, answer) => expect(answer.verdict, q.name).not.toBe('cannot-tell'));
      expect(loaded.world.findings.filter((f) => f.severity !== 'note')).toEqual([]);
      each((q, answer) => expect(answer.unknowns, q.name).toEqual([]));
    });

  it('packets and replies end as the scenario says', () => {
    each((q, answer) => {
      const { outcome, reply } = q.expect ?? {};
      expect(answer.courses.length, q.name).toBeGreaterThan(0);
      for (const { trace: t } of answer.courses) {
        if (outcome !== undefined) expect(t.outcome.kind, q.name).toBe(outcome);
        if (reply !== undefined) expect(t.reply?.outcome.kind, q.name).toBe(reply);
      }
    });
  });

  it('sources are translated where the scenario says so, and only there', () => {
    each((q, answer) => {
      const { masqueraded } = q.expect ?? {};
      if (masqueraded === undefined) return;
      for (const { trace: t } of answer.courses) expect(t.translated.src !== undefined, q.name).toBe(masqueraded);
    });
  });

  it('destinations become what the scenario says', () => {
    each((q, answer) => {
      const { dnat } = q.expect ?? {};
      if (dnat === undefined) return;
      for (const { trace: t } of answer.courses) expect(t.translated.dst?.to, q.name).toBe(dnat);
    });
  });

  it('the verdict names the cause that the scenario gives', () => {
    each((q, answer) => {
      const { because } = q.expect ?? {};
      // the summary tells no rules on the way: only what decided
      if (because !== undefined) expect(answerText(answer, { level: 'summary' }), q.name).toContain(because);
    });
  });

  it('every claim that `netwhy check` makes of it holds, but the one whose breach is the fault', () => {
    for (const q of questions)
      expect(
        checkQuestion(loaded.world, q, (a) => answerText(a, { level: 'summary' })),
        q.name,
      ).toMatchObject({ status: 'holds' });
    for (const p of loaded.scenario?.properties ?? [])
      expect(checkProperty(loaded.world, p), p.name).toMatchObject({ status: name === 'ippool-overlaps-host' ? 'broken' : 'holds' });
  });

  it('a whole round trip is a yes, and a lost one a no', () => {
    each((q, answer) => {
      const { outcome } = q.expect ?? {};
      if (outcome === 'delivered' || outcome === 'left') expect(answer.verdict, q.name).toBe('yes');
      else if (outcome !== undefined && outcome !== 'cannot-tell') expect(answer.verdict, q.name).toBe('no');
    });
  });

  it('every answer fits the schema of netwhy trace -o json, with all rules and without', () => {
    each((q, answer) => {
      const asked = ask(loaded.world, { from: q.from, to: q.to });
      if (isMisunderstood(asked)) throw new Error(asked.error);
      for (const json of [answerJson(answer), answerJson(trace(loaded.world, asked, { all: true }), { all: true })]) {
        // through text, as a reader of standard output gets it
        const read = TraceAnswer.safeParse(JSON.parse(JSON.stringify(json)));
        expect(read.error?.issues ?? [], q.name).toEqual([]);
      }
    });
  });

  it('the minimal readings are the expected ones', async () => {
    expect(questions.length).toBeGreaterThan(0);
    for (const q of questions) {
      const text = answerText(answerTo(loaded, q), { level: 'minimal' });
      expect(text.split('\n').length, q.name).toBeLessThanOrEqual(40);
      await expect(text).toMatchFileSnapshot(join(folder, name, 'expected', `${slug(q.name)}.txt`));
    }
  });

  it('no golden is left of a question that is gone', () => {
    const expected = new Set(questions.map((q) => slug(q.name)));
    const goldens = readdirSync(join(folder, name, 'expected')).map((f) => f.replace(/(\.detailed)?\.txt$/, ''));
    expect(goldens.filter((g) => !expected.has(g))).toEqual([]);
  });
});

it('the emblem case in full reads as the README shows it', async () => {
  const loaded = await load(join(folder, 'ippool-overlaps-host'));
  const q = loaded.scenario?.questions?.find((x) => x.name === 'the pod to the API server');
  if (!q) throw new Error('the question is gone');
  const golden = join(folder, 'ippool-overlaps-host/expected/pod-to-the-api-server.detailed.txt');
  await expect(answerText(answerTo(loaded, q))).toMatchFileSnapshot(golden);
});
