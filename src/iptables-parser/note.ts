// Targets that do not change the packet's fate: they log, trace or tidy, and the next rule is tried. And TCPMSS.
import { TCP } from '../net/proto.ts';
import { has, option, target, valueOf, type Option, type TargetExtension } from './extension.ts';
import { nothing, number, oneOf, parseNumber, text, type Value } from './value.ts';

const LEVELS = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];
const LEVEL_ALIASES: Readonly<Record<string, number>> = { panic: 0, error: 3, warn: 4 };

const level: Value<number> = {
  shape: 'LEVEL',
  read: (t = '') => {
    const low = t.toLowerCase();
    const named = LEVELS.indexOf(low);
    const n = named >= 0 ? named : Object.hasOwn(LEVEL_ALIASES, low) ? LEVEL_ALIASES[low] : parseNumber(t, 7);
    return n ?? { error: `'${t}' is no log level (0 to 7, or ${LEVELS.join(', ')})` };
  },
  print: String,
};

/** Declares a target that only leaves a note. */
function note(name: string, summary: string, options: readonly Option[], more: Partial<Parameters<typeof target>[0]> = {}): TargetExtension {
  const t: TargetExtension = target({
    ...more,
    name,
    summary,
    options,
    why: 'it does not change the fate of the packet',
    lower: (o, { family }) => [{ kind: 'note', as: `${name} ${t.print(o, family)}`.trimEnd() }],
  });
  return t;
}

const flag = (name: string): Option => option(name, { value: nothing });

/** -j LOG */
export const LOG = note('LOG', 'Writes a line to the kernel log.', [
  option('--log-prefix', { value: text('PREFIX', 29) }),
  option('--log-level', { value: level, silent: (n) => n === 4 }),
  flag('--log-tcp-sequence'),
  flag('--log-tcp-options'),
  flag('--log-ip-options'),
  flag('--log-uid'),
  flag('--log-macdecode'),
]);

/** -j NFLOG */
export const NFLOG = note('NFLOG', 'Passes the packet to a logging program.', [
  option('--nflog-prefix', { value: text('PREFIX', 127) }),
  option('--nflog-group', { value: number('GROUP', 65535), silent: (n) => n === 0 }),
  option('--nflog-range', { value: number('BYTES') }),
  option('--nflog-size', { value: number('BYTES') }),
  option('--nflog-threshold', { value: number('N', 65535), silent: (n) => n === 0 }),
]);

/** -j TRACE */
export const TRACE = note('TRACE', 'Makes the kernel report every rule the packet meets.', []);

/** -j CHECKSUM */
export const CHECKSUM = note('CHECKSUM', 'Fills in the checksum.', [option('--checksum-fill', { value: nothing, required: true })], {
  tables: ['mangle'],
});

const trafficClass: Value<readonly [major: number, minor: number]> = {
  shape: 'MAJOR:MINOR',
  read: (t = '') => {
    const m = /^(?:0x)?([\da-f]{1,4}):(?:0x)?([\da-f]{1,4})$/i.exec(t);
    return m ? [parseInt(m[1]!, 16), parseInt(m[2]!, 16)] : { error: `'${t}' is not a class: MAJOR:MINOR in hexadecimal` };
  },
  print: (c) => c.map((n) => n.toString(16).padStart(4, '0')).join(':'),
};

/** -j CLASSIFY */
export const CLASSIFY = note('CLASSIFY', 'Sets the traffic-control class.', [option('--set-class', { value: trafficClass, required: true })]);

/** -j AUDIT */
export const AUDIT = note('AUDIT', 'Writes an audit record.', [
  option('--type', { value: oneOf('accept|drop|reject', ['accept', 'drop', 'reject']), required: true }),
]);

// tcpmss_tg4(), net/netfilter/xt_TCPMSS.c
/** -j TCPMSS */
export const TCPMSS = target({
  name: 'TCPMSS',
  protocols: [TCP],
  summary: 'Rewrites the maximum segment size of a SYN.',
  options: [option('--set-mss', { value: number('SIZE', 65535) }), option('--clamp-mss-to-pmtu', { value: nothing })],
  check: (o) => (Object.keys(o).length === 1 ? undefined : { error: 'TCPMSS needs --set-mss or --clamp-mss-to-pmtu' }),
  lower: (o) => [{ kind: 'tcpmss', mss: has(o, '--clamp-mss-to-pmtu') ? 'clamp' : valueOf<number>(o, '--set-mss')! }],
});
