// `sysctl -a`, or what grep prints of /proc/sys.
import type { Finding } from '../model/finding.ts';
import type { Sysctl } from '../model/host.ts';
import { isPrompt, Source } from './source.ts';

/**
 * Reads kernel settings. A key is kept as printed and, where that differs, also with dots alone: `sysctl` prints
 * `net.ipv4.conf.eth0/100.rp_filter` for the device eth0.100, the kernel's path is net/ipv4/conf/eth0.100/rp_filter.
 */
export function readSysctls(text: string, file: string): { readonly sysctls: Record<string, Sysctl>; readonly findings: Finding[] } {
  const source = new Source(text, file);
  const sysctls = new Map<string, Sysctl>();
  for (const line of source.lines()) {
    if (line.text.trim() === '' || isPrompt(line.text) || /^(sysctl|error|cat|grep|head|tail):/i.test(line.text)) continue;
    const path = /^\/proc\/sys\/([^\s=:]+)\s*[=:]\s*(.*)$/.exec(line.text);
    const dotted = path ?? /^\s*([\w.\-/@:+*]+?)\s*=\s*(.*)$/.exec(line.text);
    if (!dotted) {
      source.report('warning', 'unknown-line', 'not a line that sysctl prints', line, { hint: '`net.ipv4.ip_forward = 1`' });
      continue;
    }
    const entry = { value: dotted[2]!.trim(), at: source.span(line) };
    const plain = dotted[1]!.replaceAll('/', '.');
    if (!path) sysctls.set(dotted[1]!, entry);
    sysctls.set(plain, entry);
  }
  return { sysctls: Object.fromEntries(sysctls), findings: source.findings };
}
