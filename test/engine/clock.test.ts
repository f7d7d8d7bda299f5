// Opening hours, as xt_time reads them.
import { expect, it } from 'vitest';
import { readSave } from '../../src/iptables-parser/index.ts';
import { isWithin } from '../../src/engine/clock.ts';
import type { Pred } from '../../src/index.ts';
import { parseTime } from '../../src/net/time.ts';

function timetable(options: string): Pred & { kind: 'time' } {
  const { tables } = readSave(`*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m time ${options}\nCOMMIT\n`, { file: 'rules' });
  const { match } = tables[0]!.chains['INPUT']!.rules[0]!;
  const part = match.kind === 'all' ? match.of[0] : undefined;
  if (part?.kind !== 'time') throw new Error(`no timetable: ${options}`);
  return part;
}

// 2026-11-21 is a Saturday.
it.each([
  ['--timestart 09:00 --timestop 17:00', '2026-11-21T09:00', true],
  ['--timestart 09:00 --timestop 17:00', '2026-11-21T08:59:59', false],
  ['--timestart 09:00 --timestop 17:00', '2026-11-21T17:00:00', true],
  ['--timestart 09:00 --timestop 17:00', '2026-11-21T17:00:01', false],
  ['--timestart 22:00 --timestop 02:00', '2026-11-21T23:00', true],
  ['--timestart 22:00 --timestop 02:00', '2026-11-21T02:00:01', false],
  ['--weekdays Sat', '2026-11-21', true],
  ['! --weekdays Sat,Sun', '2026-11-21', false],
  ['--monthdays 21', '2026-11-21T23:59:59', true],
  ['--monthdays 21', '2026-11-22', false],
  ['--datestart 2026-11-21T10 --datestop 2026-11-21T11', '2026-11-21T11:00:00', true],
  ['--datestart 2026-11-21T10 --datestop 2026-11-21T11', '2026-11-21T11:00:01', false],
  // the hour after midnight of Sunday still belongs to Saturday's night, if the night is one piece
  ['--timestart 22:00 --timestop 02:00 --weekdays Sat', '2026-11-22T01:00', false],
  ['--timestart 22:00 --timestop 02:00 --weekdays Sat --contiguous', '2026-11-22T01:00', true],
  ['--timestart 22:00 --timestop 02:00 --weekdays Sat --contiguous', '2026-11-21T01:00', false],
  ['--timestart 22:00 --timestop 02:00 --monthdays 30 --contiguous', '2026-12-01T01:00', true],
])('%s at %s: %s', (options, at, truth) => {
  expect(isWithin(timetable(options), parseTime(at)!)).toBe(truth);
});
