// What-if edits: the commands that people type on a node, carried out on the model. Captures stay as they are; what an edit does not
// touch is shared with the world before it. A command that the node would refuse is refused, with the node's words.
import type { Span } from '../model/finding.ts';
import type { Namespace, World } from '../model/host.ts';
import { splitWords } from '../iptables-parser/index.ts';
import { editBridge } from './editbridge.ts';
import { editConntrack } from './editconntrack.ts';
import { editIp } from './editip.ts';
import { editIptables } from './editiptables.ts';
import { editIpset } from './editipset.ts';
import { editIpvsadm } from './editipvsadm.ts';
import { editNft } from './editnft.ts';
import { editSysctl } from './editsysctl.ts';

/** `NODE[/NAMESPACE]# COMMAND` */
export interface Edit {
  /** Of a wire, `wire:NAME`. */
  readonly node: string;
  /** '' for the node's root namespace. */
  readonly namespace: string;
  /** As typed: `iptables -P FORWARD ACCEPT`. */
  readonly command: string;
  /** The command line, or the line of the file, it stands in. */
  readonly at: Span;
}

/** Why a command is not carried out: the node's own words where it would refuse, else what to write instead. */
export interface Refusal {
  readonly refused: string;
  readonly hint?: string;
}

/** A command as a tool gets it. */
export interface Command {
  /** Words behind the tool's name, quotes taken off. */
  readonly words: readonly string[];
  /** The whole command; behind its first line stands what a tool would read from its input (iptables-restore, nft -f -). */
  readonly text: string;
  readonly at: Span;
}

/** Carries out a command of one tool in one namespace; `tool` is the name it was called by (`ip6tables-nft`). */
export type Tool = (ns: Namespace, command: Command, tool: string) => Namespace | Refusal;

export function isRefused(x: object): x is Refusal {
  return 'refused' in x;
}

const TOOLS: readonly (readonly [RegExp, Tool])[] = [
  [/^ip6?tables(?:-legacy|-nft)?(?:-restore)?$/, editIptables],
  [/^nft$/, editNft],
  [/^ipset$/, editIpset],
  [/^ipvsadm$/, editIpvsadm],
  [/^ip$/, editIp],
  [/^bridge$/, editBridge],
  [/^sysctl$/, editSysctl],
  [/^conntrack$/, editConntrack],
];

const WIRE = /^wire:(.+)$/;

/** Reads `NODE[/NAMESPACE]# COMMAND`, or `wire:NAME# del DENIAL`; of a world with one node, `# COMMAND` and the command alone are enough. */
export function readEdit(text: string, at: Span, world: World): Edit | Refusal {
  const m = /^\s*([^\s#]*)#\s*(.*?)\s*$/s.exec(text);
  const where = m?.[1] ?? '';
  const command = (m?.[2] ?? text.trim()).replace(/^(?:sudo|ip netns exec \S+)\s+/, '');
  if (command === '')
    return { refused: `'${text.trim()}' has no command`, hint: "write 'NODE# COMMAND', for example 'worker1# iptables -P FORWARD ACCEPT'" };
  const hosts = world.namespaces;
  const wire = WIRE.exec(where)?.[1];
  if (wire !== undefined)
    return world.wires.some((w) => w.name === wire)
      ? { node: where, namespace: '', command, at }
      : { refused: `there is no wire ${wire} in the scenario`, hint: `one of ${world.wires.map((w) => w.name).join(', ')}` };
  if (where === '') {
    const roots = hosts.filter((n) => n.name === '' && !n.stub);
    if (roots.length === 1) return { node: roots[0]!.node, namespace: '', command, at };
    return {
      refused: `'${text.trim()}' does not say on which node`,
      hint: `write 'NODE# ${command}', NODE one of ${roots.map((n) => n.node).join(', ')}`,
    };
  }
  const [node = '', ...rest] = where.split('/');
  const namespace = rest.join('/');
  if (!hosts.some((n) => n.node === node && n.name === namespace)) {
    const known = hosts.map((n) => (n.name === '' ? n.node : `${n.node}/${n.name}`));
    return { refused: `there is no ${where} in the capture`, hint: `one of ${known.join(', ')}` };
  }
  return { node, namespace, command, at };
}

/** The world after a command; of what it does not touch, the same objects. */
export function applyEdit(world: World, edit: Edit): World | Refusal {
  const wire = WIRE.exec(edit.node)?.[1];
  if (wire !== undefined) return editWire(world, wire, edit.command);
  const ns = world.namespaces.find((n) => n.node === edit.node && n.name === edit.namespace);
  if (!ns) return { refused: `there is no ${edit.node}${edit.namespace && `/${edit.namespace}`} in the capture` };
  // what follows the first line is a tool's input: iptables-restore, nft -f -
  const words = splitWords(edit.command.split('\n', 1)[0]!).words.map((t) => t.text);
  const [tool = ''] = words;
  const name = tool.slice(tool.lastIndexOf('/') + 1);
  const found = TOOLS.find(([sign]) => sign.test(name));
  if (!found)
    return {
      refused: `'${name}' is no command that netwhy can carry out`,
      hint: 'iptables, ip6tables, iptables-restore, nft, ipset, ipvsadm, ip, bridge, sysctl, conntrack',
    };
  if (ns.stub && found[1] !== editIp)
    return {
      refused: `${ns.node} is not captured: the scenario says which addresses and routes it has`,
      hint: 'ip addr, ip route and ip link can be carried out there',
    };
  const edited = found[1](ns, { words: words.slice(1), text: edit.command, at: edit.at }, name);
  if (isRefused(edited)) return edited;
  return withParts(world, { namespaces: world.namespaces.map((n) => (n === ns ? edited : n)) });
}

/** `del deny proto udp`: somebody has the wire carry what it did not. */
function editWire(world: World, name: string, command: string): World | Refusal {
  const said = /^del (.+)$/.exec(command)?.[1];
  const wire = world.wires.find((w) => w.name === name);
  const gone = wire?.deny?.find((d) => d.text === said);
  if (!wire || !gone)
    return {
      refused: `the wire ${name} has no '${said ?? command}'`,
      hint: wire?.deny?.map((d) => `del ${d.text}`).join('; ') ?? 'it carries everything',
    };
  return withParts(world, { wires: world.wires.map((w) => (w === wire ? { ...w, deny: w.deny!.filter((d) => d !== gone) } : w)) });
}

/** Several edits one after the other; the first that is refused ends it. */
export function applyEdits(world: World, edits: readonly Edit[]): World | (Refusal & { readonly edit: Edit }) {
  let now = world;
  for (const edit of edits) {
    const next = applyEdit(now, edit);
    if (isRefused(next)) return { ...next, edit };
    now = next;
  }
  return now;
}

/** The world with other namespaces or wires; findings are read when asked for, as before. */
function withParts(world: World, { namespaces = world.namespaces, wires = world.wires }: Partial<Pick<World, 'namespaces' | 'wires'>>): World {
  return {
    ...(world.witness && { witness: world.witness }),
    ...(world.evidence && { evidence: world.evidence }),
    wires,
    namespaces,
    get findings() {
      return world.findings;
    },
  };
}
