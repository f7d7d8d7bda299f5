// Moments, in seconds since 1970, UTC: as people write them, and the day they fall on.

const WRITTEN = /^(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{1,2})(?::(\d{1,2})(?::(\d{1,2}))?)?Z?)?)?)?$/;

/** `YYYY[-MM[-DD[Thh[:mm[:ss]]]]]`, from 1970 on; undefined if it is no such moment. A day past the end of its month is one of the next. */
export function parseTime(text: string): number | undefined {
  const m = WRITTEN.exec(text);
  if (!m) return undefined;
  const [year, month, day, h, min, s] = [m[1], m[2] ?? '1', m[3] ?? '1', m[4] ?? '0', m[5] ?? '0', m[6] ?? '0'].map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const fits = year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= 31 && h < 24 && min < 60 && s < 60;
  return fits ? Date.UTC(year, month - 1, day, h, min, s) / 1000 : undefined;
}

/** `2026-11-21T14:30:00` */
export function formatTime(at: number): string {
  return new Date(at * 1000).toISOString().slice(0, 19);
}

/** The weekday from 1 for Monday, and the day of the month from 1. */
export function dayOf(at: number): { readonly weekday: number; readonly monthday: number } {
  const day = new Date(at * 1000);
  return { weekday: day.getUTCDay() || 7, monthday: day.getUTCDate() };
}
