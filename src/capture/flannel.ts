// flannel's records: leases and the network's configuration as etcdctl prints them, and /run/flannel/subnet.env with what
// is made of it for docker.
import * as z from 'zod';
import { isError, parseAddr, parsePrefix, type Prefix } from '../net/addr.ts';
import type { Finding, Span } from '../model/finding.ts';
import type { FlannelNetwork, LeaseRecord, SubnetFile, Witness } from '../model/witness.ts';
import { isPrompt, Source, type Line } from './source.ts';

/** What a file of flannel's records says. */
export interface FlannelReading extends Pick<Witness, 'leases' | 'networks' | 'subnetFiles'> {
  readonly findings: readonly Finding[];
}

/** `/coreos.com/network/subnets/10.100.28.0-24`, under whatever prefix flannel was given. */
const LEASE_KEY = /\/subnets\/(\d+\.\d+\.\d+\.\d+-\d+)\b/;

/** Reads etcdctl's output (of ls, get, get --prefix; also with the prompts of a session), or subnet.env. */
export function readFlannel(text: string, file: string): FlannelReading {
  const source = new Source(text, file);
  if (/^(?:export )?(?:FLANNEL|DOCKER_OPT)_\w+=/m.test(text)) return { leases: [], networks: [], ...subnetFile(source), findings: source.findings };
  const leases: LeaseRecord[] = [];
  const networks: FlannelNetwork[] = [];
  let key: Prefix | undefined;
  let listed = false;
  for (const line of values(source)) {
    const name = LEASE_KEY.exec(line.text);
    if (!line.text.trimStart().startsWith('{')) {
      // keys one below the other are what `ls` prints; a value belongs to the key that was asked for, or stands above it alone
      const asked = isPrompt(line.text) && /\bget\b/.test(line.text);
      if (name) {
        const prefix = parsePrefix(name[1]!.replace('-', '/'));
        if (isError(prefix)) source.report('error', 'unreadable-lease', prefix.error, line, { part: name[1]! });
        key = isError(prefix) || (listed && !asked) ? undefined : prefix;
        listed = !asked;
      } else if (line.text.trim() !== '' && !/^(?:Key|Created-Index|Modified-Index|TTL|Index):/.test(line.text)) [key, listed] = [undefined, false];
      continue;
    }
    const at = source.span(line);
    const value = parse(line.text);
    const network = readNetworkConfig(line.text, at);
    const lease = value === undefined ? 'not whole JSON' : readLease(value, 'etcd', at);
    if (network) networks.push(network);
    else if (typeof lease !== 'string') leases.push({ ...lease, ...(key && { subnet: key }) });
    else source.report('error', 'unreadable-lease', `this is not a record of flannel: ${lease}`, line);
    [key, listed] = [undefined, false];
  }
  return { leases, networks, subnetFiles: [], findings: source.findings };
}

/** The lines of a text; a value in braces that goes over several is one. */
function* values(source: Source): Generator<Line> {
  let open: { text: string; number: number; lines: number } | undefined;
  for (const line of source.lines()) {
    // what is inside a value is indented: this is the next one, and the open one has no end
    if (open && line.text.startsWith('{')) {
      yield open;
      open = undefined;
    }
    if (open) {
      open.text += ` ${line.text.trim()}`;
      open.lines++;
    } else if (/^\s*\{/.test(line.text)) open = { text: line.text.trim(), number: line.number, lines: 1 };
    else yield line;
    // no value has that many lines
    if (!open || (parse(open.text) === undefined && open.lines < 40)) continue;
    yield open;
    open = undefined;
  }
  if (open) yield open;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const Lease = z.looseObject({
  PublicIP: z.string(),
  BackendType: z.string().nullish(),
  BackendData: z.looseObject({ VtepMAC: z.string().nullish(), VNI: z.int().nullish() }).nullish(),
});

/** A lease from its JSON, or why it is none. */
export function readLease(value: unknown, from: LeaseRecord['from'], at: Span): LeaseRecord | string {
  const read = Lease.safeParse(value);
  if (!read.success) return `${read.error.issues[0]?.path.join('.') ?? ''}: ${read.error.issues[0]?.message ?? 'it does not fit'}`;
  const { PublicIP, BackendType, BackendData } = read.data;
  const publicIp = parseAddr(PublicIP);
  if (isError(publicIp)) return publicIp.error;
  const mac = BackendData?.VtepMAC?.toLowerCase();
  if (mac !== undefined && mac !== '' && !/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(mac)) return `'${mac}' is not a link-layer address`;
  const vni = BackendData?.VNI;
  return { from, publicIp, backend: BackendType || 'udp', ...(mac && { vtepMac: mac }), ...(typeof vni === 'number' && { vni }), at };
}

const Network = z.looseObject({
  Network: z.string(),
  SubnetLen: z.int().nullish(),
  Backend: z.looseObject({ Type: z.string().nullish() }).nullish(),
});

/** flannel's configuration (`{"Network": "10.100.0.0/16", ...}`), where `text` is one. */
export function readNetworkConfig(text: string, at: Span): FlannelNetwork | undefined {
  const read = Network.safeParse(parse(text));
  const network = read.success ? parsePrefix(read.data.Network) : undefined;
  if (!read.success || network === undefined || isError(network)) return undefined;
  const { SubnetLen, Backend } = read.data;
  return { network, ...(typeof SubnetLen === 'number' && { subnetLength: SubnetLen }), ...(Backend?.Type ? { backend: Backend.Type } : {}), at };
}

function subnetFile(source: Source): { subnetFiles: SubnetFile[] } {
  const file: { -readonly [K in keyof SubnetFile]: SubnetFile[K] } = { at: source.span({ text: '', number: 1 }) };
  const block = (text: string, line: Line): NonNullable<SubnetFile['subnet']> | undefined => {
    const prefix = parsePrefix(text);
    const gateway = parseAddr(text.replace(/\/.*/, ''));
    if (!isError(prefix) && !isError(gateway)) return { prefix, gateway, at: source.span(line) };
    source.report('error', 'unreadable-address', isError(prefix) ? prefix.error : `'${text}' is not ADDR/LENGTH`, line, { part: text });
    return undefined;
  };
  for (const line of source.lines()) {
    const [, name, value = ''] = /^(?:export )?(\w+)=["']?([^"']*)["']?\s*$/.exec(line.text) ?? [];
    const given = name === 'FLANNEL_NETWORK' || name === 'FLANNEL_SUBNET' ? block(value.split(',')[0]!.trim(), line) : undefined;
    const bip = name === 'DOCKER_OPT_BIP' || name === 'DOCKER_NETWORK_OPTIONS' ? /--bip=(\S+)/.exec(value)?.[1] : undefined;
    const docker = bip === undefined || file.bip ? undefined : block(bip, line);
    if (given && name === 'FLANNEL_NETWORK') file.network = { prefix: given.prefix, at: given.at };
    else if (given) file.subnet = given;
    else if (docker) file.bip = docker;
    else if (name === 'FLANNEL_MTU' && /^\d+$/.test(value)) file.mtu = Number(value);
  }
  return { subnetFiles: [file] };
}
