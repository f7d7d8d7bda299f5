// Edits by nft.
import type { Tool } from './edit.ts';

export const editNft: Tool = (_ns, command) => ({ refused: `'${command.text}' cannot be carried out yet` });
