// Random rules and rule sets of iptables, as iptables-save prints them: for properties about rules of one's own making.
import * as fc from 'fast-check';

/** What rules may speak of; what is left out is drawn from a small network. */
export interface RuleVocabulary {
  /** `10.244.0.0/16`, `192.168.21.11` */
  readonly addresses?: readonly string[];
  readonly ports?: readonly number[];
  readonly interfaces?: readonly string[];
  /** Targets (default ACCEPT, DROP, REJECT, RETURN). */
  readonly targets?: readonly string[];
}

const ADDRESSES = ['10.244.0.0/16', '10.244.1.0/24', '10.96.0.0/12', '192.168.21.0/24', '192.168.21.11', '0.0.0.0/0'];
const PORTS = [53, 80, 443, 6443, 8080, 30080];
const INTERFACES = ['eth0', 'cni0', 'docker0'];
const TARGETS = ['ACCEPT', 'DROP', 'REJECT', 'RETURN'];

/** One line of iptables-save for a chain: `-A FORWARD -s 10.244.0.0/16 -p tcp -m tcp --dport 80 -j ACCEPT`. */
export function rules(chain = 'FORWARD', words: RuleVocabulary = {}): fc.Arbitrary<string> {
  const { addresses = ADDRESSES, ports = PORTS, interfaces = INTERFACES, targets = TARGETS } = words;
  const maybe = <T>(arb: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arb, { nil: undefined });
  const not = fc.boolean().map((n) => (n ? '! ' : ''));
  const side = (option: string): fc.Arbitrary<string | undefined> =>
    maybe(fc.tuple(not, fc.constantFrom(...addresses)).map(([n, a]) => `${n}${option} ${a}`));
  const port = fc
    .tuple(fc.constantFrom('tcp', 'udp'), maybe(fc.constantFrom(...ports)))
    .map(([proto, p]) => `-p ${proto}${p === undefined ? '' : ` -m ${proto} --dport ${p}`}`);
  return fc
    .tuple(side('-s'), side('-d'), maybe(fc.constantFrom(...interfaces).map((i) => `-i ${i}`)), maybe(port), fc.constantFrom(...targets))
    .map(([s, d, i, p, target]) => ['-A', chain, s, d, i, p, '-j', target].filter((word) => word !== undefined).join(' '));
}

/** A filter table for iptables-restore: a chain's policy and up to eight rules of it. */
export function ruleSets(chain = 'FORWARD', words: RuleVocabulary = {}): fc.Arbitrary<string> {
  const chains = ['INPUT', 'FORWARD', 'OUTPUT'];
  return fc.tuple(fc.constantFrom('ACCEPT', 'DROP'), fc.array(rules(chain, words), { maxLength: 8 })).map(([policy, lines]) => {
    const heads = [...new Set([...chains, chain])].map((c) => `:${c} ${c === chain ? policy : chains.includes(c) ? 'ACCEPT' : '-'} [0:0]`);
    return ['*filter', ...heads, ...lines, 'COMMIT', ''].join('\n');
  });
}
