// The hours, days and dates of a rule, and a moment.
import type { Timetable } from '../model/ruleset.ts';
import { dayOf } from '../net/time.ts';

const DAY = 86400;

/** time_mt(), net/netfilter/xt_time.c. `at` is in seconds since 1970, UTC. */
export function isWithin(t: Timetable, at: number): boolean {
  if (at < t.dates[0] || at > t.dates[1]) return false;
  const [start, stop] = t.hours;
  const now = at % DAY;
  if (start < stop ? now < start || now > stop : now < start && now > stop) return false;
  const overnight = start >= stop && t.contiguous && now <= stop;
  const { weekday, monthday } = dayOf(overnight ? at - DAY : at);
  return (t.weekdays & (1 << weekday)) !== 0 && (t.monthdays & (1 << monthday)) !== 0;
}
