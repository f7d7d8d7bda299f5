// What IPVS knows of a packet: libxt_ipvs.
import { and, bitsOf, familyOf, formatAddr, isError, maskLength, parseAddr, parseMasked, type Masked } from '../net/addr.ts';
import { IPVS_METHOD, type Pred } from '../model/ruleset.ts';
import { has, lowerOption, match, option, printOption, valueOf, type Option } from './extension.ts';
import { addrIn, all, fieldIn, negate, otherwise } from './predicate.ts';
import { nothing, oneOf, portNumber, protocol, type Value } from './value.ts';

const MARKED: Pred = { kind: 'ipvs', of: 'packet' };
const CONNECTED: Pred = { kind: 'ipvs', of: 'connection' };

/** The address is kept, and printed, with the bits that its mask leaves out. */
const virtualAddress: Value<Masked> = {
  shape: 'ADDR[/MASK]',
  read: (t = '') => {
    const cut = parseMasked(t);
    const addr = parseAddr(t.replace(/\/.*/, ''));
    return isError(cut) ? cut : isError(addr) ? addr : { addr, mask: cut.mask };
  },
  print: ({ addr, mask }) => {
    const length = maskLength(mask);
    return length === bitsOf(familyOf(addr)) ? formatAddr(addr) : `${formatAddr(addr)}/${length ?? formatAddr(mask)}`;
  },
};

const METHODS = { GATE: IPVS_METHOD.direct, IPIP: IPVS_METHOD.tunnel, MASQ: IPVS_METHOD.masq } as const;
const DIRECTIONS = { ORIGINAL: 0, REPLY: 1 } as const;

const only = option('--ipvs', { value: nothing, negatable: true });
const rest: readonly Option[] = [
  option('--vproto', { value: protocol, negatable: true, lower: (n) => fieldIn('proto', [n, n]) }),
  option('--vaddr', { value: virtualAddress, negatable: true, lower: ({ addr, mask }) => addrIn('ipvsaddr', { addr: and(addr, mask), mask }) }),
  option('--vport', { value: portNumber, negatable: true, lower: (n) => fieldIn('ipvsport', [n, n]) }),
  option('--vdir', { value: oneOf('ORIGINAL|REPLY', ['ORIGINAL', 'REPLY']), lower: (d) => fieldIn('ctdir', [DIRECTIONS[d], DIRECTIONS[d]]) }),
  option('--vmethod', {
    value: oneOf('GATE|IPIP|MASQ', ['GATE', 'IPIP', 'MASQ']),
    negatable: true,
    lower: (m) => fieldIn('ipvsmethod', [METHODS[m], METHODS[m]]),
  }),
  // inverted it holds of a connection that no other controls
  option('--vportctl', { value: portNumber, negatable: true, invert: otherwise, lower: (n) => fieldIn('ipvsportctl', [n, n]) }),
];

// ipvs_mt(), net/netfilter/xt_ipvs.c: what asks about the connection does not hold without one, inverted or not
/** -m ipvs */
export const ipvs = match({
  name: 'ipvs',
  summary: 'Whether IPVS sent the packet here, and its virtual server, forwarding method and direction.',
  options: [only, ...rest],
  check: (o, { family }) => {
    if (Object.keys(o).length === 0) return { error: 'ipvs needs at least one option' };
    if (o['--ipvs']?.not && Object.keys(o).length > 1) return { error: '! --ipvs cannot stand with other options' };
    const virtual = valueOf<Masked>(o, '--vaddr');
    return virtual && familyOf(virtual.addr) !== family ? { error: `an address in it is not of IPv${family}` } : undefined;
  },
  print: (o) => {
    const given = rest.some((each) => has(o, each.name)) ? rest : [only];
    return given.flatMap((each) => (o[each.name] ? printOption(each, o[each.name]!) : [])).join(' ');
  },
  lower: (o, context) => {
    const parts = rest.flatMap((each) => lowerOption(each, o, context) ?? []);
    const alone = o['--ipvs'];
    if (alone && parts.length === 0) return [{ ...(alone.not ? negate(MARKED) : MARKED), text: printOption(only, alone) }];
    return parts.map((part) => ({ ...all(MARKED, CONNECTED, part), text: part.text! }));
  },
});
