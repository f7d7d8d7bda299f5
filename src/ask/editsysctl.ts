// Edits by sysctl.
import type { Tool } from './edit.ts';

export const editSysctl: Tool = (_ns, command) => ({ refused: `'${command.text}' cannot be carried out yet` });
