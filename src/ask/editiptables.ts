// Edits by iptables.
import type { Tool } from './edit.ts';

export const editIptables: Tool = (_ns, command) => ({ refused: `'${command.text}' cannot be carried out yet` });
