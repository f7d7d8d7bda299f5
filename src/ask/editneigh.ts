// Edits by `ip neigh`: neigh_add() and neigh_delete(), net/core/neighbour.c.
import { equal, formatAddr, isError, parseAddr } from '../net/addr.ts';
import { readNeighbours } from '../capture/neighbours.ts';
import type { Namespace, Neighbour } from '../model/host.ts';
import { isRefused, type Refusal } from './edit.ts';
import { altered } from './altered.ts';
import { answers, findLink, garbage, replaced, uncaptured, unread, wordFor, type IpCommand } from './iproute.ts';

const STATES = ['permanent', 'reachable', 'noarp', 'none', 'stale', 'incomplete', 'delay', 'probe', 'failed'];
/** States in which the kernel has no link-layer address. */
const WITHOUT = new Set(['FAILED', 'INCOMPLETE', 'NONE']);

export function editNeighbour(ns: Namespace, { verb, words, at }: IpCommand): Namespace | Refusal {
  let [dst, device, mac, proxy]: (string | undefined)[] = [];
  let state = 'PERMANENT';
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === 'dev') device = words[++i];
    else if (word === 'lladdr') mac = words[++i];
    else if (word === 'proxy') [proxy, dst] = ['proxy', words[++i]];
    else if (word === 'nud') {
      const name = words[++i] ?? '';
      const full = wordFor(name, STATES);
      if (!full) return { refused: `Error: argument "${name}" is wrong: nud state is bad` };
      state = full.toUpperCase();
    } else if (/^(?:router|managed|extern_learn|use|protocol)$/.test(word)) return { refused: `'${word}' of a neighbour is not modelled` };
    else if (word === 'to' && dst === undefined) dst = words[++i];
    else if (dst === undefined) dst = word;
    else return garbage(word, 'to');
  }
  if (verb === 'flush') return flush(ns, device);
  if (dst === undefined || device === undefined) return { refused: 'Device and destination are required arguments.' };
  const addr = parseAddr(dst);
  if (isError(addr)) return { refused: `Error: any valid address is expected rather than "${dst}".` };
  const link = findLink(ns, device);
  if (link && isRefused(link)) return link;
  const old = ns.neighbours.find((n) => n.device === device && equal(n.addr, addr) && (n.proxy === true) === (proxy !== undefined));
  if (verb === 'delete') {
    if (!old) return uncaptured(ns, 'neighbours', 'neighbours', 'ip neigh') ?? answers('No such file or directory');
    return altered(ns, { neighbours: replaced(ns.neighbours, old, undefined) });
  }
  if (verb === 'add' && old && !proxy) return answers('File exists');
  if (verb === 'change' && !old) return answers('No such file or directory');
  if (mac !== undefined && !/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(mac)) return { refused: 'Error: Invalid link address.' };
  const lladdr = mac?.replace(/\b[0-9a-f]\b/gi, '0$&') ?? old?.mac;
  if (!proxy && lladdr === undefined && !WITHOUT.has(state)) return { refused: 'Error: No link layer address given.' };
  const part = proxy ?? `${lladdr === undefined || WITHOUT.has(state) ? '' : `lladdr ${lladdr} `}${state}`;
  const { neighbours, findings } = readNeighbours(`${formatAddr(addr)} dev ${device} ${part}`, at.file);
  const [now] = neighbours;
  if (!now) return unread(findings) ?? garbage(dst, 'to');
  return altered(ns, { neighbours: replaced(ns.neighbours, old, { ...now, at } satisfies Neighbour) });
}

/** ipneigh_flush leaves what stands by configuration. */
function flush(ns: Namespace, device: string | undefined): Namespace | Refusal {
  if (device === undefined) return { refused: 'Flush requires arguments.' };
  const stays = (n: Neighbour): boolean => n.device !== device || n.state === 'PERMANENT' || n.state === 'NOARP' || n.proxy === true;
  return altered(ns, { neighbours: ns.neighbours.filter(stays) });
}
