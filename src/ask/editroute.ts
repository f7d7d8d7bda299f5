// Edits by `ip route`: iproute_modify() of iproute2, then fib_table_insert() and fib_table_delete(), net/ipv4/fib_trie.c;
// fib6_add_rt2node() and ip6_route_del(), net/ipv6.
import { ANY4, equal, familyOf, formatAddr, isError, isLinkLocal, parseAddr, parsePrefix, type Family } from '../net/addr.ts';
import { readRoutes } from '../capture/routes.ts';
import type { Namespace, NextHop, Route } from '../model/host.ts';
import { Fib } from '../engine/fib.ts';
import { altered } from './altered.ts';
import { isRefused, type Refusal } from './edit.ts';
import { answers, findLink, garbage, replaced, uncaptured, unread, wordFor, type IpCommand } from './iproute.ts';
import { listsLocal, localTable, routeKey } from './kernelroutes.ts';

const TYPES = new Set('unicast local broadcast anycast multicast blackhole unreachable prohibit throw nat'.split(' '));
const REFUSING: ReadonlySet<string> = new Set(['blackhole', 'unreachable', 'prohibit', 'throw']);
/** Words of the command that may be cut short, as the listing spells them; others have to be whole. */
const SHORT = 'metric preference priority tos dsfield table protocol expires'.split(' ');
const SPELLED: Readonly<Record<string, string>> = { preference: 'metric', priority: 'metric', dsfield: 'tos', protocol: 'proto', oif: 'dev' };
const VALUED = new Set(
  (
    'src via from metric tos scope mtu advmss rtt rttvar window cwnd initcwnd initrwnd ssthresh reordering hoplimit features rto_min congctl quickack realms ' +
    'expires pref table dev proto weight'
  ).split(' '),
);

/** What the words ask for: a route, and which of its parts were given. */
interface Asked {
  readonly route: Route;
  readonly given: ReadonlySet<string>;
}

export function editRoute(ns: Namespace, command: IpCommand): Namespace | Refusal {
  const { verb, words } = command;
  if (verb === 'flush') return flush(ns, command);
  if (words.length === 0) return { refused: `ip route ${verb} needs a destination`, hint: `ip route ${verb} PREFIX via ADDRESS dev DEVICE` };
  const asked = read(command);
  if (isRefused(asked)) return asked;
  for (const { device } of asked.route.nextHops) {
    const link = device === undefined ? undefined : findLink(ns, device);
    if (link && isRefused(link)) return link;
  }
  const { family, table } = asked.route;
  // with the first route of a local table that was not listed, the others have to be written down
  const base =
    table === 'local' && !listsLocal(ns, family) && ns.captured.addresses
      ? altered(ns, { routes: [...ns.routes, ...localTable(ns, family, command.at)] })
      : ns;
  if (verb === 'delete') return remove(base, asked);
  const route = complete(base, asked.route);
  if (isRefused(route)) return route;
  const done = { ...route, text: listed(route, asked.route.text), at: command.at };
  return family === 4 ? insert4(base, done, verb) : insert6(base, done, verb);
}

function read({ verb, words, family: said, at }: IpCommand): Asked | Refusal {
  const line: string[] = [];
  const given = new Set<string>();
  let [type, dst]: (string | undefined)[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const long = word === 'oif' || VALUED.has(word) ? word : wordFor(word, word.length > 1 ? SHORT : []);
    const name = long === undefined ? undefined : (SPELLED[long] ?? long);
    if (name !== undefined && (dst !== undefined || name !== 'tos')) {
      given.add(name);
      const foreign = name === 'via' && /^inet6?$/.test(words[i + 1] ?? '');
      const value = words.slice(i + 1, (i += foreign || words[i + 1] === 'lock' ? 2 : 1) + 1);
      if (value.length === 0) return { refused: 'Command line is not complete. Try option "help"' };
      line.push(name, ...value);
    } else if (word === 'nexthop' || word === 'onlink') {
      given.add(word);
      line.push(word);
    } else if (word === 'nhid' || word === 'encap' || word === 'vrf') return { refused: `'${word}' of a route is not modelled` };
    else if (dst === undefined && type === undefined && TYPES.has(word)) type = word;
    else if (dst === undefined) dst = word === 'to' ? (words[++i] ?? '') : word;
    else return garbage(word, 'to');
  }
  const prefix = dst ?? 'default';
  // get_addr_1() fills up what is short: 10/8
  const whole = prefix.replace(/^\d+(?:\.\d+){0,2}(?=\/|$)/, (m) => m + '.0'.repeat(4 - m.split('.').length));
  const isAny = /^(?:default|all|any)$/.test(whole);
  const to = isAny ? { addr: ANY4, length: 0 } : parsePrefix(whole);
  if (isError(to)) return { refused: `Error: any valid prefix is expected rather than "${prefix}".` };
  const isOther =
    line.some((w, i) => line[i - 1] === 'via' && w.includes(':')) || (line.includes('src') && line[line.indexOf('src') + 1]?.includes(':') === true);
  const family: Family = isAny ? (said ?? (isOther ? 6 : 4)) : familyOf(to.addr);
  if (said !== undefined && said !== family)
    return { refused: `Error: ${said === 6 ? 'inet6' : 'inet'} prefix is expected rather than "${prefix}".` };
  const bare = parseAddr(whole.split('/')[0]!);
  if (family === 4 && !isAny && !isError(bare) && !equal(bare, to.addr)) return { refused: 'Error: Invalid prefix for given prefix length.' };
  if (/^(?:local|broadcast|nat|anycast)$/.test(type ?? '') && !given.has('table')) line.push('table', 'local');
  if (family === 4 && verb !== 'delete' && !given.has('scope')) {
    if (type === 'local' || type === 'nat') line.push('scope', 'host');
    else if (type === 'broadcast' || type === 'multicast' || type === 'anycast') line.push('scope', 'link');
    else if (!REFUSING.has(type ?? '') && !given.has('via') && !given.has('nexthop')) line.push('scope', 'link');
  }
  // next hops stand last, where they are listed
  const hops = line.indexOf('nexthop');
  const tail = hops < 0 ? [] : line.slice(hops);
  const head = hops < 0 ? line : line.slice(0, hops);
  const added =
    tail.indexOf('scope') < 0 && tail.indexOf('table') < 0
      ? []
      : tail.splice(Math.min(...['scope', 'table'].map((w) => tail.indexOf(w)).filter((x) => x >= 0)));
  const text = [...(type === undefined || type === 'unicast' ? [] : [type]), isAny ? 'default' : whole, ...head, ...added, ...tail].join(' ');
  const { routes, findings } = readRoutes(text, at.file, { family });
  const unknown = findings.find((f) => f.severity !== 'note' || f.code === 'unknown-word');
  const [route] = routes;
  if (!route || unknown) return unread(unknown ? [unknown] : findings) ?? garbage(prefix, 'to');
  if (type !== undefined) given.add('type');
  return { route, given };
}

/** The route's words as ip lists them, with the devices that were found. */
function listed(route: Route, text: string): string {
  const [hop] = route.nextHops;
  return route.nextHops.length === 1 && hop?.device !== undefined && !/\bdev\b/.test(text)
    ? text.replace(/\bvia (?:inet6? )?\S+/, `$& dev ${hop.device}`)
    : text;
}

/** fib_create_info() and ip6_route_info_create(): next hops checked, their devices found. */
function complete(ns: Namespace, route: Route): Route | Refusal {
  const { family } = route;
  if (REFUSING.has(route.type)) return { ...route, nextHops: family === 6 ? [{ device: 'lo', weight: 1 }] : [] };
  if (route.nextHops.length === 0) return answers('No such device');
  const nextHops: NextHop[] = [];
  for (const hop of route.nextHops) {
    const checked = checkHop(ns, route, hop);
    if (isRefused(checked)) return checked;
    nextHops.push(checked);
  }
  const { src } = route;
  if (src !== undefined && ns.captured.addresses && !ns.addresses.some((a) => equal(a.addr, src)) && !Fib.of(ns, family).isLocal(src))
    return { refused: family === 4 ? 'Error: Invalid prefsrc address.' : 'Error: Invalid source address.' };
  return { ...route, nextHops };
}

/** fib_check_nh(), net/ipv4/fib_semantics.c; ip6_validate_gw(), net/ipv6/route.c. */
function checkHop(ns: Namespace, route: Route, hop: NextHop): NextHop | Refusal {
  const { via, device } = hop;
  const { family } = route;
  const invalid: Refusal = family === 4 ? { refused: 'Error: Nexthop has invalid gateway.' } : answers('No route to host');
  const isDown = device !== undefined && ns.links.some((l) => l.name === device && !l.up);
  if (via === undefined) {
    if (device === undefined) return answers('No such device');
    return isDown ? { refused: `Error: ${family === 4 ? 'Device for nexthop' : 'Nexthop device'} is not up.` } : hop;
  }
  if (hop.onlink) {
    if (device === undefined) return { refused: 'Error: Nexthop device required for onlink.' };
    return isDown ? { refused: 'Error: Nexthop device is not up.' } : hop;
  }
  if (familyOf(via) === 6) {
    if (ns.addresses.some((a) => equal(a.addr, via) && (!isLinkLocal(via) || a.device === device)))
      return { refused: 'Error: Gateway can not be a local address.' };
    if (isLinkLocal(via)) {
      if (device === undefined) return { refused: 'Error: Egress device not specified.' };
      return isDown ? { refused: 'Error: Nexthop device is not up.' } : hop;
    }
  }
  if (isDown && family === 6) return { refused: 'Error: Nexthop device is not up.' };
  const look = (from: Namespace): ReturnType<Fib['lookup']> =>
    Fib.of(from, familyOf(via)).lookup(
      { family: familyOf(via), dst: via, iif: 'lo', mark: 0, tos: 0, ...(device !== undefined && { oif: device }) },
      { decide: () => false, pick: (_key, hops) => hops[0]! },
    );
  // what is reached through a gateway is no gateway: only routes of a narrower scope count
  const near = altered(ns, { routes: familyOf(via) === 4 ? ns.routes.filter((r) => r.scope === 'link' || r.scope === 'host') : ns.routes });
  const own = near.routes.filter((r) => r.table === route.table).map((r) => ({ ...r, table: 'main' }));
  const first = route.table === 'main' ? undefined : look(altered(near, { routes: own, rules: [], addresses: [] }));
  const found = first?.kind === 'hit' ? first : look(near);
  if (found.kind === 'unknown')
    return device === undefined ? { refused: `${found.why}: the device of ${formatAddr(via)} is not known`, hint: 'add dev DEVICE' } : hop;
  const isNear = found.kind === 'hit' && (found.route.type === 'unicast' || found.route.type === 'local');
  if (!isNear || (familyOf(via) === 6 && found.hop.via !== undefined)) return invalid;
  // the device of an address of this host is the one that has it
  const owner = found.route.type === 'local' ? ns.addresses.find((a) => equal(a.addr, via))?.device : undefined;
  const through = device ?? owner ?? found.hop.device;
  return { ...hop, ...(through !== undefined && { device: through }) };
}

function sameTo(a: Route, b: Route): boolean {
  const same = a.family === b.family && a.table === b.table && a.to.length === b.to.length && equal(a.to.addr, b.to.addr);
  return same && (a.from?.length ?? 0) === (b.from?.length ?? 0) && (!a.from || equal(a.from.addr, b.from!.addr));
}

/** fib_info and fib_alias: whether two routes of one destination are one. */
function sameInfo(a: Route, b: Route): boolean {
  return routeKey(a) === routeKey(b) && a.scope === b.scope && a.proto === b.proto && a.mtu === b.mtu;
}

/** fib_table_insert(): one route of each destination, tos and metric, unless more are asked for. */
function insert4(ns: Namespace, route: Route, verb: string): Namespace | Refusal {
  const rivals = ns.routes.filter((r) => sameTo(r, route) && r.tos === route.tos && r.metric === route.metric);
  const [first] = rivals;
  if (!first) return verb === 'change' ? answers('No such file or directory') : altered(ns, { routes: [...ns.routes, route] });
  if (verb === 'add') return answers('File exists');
  const twin = rivals.find((r) => sameInfo(r, route));
  if (verb === 'change' || verb === 'replace') {
    if (twin) return twin === first ? ns : answers('File exists');
    return altered(ns, { routes: replaced(ns.routes, first, route) });
  }
  if (twin) return answers('File exists');
  const at = verb === 'prepend' ? ns.routes.indexOf(first) : ns.routes.indexOf(rivals.at(-1)!) + 1;
  return altered(ns, { routes: ns.routes.toSpliced(at, 0, route) });
}

/** rt6_qualify_for_ecmp(): with others of its destination and metric it is one route of several next hops. */
function isJoinable(r: Route): boolean {
  return r.nextHops.length > 0 && r.nextHops.every((h) => h.via !== undefined);
}

/** fib6_add_rt2node() */
function insert6(ns: Namespace, route: Route, verb: string): Namespace | Refusal {
  const rivals = ns.routes.filter((r) => sameTo(r, route) && r.metric === route.metric);
  const [first] = rivals;
  if (!first)
    return verb === 'change' ? { refused: 'Error: Can not replace route - no match found.' } : altered(ns, { routes: [...ns.routes, route] });
  if (verb === 'add') return answers('File exists');
  const kin = rivals.find((r) => isJoinable(r) === isJoinable(route));
  if (verb === 'change' || verb === 'replace') return altered(ns, { routes: replaced(ns.routes, kin ?? first, route) });
  const words = (h: NextHop): string => `${h.via === undefined ? '' : formatAddr(h.via)}%${h.device ?? ''}`;
  const known = new Set(rivals.flatMap((r) => r.nextHops.map(words)));
  if (route.nextHops.some((h) => known.has(words(h)))) return answers('File exists');
  if (!kin || !isJoinable(route)) return altered(ns, { routes: [...ns.routes, route] });
  return altered(ns, { routes: replaced(ns.routes, kin, { ...kin, nextHops: [...kin.nextHops, ...route.nextHops], at: route.at }) });
}

function remove(ns: Namespace, { route, given }: Asked): Namespace | Refusal {
  const { family } = route;
  const hasHop = (r: Route, asked: NextHop, i: number): boolean => {
    const of = family === 6 ? r.nextHops : r.nextHops.slice(i, i + 1);
    return of.some(
      (h) =>
        (asked.device === undefined || h.device === asked.device) && (asked.via === undefined || (h.via !== undefined && equal(h.via, asked.via))),
    );
  };
  const isMeant = (r: Route): boolean =>
    sameTo(r, route) &&
    (family === 6 || r.tos === route.tos) &&
    (!given.has('metric') || route.metric === 0 || r.metric === route.metric) &&
    (!given.has('type') || family === 6 || r.type === route.type) &&
    (!given.has('scope') || family === 6 || r.scope === route.scope) &&
    (!given.has('proto') || r.proto === route.proto) &&
    (!given.has('src') || (r.src !== undefined && equal(r.src, route.src!))) &&
    route.nextHops.every((h, i) => hasHop(r, h, i));
  const gone = ns.routes.filter(isMeant).toSorted((a, b) => a.metric - b.metric)[0];
  if (!gone) {
    const plain = ['metric', 'proto', 'via', 'dev', 'src'].every((w) => !given.has(w));
    // fib6_null_entry stands at the root of each table of IPv6
    const missing = family === 6 && plain && route.to.length === 0 ? answers('No such file or directory') : answers('No such process');
    return uncaptured(ns, family === 4 ? 'routes4' : 'routes6', `routes of IPv${family}`, 'ip route show table all') ?? missing;
  }
  if (family === 6 && gone.nextHops.length > 1 && given.has('via')) {
    const left = gone.nextHops.filter((h) => !route.nextHops.some((x) => hasHop({ ...gone, nextHops: [h] }, x, 0)));
    if (left.length > 0) return altered(ns, { routes: replaced(ns.routes, gone, { ...gone, nextHops: left }) });
  }
  return altered(ns, { routes: ns.routes.filter((r) => r !== gone) });
}

/** iproute_list_flush_or_save(), for a table, a device or a protocol. */
function flush(ns: Namespace, { words, family = 4 }: IpCommand): Namespace | Refusal {
  if (words[0] === 'cache') return ns;
  const want = new Map<string, string>();
  for (let i = 0; i < words.length; i += 2) {
    const name = SPELLED[words[i]!] ?? words[i]!;
    if (!/^(?:table|dev|proto)$/.test(name) || words[i + 1] === undefined)
      return {
        refused: `ip route flush '${words.slice(i).join(' ')}' cannot be carried out`,
        hint: 'flush table TABLE, dev DEVICE or proto NAME; delete others one by one',
      };
    want.set(name, words[i + 1]!);
  }
  if (want.size === 0) return { refused: '"ip route flush" requires arguments.' };
  const device = want.get('dev');
  const link = device === undefined ? undefined : findLink(ns, device);
  if (link && isRefused(link)) return link;
  const table = want.get('table') ?? 'main';
  const isMeant = (r: Route): boolean =>
    r.family === family &&
    (table === 'all' || r.table === table) &&
    (device === undefined || r.nextHops.some((h) => h.device === device)) &&
    (!want.has('proto') || r.proto === want.get('proto'));
  return altered(ns, { routes: ns.routes.filter((r) => !isMeant(r)) });
}
