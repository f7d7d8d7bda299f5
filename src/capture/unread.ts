// What there is to say about a file that no reader takes: empty, binary, of a tool that is not read, or of none at all.
import type { Finding } from '../model/finding.ts';
import type { FileKind, Recognised } from './recognise.ts';
import { linesOf } from './source.ts';

// What an empty file of a kind says; an empty file of any other kind is a capture that failed.
const NOTHING: Readonly<Partial<Record<FileKind, string>>> = {
  'iptables-save': 'there are no rules',
  nft: 'there are no rules',
  'ipset-save': 'there are no sets',
  'ipset-list': 'there are no sets',
  ipvsadm: 'there are no virtual servers',
  'ipvs-connections': 'there are no connections of IPVS',
  route: 'there are no routes',
  neigh: 'there are no neighbours',
  bridge: 'there are no bridges',
  conntrack: 'there are no connections',
  missing: '',
  netns: '',
};

/** Reports whether nothing was printed where that cannot be all there is: a node without links, rules or settings. */
export function hasFailed(as: Recognised): boolean {
  return as.kind === 'empty' && NOTHING[as.named] === undefined;
}

/** The findings about a file that goes unread. */
export function unreadOf(file: { readonly path: string; readonly text: string; readonly as: Recognised }): Finding[] {
  const out: Finding[] = [];
  const note = (severity: Finding['severity'], code: string, message: string, hint?: string): void => {
    out.push({ severity, code, message, at: { file: file.path, line: 1 }, ...(hint ? { hint } : {}) });
  };
  switch (file.as.kind) {
    case 'empty':
      if (hasFailed(file.as)) note('warning', 'empty-file', 'the file is empty', 'capture it again as root, and look at what the command says');
      else if (NOTHING[file.as.named]) note('note', 'empty-file', `the file is empty: taken to say that ${NOTHING[file.as.named]}`);
      break;
    case 'iptables-table':
      note(
        'error',
        'lossy-listing',
        'iptables -L leaves out interfaces and more (and names what it can); rules cannot be read from it',
        'capture iptables-save, or iptables -S',
      );
      break;
    case 'binary':
      note('error', 'binary-file', 'this is not text', 'unpack archives and give the text that the command printed');
      break;
    case 'missing':
      for (const line of linesOf(file.text)) {
        const at = { file: file.path, line: line.number };
        if (line.text.trim()) out.push({ severity: 'note', code: 'not-captured', message: `could not be captured: ${line.text.slice(0, 200)}`, at });
      }
      break;
    case 'unknown':
      if (!/\.(?:md|ya?ml)$/i.test(file.path)) {
        note('note', 'not-recognised', 'no command that is known printed this', 'name the file after its command: iptables-save.txt, ip-route.txt');
      }
      break;
    default: // the other kinds have readers
      break;
  }
  return out;
}
