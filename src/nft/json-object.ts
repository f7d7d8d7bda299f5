// Named objects and flowtables of JSON in the words that text has between their braces.
import { isNumber, isText, wordsOf } from './json-expression.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What stands between the braces of `counter x { ... }`: obj_print_data(), src/rule.c. */
export function objectBody(kind: string, o: Fields): string {
  return [...(isText(o['comment']) ? [`comment "${o['comment']}"`] : []), ...linesOf(kind, o)].join('; ');
}

function linesOf(kind: string, o: Fields): readonly string[] {
  const say = (name: string, value = o[name]): string => `${name} ${String(value)}`;
  switch (kind) {
    case 'counter':
      return [`${say('packets')} ${say('bytes')}`];
    case 'quota': {
      const used = isNumber(o['used']) && o['used'] > 0 ? ` used ${amount(o['used'])}` : '';
      return [`${o['inv'] === true ? 'over ' : ''}${amount(Number(o['bytes']))}${used}`];
    }
    case 'limit':
      return [limit(o)];
    case 'ct helper':
      return [`type "${String(o['type'])}" ${say('protocol')}`, say('l3proto')];
    case 'ct timeout': {
      const states = Object.entries((o['policy'] ?? {}) as Fields).map(([state, seconds]) => `${state} : ${String(seconds)}`);
      return [say('protocol'), say('l3proto'), `policy = { ${states.join(', ')} }`];
    }
    case 'ct expectation':
      return [say('protocol'), say('dport'), `timeout ${duration(Number(o['timeout']))}`, say('size'), say('l3proto')];
    case 'synproxy':
      return [say('mss'), say('wscale'), wordsOf(o['flags']).join(' ')].filter((l) => l !== '');
    default:
      return [`"${String(o['context'])}"`];
  }
}

/** get_rate(), src/statement.c: the largest unit that divides it. */
function amount(bytes: number): string {
  const units = ['bytes', 'kbytes', 'mbytes'];
  let unit = 0;
  while (bytes > 0 && bytes % 1024 === 0 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${bytes} ${units[unit]}`;
}

function limit(o: Fields): string {
  const unit = isText(o['rate_unit']) ? ` ${o['rate_unit']}` : '';
  const burst = isNumber(o['burst']) ? o['burst'] : 0;
  const isSaid = unit === '' ? burst !== 5 && burst !== 0 : burst !== 0;
  const more = isSaid ? ` burst ${burst} ${isText(o['burst_unit']) ? o['burst_unit'] : unit === '' ? 'packets' : 'bytes'}` : '';
  return `rate ${o['inv'] === true ? 'over ' : ''}${String(o['rate'])}${unit}/${String(o['per'])}${more}`;
}

/** time_print(), src/datatype.c: milliseconds as `1d2h`. */
function duration(ms: number): string {
  const parts = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'm'],
    [1000, 's'],
    [1, 'ms'],
  ] as const;
  let said = '';
  for (const [length, unit] of parts) {
    if (ms >= length) said += `${Math.floor(ms / length)}${unit}`;
    ms %= length;
  }
  return said === '' ? '0s' : said;
}

/** flowtable_print_declaration(), src/rule.c. */
export function flowtableBody(f: Fields): string {
  const { hook, prio } = f;
  const devices = wordsOf(f['dev']);
  const flags = wordsOf(f['flags']);
  return [
    ...(isText(hook) && isNumber(prio) ? [`hook ${hook} priority ${prio}`] : []),
    ...(devices.length > 0 ? [`devices = { ${devices.join(', ')} }`] : []),
    ...(flags.length > 0 ? [`flags ${flags.join(',')}`] : []),
  ].join('; ');
}
