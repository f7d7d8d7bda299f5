// Edits by bridge.
import type { Tool } from './edit.ts';

export const editBridge: Tool = (_ns, command) => ({ refused: `'${command.text}' cannot be carried out yet` });
