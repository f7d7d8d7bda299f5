// Random virtual services with their real servers, and changes to them, as `ipvsadm -R` reads them.
import type { Dice } from '../probes/dice.ts';

/** How a node writes addresses, which are told in IPv4 here: as they are, or as fd00::a.b.c.d. */
export interface Tongue {
  readonly six: boolean;
  readonly addr: (addr: string) => string;
  readonly net: (addr: string, length: number) => string;
}

export const FOUR: Tongue = { six: false, addr: (a) => a, net: (a, n) => `${a}/${n}` };
export const SIX: Tongue = { six: true, addr: (a) => `fd00::${a}`, net: (a, n) => `fd00::${a}/${96 + n}` };

/** Addresses of virtual services: the last is nobody's own. */
export const VIPS = ['10.96.0.1', '10.96.0.10', '7.7.7.7', '192.168.21.20', '10.96.0.99'] as const;
/** Pods, remote pods, nodes on the link, this host itself, and what no route leads to. */
export const REALS = [
  '10.1.0.1',
  '10.1.0.2',
  '10.1.0.1',
  '10.1.0.2',
  '10.1.5.7',
  '10.1.5.8',
  '192.168.21.11',
  '192.168.21.20',
  '10.9.0.20',
  '10.1.6.1',
  '10.96.0.10',
] as const;
export const MARKS = [1, 5] as const;

interface Real {
  readonly addr: string;
  readonly port: number;
  readonly how: string;
  readonly weight: number;
  readonly thresholds: string;
}

/** A virtual service and how packets reach it. */
export interface Service {
  readonly proto: 'tcp' | 'udp' | 'sctp' | undefined;
  readonly addr: string;
  readonly port: number;
  readonly mark?: number;
  readonly options: string;
  readonly reals: readonly Real[];
}

const SCHEDULERS = ['rr', 'rr', 'wrr', 'wrr', 'sh', 'sh', 'lc', 'wlc', 'lblc', 'lblcr', 'dh', 'mh', 'sed', 'nq', 'fo', 'ovf'] as const;
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  sh: ['', '', ' -b sh-port', ' -b sh-fallback', ' -b sh-fallback,sh-port'],
  mh: ['', '', ' -b mh-port', ' -b mh-fallback', ' -b mh-fallback,mh-port'],
};
const TUNNELS = ['', '', '', ' --tun-type gre', ' --tun-type gue --tun-port 6080', ' --tun-type gue --tun-port 6080 --tun-csum'];

function makeReal(d: Dice, s: Pick<Service, 'port' | 'mark'>): Real {
  const method = d.pick(['m', 'm', 'm', 'm', 'm', 'm', 'g', 'i']);
  const own = s.mark !== undefined ? d.pick([0, 0, 8080]) : s.port;
  return {
    addr: d.pick(REALS),
    port: method === 'm' ? d.pick([own, own, 8080, 6443]) : own,
    how: `-${method}${method === 'i' ? d.pick(TUNNELS) : ''}`,
    weight: d.pick([0, 1, 1, 1, 1, 2, 3]),
    thresholds: d.chance(12) ? d.pick([' -x 1 -y 0', ' -x 3 -y 2', ' -x 2 -y 1']) : '',
  };
}

function makeService(d: Dice, t: Tongue): Service {
  const marked = d.chance(12);
  const proto = marked ? undefined : d.pick(['tcp', 'tcp', 'tcp', 'udp', 'udp', 'sctp'] as const);
  const persistent = d.chance(25);
  const base = {
    proto,
    addr: d.pick(VIPS.slice(0, d.chance(90) ? 4 : 5)),
    port: persistent && d.chance(30) ? 0 : d.pick([443, 443, 53, 80, 30080]),
    ...(marked && { mark: d.pick(MARKS) }),
  };
  const scheduler = d.pick(SCHEDULERS);
  const mask = d.chance(30) ? ` -M ${t.six ? 120 : '255.255.255.0'}` : '';
  const options = [
    `-s ${scheduler}`,
    FLAGS[scheduler] ? d.pick(FLAGS[scheduler]) : '',
    persistent ? ` -p 300${mask}` : '',
    proto === 'udp' && d.chance(20) ? ' -o' : '',
  ].join('');
  const reals = new Map(d.some(0, 4, () => makeReal(d, base)).map((r) => [`${r.addr} ${r.port}`, r]));
  return { ...base, options, reals: [...reals.values()] };
}

/** Some services, each of its own address and port. */
export function makeServices(d: Dice, t: Tongue): Service[] {
  const services = [...new Map(d.some(1, 4, () => makeService(d, t)).map((s) => [wordsOf(s, t), s])).values()];
  const taken: Real[] = [];
  return services.map((s) => {
    const reals = s.reals.filter((r) => {
      const free = !taken.some((o) => o.addr === r.addr && isRiddle(s, services));
      if (free) taken.push(r);
      return free;
    });
    return { ...s, reals };
  });
}

/**
 * A connection shows neither its service nor the mark that led there, nor which server of an address it has where all ports are served:
 * who has services of both kinds gives each address to one server only.
 */
function isRiddle(s: Service, all: readonly Service[]): boolean {
  return s.port === 0 || all.some((o) => o.mark !== undefined);
}

/** `-t 10.96.0.1:443`. */
function wordsOf(s: Service, t: Tongue): string {
  if (s.mark !== undefined) return `-f ${s.mark}${t.six ? ' -6' : ''}`;
  const option = { tcp: '-t', udp: '-u', sctp: '--sctp-service' }[s.proto ?? 'tcp'];
  return `${option} ${end(s.addr, s.port, t)}`;
}

function end(addr: string, port: number, t: Tongue): string {
  return `${t.six ? `[${t.addr(addr)}]` : addr}:${port}`;
}

function serverWords(s: Service, r: Real, t: Tongue): string {
  return `${wordsOf(s, t)} -r ${end(r.addr, r.port, t)}`;
}

/** Lines of `ipvsadm -R`. */
export function printServices(services: readonly Service[], t: Tongue): string {
  return services
    .flatMap((s) => [
      `-A ${wordsOf(s, t)} ${s.options}`,
      ...s.reals.map((r) => `-a ${serverWords(s, r, t)} ${r.how} -w ${r.weight}${r.thresholds}`),
      '',
    ])
    .join('\n');
}

/** What an administrator, or kube-proxy, does between two packets. */
export function makeEdit(d: Dice, services: readonly Service[], t: Tongue): string {
  const s = d.pick(services);
  const drawn = makeReal(d, s);
  // nobody else's address
  const fresh = isRiddle(s, services) ? { ...drawn, addr: `10.1.5.${20 + d.below(200)}` } : drawn;
  const add = `-a ${serverWords(s, fresh, t)} ${fresh.how} -w 1\n`;
  const real = s.reals.length > 0 ? d.pick(s.reals) : undefined;
  if (!real) return add;
  const server = serverWords(s, real, t);
  return d.pick([
    `-e ${server} ${real.how} -w 0\n`,
    `-e ${server} ${real.how} -w 0\n`,
    `-e ${server} ${real.how} -w 2\n`,
    `-d ${server}\n`,
    `-d ${server}\n`,
    `-d ${server}\n-a ${server} ${real.how} -w 1\n`,
    add,
    `-D ${wordsOf(s, t)}\n`,
  ]);
}
