// `netwhy capture`: the script that a node runs to collect what `netwhy trace` reads.
import { CAPTURE_SCRIPT } from '../capture-script.ts';

/** The plain POSIX sh script, to be run on a node: a tar on its stdout, or a folder with `--dir DIR`. */
export function captureScript(): string {
  return CAPTURE_SCRIPT;
}
