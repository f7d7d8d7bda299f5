// `uname -a`: the node's name and its kernel.
import { linesOf } from './source.ts';

/** The host name and kernel release in `Linux node1 6.1.0-18-amd64 #1 SMP ...`; a bare release (`uname -r`) is understood. */
export function readUname(text: string): { readonly hostname?: string; readonly kernel?: string } {
  for (const line of linesOf(text)) {
    const all = /^Linux (\S+) (\d\S*)/.exec(line.text);
    if (all) return { hostname: all[1]!, kernel: all[2]! };
    const release = /^(\d+\.\d+\S*)\s*$/.exec(line.text);
    if (release) return { kernel: release[1]! };
  }
  return {};
}
