// Edits by ip: which object, which verb, both cut short as people type them.
import type { Family } from '../net/addr.ts';
import type { Namespace } from '../model/host.ts';
import type { Refusal, Tool } from './edit.ts';
import { editAddress } from './editaddr.ts';
import { editLink } from './editlink.ts';
import { editNeighbour } from './editneigh.ts';
import { editRoute } from './editroute.ts';
import { editRule } from './editpolicy.ts';
import { wordFor, type IpCommand } from './iproute.ts';

type Editor = (ns: Namespace, command: IpCommand) => Namespace | Refusal;

// cmds[] of ip.c and the verbs of each object, in the order in which iproute2 compares them
const OBJECTS = 'address addrlabel maddress route rule neighbor neighbour ntable ntbl link l2tp tunnel netns'.split(' ');
const EDITORS: Readonly<Record<string, readonly [Editor, string]>> = {
  address: [editAddress, 'add change chg replace delete show lst list flush'],
  route: [editRoute, 'list show lst get add change chg replace prepend append test delete flush save'],
  rule: [editRule, 'list lst show add delete flush save'],
  neighbor: [editNeighbour, 'add change chg replace delete get show lst list flush'],
  neighbour: [editNeighbour, 'add change chg replace delete get show lst list flush'],
  link: [editLink, 'add set change replace delete show lst list'],
};
const LISTING = new Set(['show', 'list', 'lst', 'get', 'save', 'test']);
/** Options that change how ip prints, not what it does. */
const PRINTING = /^-(?:[dshrjpNaotcM0]|br|details|statistics|oneline|json|pretty|brief|color\S*|timestamp|force|resolve)$/;

export const editIp: Tool = (ns, { words, at }) => {
  let family: Family | undefined;
  let i = 0;
  for (; words[i]?.startsWith('-'); i++) {
    const option = words[i]!.replace(/^--/, '-');
    if (option === '-4' || option === '-6') family = option === '-4' ? 4 : 6;
    else if (/^-(?:f|family)$/.test(option)) family = words[++i] === 'inet6' ? 6 : 4;
    else if (/^-(?:n|net|netns)$/.test(option)) {
      const rest = words.slice(i + 2).join(' ');
      return { refused: `ip ${option} is not followed into the namespace`, hint: `write '${ns.node}/${words[i + 1] ?? 'NAMESPACE'}# ip ${rest}'` };
    } else if (!PRINTING.test(option)) return { refused: `Option "${option}" is unknown, try "ip -help".` };
  }
  const object = words[i] ?? '';
  const name = wordFor(object, OBJECTS);
  if (name === undefined) return { refused: `Object "${object}" is unknown, try "ip help".` };
  const editor = EDITORS[name];
  if (!editor) return { refused: `ip ${name} cannot be carried out`, hint: 'ip address, link, neighbour, route and rule can' };
  const verb = wordFor(words[i + 1] ?? 'list', editor[1].split(' '));
  if (verb === undefined) return { refused: `Command "${words[i + 1]}" is unknown, try "ip ${name} help".` };
  if (LISTING.has(verb)) return { refused: `ip ${name} ${verb} changes nothing`, hint: 'an edit adds, deletes or replaces something' };
  return editor[0](ns, { verb: verb === 'chg' ? 'change' : verb, words: words.slice(i + 2), ...(family && { family }), at });
};
