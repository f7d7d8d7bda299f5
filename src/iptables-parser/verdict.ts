// The ends of a rule: ACCEPT, DROP, RETURN, REJECT.
import type { Family } from '../net/addr.ts';
import { TCP } from '../net/proto.ts';
import { option, target, valueOf, type TargetExtension } from './extension.ts';
import type { Value } from './value.ts';

const verdict = (name: 'ACCEPT' | 'DROP' | 'RETURN', word: 'accept' | 'drop' | 'return', summary: string): TargetExtension =>
  target({ name, summary, lower: () => [{ kind: 'verdict', verdict: word }] });

/** -j ACCEPT */
export const ACCEPT = verdict('ACCEPT', 'accept', 'Lets the packet through this table.');
/** -j DROP */
export const DROP = verdict('DROP', 'drop', 'Drops the packet silently.');
/** -j RETURN */
export const RETURN = verdict('RETURN', 'return', 'Goes back to the calling chain; in a base chain, to its policy.');

// reject_table, extensions/libipt_REJECT.c and libip6t_REJECT.c: the name printed, then its short forms.
const REJECT4: readonly (readonly string[])[] = [
  ['icmp-net-unreachable', 'net-unreach'],
  ['icmp-host-unreachable', 'host-unreach'],
  ['icmp-port-unreachable', 'port-unreach'],
  ['icmp-proto-unreachable', 'proto-unreach'],
  ['icmp-net-prohibited', 'net-prohib'],
  ['icmp-host-prohibited', 'host-prohib'],
  ['tcp-reset', 'tcp-rst'],
  ['icmp-admin-prohibited', 'admin-prohib'],
];
const REJECT6: readonly (readonly string[])[] = [
  ['icmp6-no-route', 'no-route'],
  ['icmp6-adm-prohibited', 'adm-prohibited'],
  ['icmp6-addr-unreachable', 'addr-unreach'],
  ['icmp6-port-unreachable', 'port-unreach'],
  ['tcp-reset', 'tcp-rst'],
  ['icmp6-policy-fail', 'policy-fail'],
  ['icmp6-reject-route', 'reject-route'],
];

const NAMES = [...REJECT4, ...REJECT6];

/** A canonical name; the short `port-unreach` is in both families and stays as it is until the family is known. */
const how: Value<string> = {
  shape: 'TYPE',
  read: (t = '') => {
    const low = t.toLowerCase();
    const hits = new Set(
      NAMES.filter((names) => names.some((n) => n.startsWith(low) && (low.length === n.length || low.length > 4))).map((names) => names[0]!),
    );
    const exact = NAMES.find((names) => names[0] === low)?.[0];
    if (exact !== undefined) return exact;
    if (hits.size === 1) return [...hits][0]!;
    return low === 'port-unreach' ? low : { error: `'${t}' is no answer REJECT can give`, hint: `one of ${NAMES.map((n) => n[0]).join(', ')}` };
  },
  print: (t) => t,
};

function answer(given: string | undefined, family: Family): string {
  return given === undefined || given === 'port-unreach' ? (family === 4 ? 'icmp-port-unreachable' : 'icmp6-port-unreachable') : given;
}

/** -j REJECT */
export const REJECT = target({
  name: 'REJECT',
  tables: ['filter'],
  summary: 'Drops the packet and answers with an ICMP error or a TCP reset.',
  options: [option('--reject-with', { value: how })],
  check: (o, { family, protocol, chain }) => {
    const name = answer(valueOf<string>(o, '--reject-with'), family);
    if (!(family === 4 ? REJECT4 : REJECT6).some((n) => n[0] === name)) return { error: `${name} is not of IPv${family}` };
    if (name === 'tcp-reset' && protocol !== TCP) return { error: 'tcp-reset answers TCP only', hint: 'add -p tcp' };
    return chain === 'PREROUTING' || chain === 'POSTROUTING' ? { error: `REJECT cannot stand in ${chain}` } : undefined;
  },
  print: (o, family) => `--reject-with ${answer(valueOf<string>(o, '--reject-with'), family)}`,
  lower: (o, { family }) => [{ kind: 'reject', with: answer(valueOf<string>(o, '--reject-with'), family) }],
});
