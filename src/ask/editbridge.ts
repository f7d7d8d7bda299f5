// Edits by bridge: options of ports and entries of the fdb. rtnl_fdb_add(), net/core/rtnetlink.c; br_fdb_add(), net/bridge/br_fdb.c;
// vxlan_fdb_update(), drivers/net/vxlan/vxlan_core.c.
import { equal } from '../net/addr.ts';
import { readBridges } from '../capture/bridges.ts';
import type { FdbEntry, Link, Namespace } from '../model/host.ts';
import { altered } from './altered.ts';
import { withPortOptions } from './bridgeport.ts';
import { isRefused, type Refusal, type Tool } from './edit.ts';
import { answers, replaced, uncaptured, unread, wordFor, type IpCommand } from './iproute.ts';

const VERBS: Readonly<Record<string, string>> = { link: 'set change show lst list', fdb: 'add append replace delete get show lst list flush' };

export const editBridge: Tool = (ns, { words, at }) => {
  const rest = words.slice(words.findIndex((w) => !w.startsWith('-')));
  const object = wordFor(rest[0] ?? '', ['link', 'fdb', 'mdb', 'vlan', 'vni', 'monitor', 'mst']);
  if (object === undefined) return { refused: `Object "${rest[0] ?? ''}" is unknown, try "bridge help".` };
  const verbs = VERBS[object];
  if (verbs === undefined) return { refused: `bridge ${object} is not modelled`, hint: 'bridge link set and bridge fdb are' };
  const verb = wordFor(rest[1] ?? 'list', verbs.split(' '));
  if (verb === undefined) return { refused: `Command "${rest[1]}" is unknown, try "bridge ${object} help".` };
  if (/^(?:show|lst|list|get)$/.test(verb))
    return { refused: `bridge ${object} ${verb} changes nothing`, hint: 'an edit adds, deletes or replaces something' };
  if (verb === 'flush') return { refused: 'bridge fdb flush is not modelled', hint: 'delete the entries one by one' };
  const command: IpCommand = { verb, words: rest.slice(2), at };
  return object === 'link' ? setPort(ns, command) : editFdb(ns, command);
};

/** brlink_modify() */
function setPort(ns: Namespace, { words, at }: IpCommand): Namespace | Refusal {
  const i = words.indexOf('dev');
  const name = i < 0 ? undefined : words[i + 1];
  if (name === undefined) return { refused: 'Device is a required argument.' };
  const link = ns.links.find((l) => l.name === name);
  if (!link) return uncaptured(ns, 'links', 'devices', 'ip -d addr') ?? { refused: `Cannot find bridge device "${name}"` };
  if (link.master === undefined) return answers('Operation not supported');
  const options = words.toSpliced(i, 2).filter((w) => w !== 'self' && w !== 'master');
  return withPortOptions(ns, link, options, at);
}

/** fdb_modify() of iproute2, then the entry's owner: a bridge (`master`) or the device itself (`self`). */
function editFdb(ns: Namespace, command: IpCommand): Namespace | Refusal {
  const { verb, words, at } = command;
  const kinds = new Set<string>();
  const line: string[] = [];
  let [mac, device, state]: (string | undefined)[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const next = (): string => words[++i] ?? '';
    if (word === 'dev') device = next();
    else if (/^(?:dst|port|vni|vlan)$/.test(word)) line.push(word, next());
    else if (/^(?:self|master|router)$/.test(word)) kinds.add(word);
    else if (word === 'local' || word === 'permanent') state = 'permanent';
    else if (word === 'static' || word === 'dynamic' || word === 'temp') state = word;
    else if (/^(?:via|nhid|src_vni|use|extern_learn|sticky)$/.test(word)) return { refused: `'${word}' of an fdb entry is not modelled` };
    else if (mac === undefined) mac = word === 'to' ? next() : word;
    else return { refused: `Error: duplicate "to": "${word}" is the second value.` };
  }
  if (mac === undefined || device === undefined) return { refused: 'Device and address are required arguments.' };
  const link = ns.links.find((l) => l.name === device);
  if (!link && ns.captured.links) return { refused: `Cannot find device "${device}"` };
  const unknown = uncaptured(ns, 'fdb', 'entries of the fdb', 'bridge fdb');
  if (unknown && verb === 'delete') return unknown;
  if (!/^[0-9a-f]{1,2}(?::[0-9a-f]{1,2}){5}$/i.test(mac)) return { refused: `Invalid mac address ${mac}` };
  // br_fdb_add() is also what a bridge does with an entry of its own
  const own = link?.kind === 'bridge' ? device : undefined;
  const bridge = kinds.has('master') ? (link?.master ?? own) : own;
  if (kinds.has('master') && bridge === undefined) return answers('Operation not supported');
  const whole = mac.toLowerCase().replace(/\b[0-9a-f]\b/g, '0$&');
  const text = [whole, 'dev', device, ...line, ...(bridge === undefined ? ['self'] : ['master', bridge]), state ?? 'permanent'].join(' ');
  const { fdb, findings } = readBridges(text, at.file);
  const [entry] = fdb;
  if (!entry || findings.length > 0) return unread(findings) ?? { refused: `Invalid mac address ${mac}` };
  const now = bridge === undefined ? onDevice(ns, verb, { ...entry, at }, link) : onBridge(ns, verb, { ...entry, at });
  // `self master` asks both
  if (isRefused(now) || bridge === undefined || bridge === own || !kinds.has('self')) return now;
  const { bridge: _bridge, ...alone } = entry;
  return onDevice(now, verb, { ...alone, at }, link);
}

/** br_fdb_add(), fdb_delete_by_addr_and_port(): one entry of each address and VLAN on a bridge. */
function onBridge(ns: Namespace, verb: string, entry: FdbEntry): Namespace | Refusal {
  const same = (e: FdbEntry, vlan: number | undefined): boolean => e.bridge === entry.bridge && e.mac === entry.mac && e.vlan === vlan;
  // without a VLAN an entry is made for every VLAN of the port as well
  const vlans = new Set(ns.fdb.flatMap((e) => (e.device === entry.device && e.bridge === entry.bridge && e.permanent ? (e.vlan ?? []) : [])));
  const wanted = entry.vlan === undefined ? [undefined, ...vlans] : [entry.vlan];
  if (verb === 'delete') {
    const gone = ns.fdb.filter((e) => e.device === entry.device && wanted.some((vlan) => same(e, vlan)));
    return gone.length === 0 ? answers('No such file or directory') : altered(ns, { fdb: ns.fdb.filter((e) => !gone.includes(e)) });
  }
  let { fdb } = ns;
  for (const vlan of wanted) {
    const old = fdb.find((e) => same(e, vlan));
    if (old && verb === 'add') return answers('File exists');
    fdb = replaced(fdb, old, vlan === undefined ? entry : { ...entry, vlan });
  }
  return altered(ns, { fdb });
}

/** vxlan_fdb_add(), ndo_dflt_fdb_add(): addresses that a device itself sends to or takes. */
function onDevice(ns: Namespace, verb: string, entry: FdbEntry, link: Link | undefined): Namespace | Refusal {
  const same = ns.fdb.filter((e) => e.device === entry.device && e.bridge === undefined && e.mac === entry.mac && e.id === entry.id);
  const isTwin = (e: FdbEntry): boolean =>
    (entry.remote === undefined ? e.remote === undefined : e.remote !== undefined && equal(e.remote, entry.remote)) && e.port === entry.port;
  if (verb === 'delete') {
    const gone = entry.remote === undefined ? same : same.filter(isTwin);
    return gone.length === 0 ? answers('No such file or directory') : altered(ns, { fdb: ns.fdb.filter((e) => !gone.includes(e)) });
  }
  if (link?.kind === 'vxlan') {
    if (entry.remote === undefined && link.vxlan?.remote === undefined) return answers('Invalid argument');
    if (same.length > 0 && verb === 'add') return answers('File exists');
    const isGroup = entry.mac === '00:00:00:00:00:00' || (Number.parseInt(entry.mac, 16) & 1) === 1;
    if (verb === 'append' && same.length > 0) return !isGroup || same.some(isTwin) ? ns : altered(ns, { fdb: [...ns.fdb, entry] });
    if (verb === 'replace' && same.length > 0 && isGroup) return { refused: 'Error: Cannot replace non-unicast fdb entries.' };
    return altered(ns, { fdb: [...ns.fdb.filter((e) => !same.includes(e)), entry] });
  }
  if (!entry.permanent) return { refused: 'Error: FDB only supports static addresses.' };
  if (same.length > 0) return verb === 'add' ? answers('File exists') : ns;
  return altered(ns, { fdb: [...ns.fdb, entry] });
}
