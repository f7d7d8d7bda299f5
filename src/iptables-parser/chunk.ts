// SCTP's chunk types with their flags, and DCCP's packet types, as sctp and dccp name them.
import { bits, oneOf, isBad, type Value } from './value.ts';

/** By number, with the letters of their flags from the highest bit down. */
const CHUNKS: readonly (readonly [number: number, name: string, flags?: string])[] = [
  [0, 'DATA', '----IUBE'],
  [1, 'INIT'],
  [2, 'INIT_ACK'],
  [3, 'SACK'],
  [4, 'HEARTBEAT'],
  [5, 'HEARTBEAT_ACK'],
  [6, 'ABORT', '-------T'],
  [7, 'SHUTDOWN'],
  [8, 'SHUTDOWN_ACK'],
  [9, 'ERROR'],
  [10, 'COOKIE_ECHO'],
  [11, 'COOKIE_ACK'],
  [12, 'ECN_ECNE'],
  [13, 'ECN_CWR'],
  [14, 'SHUTDOWN_COMPLETE', '-------T'],
  [64, 'I_DATA', '----IUBE'],
  [128, 'ASCONF_ACK'],
  [130, 'RE_CONFIG'],
  [132, 'PAD'],
  [192, 'FORWARD_TSN'],
  [193, 'ASCONF'],
  [194, 'I_FORWARD_TSN'],
];

/** The chunks of a rule, by number: the flags looked at and those that must be set. `all` and `none` are written as words. */
interface Chunks {
  readonly how: 'all' | 'any' | 'only';
  readonly list: ReadonlyMap<number, { readonly mask: number; readonly set: number }> | 'ALL' | 'NONE';
}

const how = oneOf('all|any|only', ['all', 'any', 'only']);

// parse_sctp_chunk() and print_chunks(), extensions/libxt_sctp.c
export const chunkTypes: Value<Chunks> = {
  shape: 'all|any|only CHUNK[:FLAGS][,...]',
  read: (match = '', t = '') => {
    const kind = how.read(match);
    if (isBad(kind)) return kind;
    const up = t.toUpperCase();
    if (up === 'ALL' || up === 'NONE') return { how: kind, list: up };
    const list = new Map<number, { mask: number; set: number }>();
    for (const part of t.split(',')) {
      const [name = '', letters = ''] = part.split(':');
      const chunk = CHUNKS.find((c) => c[1] === name.toUpperCase());
      if (!chunk) return { error: `'${name}' is no SCTP chunk type`, word: 1, hint: `one of ${CHUNKS.map((c) => c[1]).join(', ')}` };
      const before = list.get(chunk[0]) ?? { mask: 0, set: 0 };
      let { mask, set } = before;
      for (const letter of letters) {
        const at = chunk[2]?.indexOf(letter.toUpperCase()) ?? -1;
        if (at < 0 || letter === '-') return { error: `'${letter}' is no flag of ${chunk[1]}`, word: 1 };
        mask |= 128 >> at;
        if (letter === letter.toUpperCase()) set |= 128 >> at;
      }
      list.set(chunk[0], { mask, set });
    }
    return { how: kind, list };
  },
  print: ({ how: kind, list }) => {
    if (typeof list === 'string') return `${kind} ${list}`;
    const names = CHUNKS.flatMap(([number, name, letters = '']) => {
      const flags = list.get(number);
      if (!flags) return [];
      const shown = [...letters].flatMap((c, i) => (flags.mask & (128 >> i) ? [flags.set & (128 >> i) ? c : c.toLowerCase()] : []));
      return [shown.length ? `${name}:${shown.join('')}` : name];
    });
    return `${kind} ${names.join(',')}`;
  },
};

const DCCP_TYPES = ['REQUEST', 'RESPONSE', 'DATA', 'ACK', 'DATAACK', 'CLOSEREQ', 'CLOSE', 'RESET', 'SYNC', 'SYNCACK', 'INVALID'];

/** The types of --dccp-types, as bits. */
export const dccpTypes: Value<number> = bits('TYPE[,TYPE...]', Object.fromEntries(DCCP_TYPES.map((name, i) => [name, 1 << i])));
