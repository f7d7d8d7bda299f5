// Edits by ipset.
import type { Tool } from './edit.ts';

export const editIpset: Tool = (_ns, command) => ({ refused: `'${command.text}' cannot be carried out yet` });
