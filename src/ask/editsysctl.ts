// Edits by sysctl.
import type { Namespace, Sysctl } from '../model/host.ts';
import { readSysctls } from '../capture/sysctl.ts';
import { altered } from './altered.ts';
import { isRefused, type Command, type Refusal, type Tool } from './edit.ts';

/** Options that change what sysctl says, not what it does. */
const QUIET = /^(?:-[wqnNbe]+|--write|--quiet|--values|--names|--binary|--ignore)$/;

export const editSysctl: Tool = (ns, command) => {
  const options = command.words.filter((w) => w.startsWith('-'));
  const settings = command.words.filter((w) => !w.startsWith('-'));
  const strange = options.find((o) => !QUIET.test(o));
  if (strange !== undefined) return { refused: `sysctl ${strange} cannot be carried out`, hint: "write 'sysctl -w KEY=VALUE'" };
  if (settings.length === 0) return { refused: 'sysctl: no variables specified', hint: "write 'sysctl -w KEY=VALUE'" };
  const ignoresUnknown = options.some((o) => o === '--ignore' || /^-\w*e/.test(o));
  let sysctls = ns.sysctls;
  for (const setting of settings) {
    const eq = setting.indexOf('=');
    if (eq < 0 || setting.slice(0, eq).trim() === '')
      return { refused: `sysctl: '${setting}' sets nothing`, hint: "write 'sysctl -w KEY=VALUE', without blanks around the '='" };
    const path = pathOf(setting.slice(0, eq).trim());
    const refused = whyNoKey(ns, path);
    if (refused !== undefined && ignoresUnknown) continue;
    if (refused !== undefined) return { refused: `sysctl: ${refused}` };
    const written = write(ns, sysctls, path, setting.slice(eq + 1).trim(), command);
    if (isRefused(written)) return written;
    sysctls = written;
  }
  return sysctls === ns.sysctls ? ns : altered(ns, { sysctls });
};

/** The path below /proc/sys. What parts it is the separator that stands first; the other one then belongs to a name: `conf.eth0/100.rp_filter`. */
function pathOf(key: string): string {
  return /^[^/]*\./.test(key) ? key.replace(/[./]/g, (c) => (c === '.' ? '/' : '.')) : key;
}

/** Why the kernel has no such key; undefined where it has, or where the capture does not tell. */
function whyNoKey(ns: Namespace, path: string): string | undefined {
  const nowhere = `cannot stat /proc/sys/${path}: No such file or directory`;
  const [, device] = /^net\/ipv[46]\/(?:conf|neigh)\/([^/]+)\//.exec(path) ?? [];
  // net/ipv4/conf/eth0/100/rp_filter is what people get who write eth0.100 between dots
  if (device !== undefined && path.split('/').length !== 5) return nowhere;
  const key = path.replaceAll('/', '.');
  if (Object.hasOwn(ns.sysctls, key)) return undefined;
  const isKnownDevice = device === undefined || device === 'all' || device === 'default' || ns.links.some((l) => l.name === device);
  if (!isKnownDevice && ns.captured.links) return nowhere;
  return isWhole(ns) ? nowhere : undefined;
}

/** Reports whether all settings were captured: `sysctl -a` has some of each room, a choice of them does not. */
function isWhole({ sysctls }: Namespace): boolean {
  return ['kernel.ostype', 'fs.file-max', 'vm.swappiness', 'net.core.somaxconn', 'net.ipv4.ip_forward'].every((key) => Object.hasOwn(sysctls, key));
}

function write(
  ns: Namespace,
  sysctls: Readonly<Record<string, Sysctl>>,
  path: string,
  text: string,
  command: Command,
): Readonly<Record<string, Sysctl>> | Refusal {
  const [[key, read] = []] = Object.entries(readSysctls(`/proc/sys/${path}=${text}`, command.at.file).sysctls);
  if (key === undefined || !read) return { refused: `sysctl: '${path}' is not a key`, hint: "write 'sysctl -w KEY=VALUE'" };
  const old = sysctls[key]?.value;
  const value = valueOf(old, read.value);
  if (value === undefined) return { refused: `sysctl: setting key "${path.replace(/[./]/g, (c) => (c === '/' ? '.' : '/'))}": Invalid argument` };
  const entry: Sysctl = { value, at: command.at };
  const changed = new Set([key, ...alsoSet(ns, sysctls, key)]);
  const out: Record<string, Sysctl> = { ...sysctls };
  // a device's name with a dot stands there in two spellings
  for (const known of Object.keys(sysctls)) if (changed.has(known.replaceAll('/', '.'))) out[known] = entry;
  for (const name of changed) out[name] = entry;
  return out;
}

/** What a number is read back as; undefined where the kernel takes none: proc_dointvec() reads the first number, whatever its base. */
function valueOf(old: string | undefined, text: string): string | undefined {
  if (old !== undefined && /^-?\d+\s+-?\d/.test(old)) return text.replace(/\s+/g, '\t');
  const [, sign = '', digits] = /^([+-]?)(0x[0-9a-f]+|\d+)(?:\s|$)/i.exec(text) ?? [];
  const isNumber = old !== undefined && /^-?\d+$/.test(old);
  if (digits === undefined) return isNumber ? undefined : text;
  if (!isNumber && !/^\S+$/.test(text)) return text;
  const n = Number.parseInt(digits, /^0x/i.test(digits) ? 16 : /^0\d/.test(digits) ? 8 : 10);
  if (isNumber && (Number.isNaN(n) || n > 0xffffffff)) return undefined;
  return sign === '-' && n !== 0 ? `-${n}` : String(n);
}

/**
 * Keys that the kernel sets along with one. inet_forward_change() and devinet_copy_dflt_conf(), net/ipv4/devinet.c: `all` and
 * ip_forward set the forwarding of every device; another `default` goes to devices whose own was never set, and the first address
 * sets them all. addrconf_fixup_forwarding() and addrconf_disable_ipv6(), net/ipv6/addrconf.c
 */
function alsoSet(ns: Namespace, sysctls: Readonly<Record<string, Sysctl>>, key: string): string[] {
  const everywhere = (family: 4 | 6, name: string): string[] =>
    Object.keys(sysctls).filter((k) => k.startsWith(`net.ipv${family}.conf.`) && k.endsWith(`.${name}`) && !k.includes('/'));
  const conf = 'net.ipv4.conf';
  if (key === 'net.ipv4.ip_forward' || key === `${conf}.all.forwarding`)
    return ['net.ipv4.ip_forward', `${conf}.all.forwarding`, `${conf}.default.forwarding`, ...everywhere(4, 'forwarding')];
  const [, all6] = /^net\.ipv6\.conf\.all\.(forwarding|disable_ipv6)$/.exec(key) ?? [];
  if (all6 !== undefined) return [`net.ipv6.conf.default.${all6}`, ...everywhere(6, all6)];
  const [, name] = /^net\.ipv4\.conf\.default\.([^.]+)$/.exec(key) ?? [];
  if (name === undefined || name === 'forwarding') return [];
  const before = sysctls[key]?.value;
  const isSet = new Set(ns.addresses.filter((a) => typeof a.addr === 'number').map((a) => a.device));
  return everywhere(4, name).filter((k) => {
    const device = k.slice(conf.length + 1, -name.length - 1);
    return device !== 'all' && !isSet.has(device) && before !== undefined && sysctls[k]!.value === before;
  });
}
