// Matches on plain fields of the packet or its socket: ttl, hl, length, owner; and comment, which matches everything.
import { match, option, type MatchExtension, type Option } from './extension.ts';
import { fieldIn } from './predicate.ts';
import { nothing, number, range, text, type Span2, type Value } from './value.ts';

// ttl_mt() and hl_mt6(), net/netfilter/xt_hl.c: only the equal form can be inverted.
function ttlMatch(name: 'ttl' | 'hl', family: 4 | 6): MatchExtension {
  const byte = number('VALUE', 255);
  return match({
    name,
    families: [family],
    summary: family === 4 ? 'The time to live.' : 'The hop limit.',
    options: [
      option(`--${name}-eq`, { value: byte, negatable: true, ...(name === 'ttl' && { aliases: ['--ttl'] }), lower: (n) => fieldIn('ttl', [n, n]) }),
      option(`--${name}-lt`, { value: byte, lower: (n) => fieldIn('ttl', [0, n - 1]) }),
      option(`--${name}-gt`, { value: byte, lower: (n) => fieldIn('ttl', [n + 1, 255]) }),
    ],
    check: (o) => (Object.keys(o).length === 1 ? undefined : { error: `${name} needs exactly one of --${name}-eq, --${name}-lt, --${name}-gt` }),
  });
}

/** -m ttl */
export const ttl = ttlMatch('ttl', 4);
/** -m hl */
export const hl = ttlMatch('hl', 6);

// length_mt(), net/netfilter/xt_length.c: a range the wrong way round is taken, and holds for no packet.
const bytes = range('BYTES[:BYTES]', 65535, ':', true, undefined, false);

/** -m length */
export const length = match({
  name: 'length',
  summary: 'The length of the packet in bytes, IP header included.',
  options: [option('--length', { value: bytes, negatable: true, required: true, lower: (r) => fieldIn('length', r) })],
});

const id = range('ID[-ID]', 0xffffffff, '-', false);
/** Numbers only, and root: other names are of a password file that no capture holds. */
const owned: Value<Span2> = {
  ...id,
  read: (t = '') => (t === 'root' ? [0, 0] : /^[a-z_]/i.test(t) ? { error: `'${t}' is a name of that host`, hint: 'write its number' } : id.read(t)),
};
const ownerOption = (name: string, field: 'uid' | 'gid'): Option => option(name, { value: owned, negatable: true, lower: (r) => fieldIn(field, r) });

// owner_mt(), net/netfilter/xt_owner.c
/** -m owner */
export const owner = match({
  name: 'owner',
  summary: 'The user and group of the sending socket, and whether there is one.',
  options: [
    option('--socket-exists', {
      value: nothing,
      negatable: true,
      lower: () => fieldIn('socket', [1, 1]),
    }),
    ownerOption('--uid-owner', 'uid'),
    ownerOption('--gid-owner', 'gid'),
    option('--suppl-groups', { value: nothing }),
  ],
  check: (o, { chain }) => {
    if (Object.keys(o).length === 0) return { error: 'owner needs at least one option' };
    return ['PREROUTING', 'INPUT', 'FORWARD'].includes(chain) ? { error: `owner cannot be used in ${chain}` } : undefined;
  },
});

/** -m comment */
export const comment = match({
  name: 'comment',
  summary: 'Says something to the reader; matches every packet.',
  options: [option('--comment', { value: text('TEXT', 255), required: true })],
});
