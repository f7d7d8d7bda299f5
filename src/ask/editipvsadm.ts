// Edits by ipvsadm.
import type { Tool } from './edit.ts';

export const editIpvsadm: Tool = (_ns, command) => ({ refused: `'${command.text}' cannot be carried out yet` });
