// Edits by conntrack.
import type { Tool } from './edit.ts';

export const editConntrack: Tool = (_ns, command) => ({ refused: `'${command.text}' cannot be carried out yet` });
