// Edits by ip.
import type { Tool } from './edit.ts';

export const editIp: Tool = (_ns, command) => ({ refused: `'${command.text}' cannot be carried out yet` });
