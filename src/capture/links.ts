// `ip addr` and `ip link`: interfaces and their addresses, from text (also -d and -o) or from `ip -j`.
import * as z from 'zod';
import { familyOf, bitsOf, isError, parseAddr, type Addr } from '../net/addr.ts';
import type { Finding, Span } from '../model/finding.ts';
import type { InterfaceAddress, Link } from '../model/host.ts';
import { isJson, readItems } from './json.ts';
import { bridgePort, detailOf, detailOfJson, ofKind } from './linkdetail.ts';
import { isPrompt, Source, type Line } from './source.ts';

/** What a listing of interfaces holds; `ip link` gives no addresses, `ip -o addr` no links. */
export interface LinkListing {
  readonly links: Link[];
  readonly addresses: InterfaceAddress[];
  readonly findings: Finding[];
}

type Draft = { -readonly [K in keyof Link]: Link[K] };
type Scope = InterfaceAddress['scope'];

// The kinds that the link layer's type gives away without `ip -d`.
const KIND_OF_TYPE = new Map(
  Object.entries({
    loopback: 'loopback',
    ipip: 'ipip',
    sit: 'sit',
    gre: 'gre',
    gre6: 'ip6gre',
    tunnel6: 'ip6tnl',
  }),
);

/** Reads what `ip addr` or `ip link` printed. */
export function readLinks(text: string, file: string): LinkListing {
  const source = new Source(text, file);
  const out: { links: Draft[]; addresses: InterfaceAddress[] } = { links: [], addresses: [] };
  if (isJson(text)) fromJson(text, source, out);
  else fromText(source, out);
  const byName = new Map(out.links.map((l) => [l.name, l.index]));
  for (const link of out.links) {
    const index = link.peerName === undefined ? undefined : byName.get(link.peerName);
    if (index) link.peerIndex = index;
  }
  return { ...out, findings: source.findings };
}

function fromText(source: Source, out: { links: Draft[]; addresses: InterfaceAddress[] }): void {
  let link: Draft | undefined;
  let device: string | undefined;
  for (const whole of source.lines()) {
    for (const [i, part] of whole.text.split('\\').entries()) {
      const line = i === 0 ? whole : { text: `    ${part.trim()}`, number: whole.number }; // `ip -o` joins the lines of a device with a backslash
      const head = /^(\d+): ([^\s:]+):? /.exec(`${line.text} `);
      let words = line.text.trim().split(/\s+/);
      if (head) {
        const isLink = words[1]!.endsWith(':');
        link = isLink ? header(words, line, source) : undefined;
        if (link) out.links.push(link);
        device = link?.name ?? words[1]!.replace(/[:@].*$/, '');
        if (isLink) continue;
        words = words.slice(2);
      } else if (words[0] === '' || isPrompt(line.text)) continue;
      else if (!/^\s/.test(line.text)) {
        source.report('error', 'unreadable-link', 'not a line that ip addr or ip link prints', line);
        continue;
      }
      const first = words[0] ?? '';
      if (first === 'inet' || first === 'inet6') {
        if (device === undefined) source.report('error', 'unreadable-address', 'an address before any device', line);
        else address(words, device, line, source, out.addresses);
      } else if (link && first.startsWith('link/')) layer(link, first.slice(5), words);
      else if (link) detail(link, words, source.span(line));
    }
  }
}

function header(words: readonly string[], line: Line, source: Source): Draft | undefined {
  const [name, peer] = words[1]!.slice(0, -1).split('@');
  const flags = /^<(.*)>$/.exec(words[2] ?? '')?.[1]?.split(',');
  const mtu = Number(after(words, 'mtu'));
  if (!name || !flags || !Number.isInteger(mtu)) {
    source.report('error', 'unreadable-link', 'a device without its flags and mtu', line);
    return undefined;
  }
  const master = after(words, 'master');
  const promiscuous = flags.includes('PROMISC');
  return {
    index: Number(words[0]!.slice(0, -1)),
    name,
    up: flags.includes('UP'),
    mtu,
    ...peerOf(peer),
    ...(master ? { master } : {}),
    ...(flags.includes('NOARP') ? { noArp: true } : {}),
    ...(promiscuous ? { promiscuous } : {}),
    at: source.span(line),
  };
}

function after(words: readonly string[], name: string): string | undefined {
  const i = words.indexOf(name);
  return i < 0 ? undefined : words[i + 1];
}

function peerOf(text: string | undefined): { peerIndex?: number; peerName?: string } {
  if (!text || text === 'NONE') return {};
  const index = /^if(\d+)$/.exec(text);
  return index ? { peerIndex: Number(index[1]) } : { peerName: text };
}

function layer(link: Draft, type: string, words: readonly string[]): void {
  setLayer(link, type, words[1]);
  const id = after(words, 'link-netnsid');
  const netns = after(words, 'link-netns');
  if (id !== undefined) link.peerNamespaceId = Number(id) || 0;
  if (netns !== undefined) link.peerNamespace = netns;
}

function setLayer(link: Draft, type: string, mac: string | undefined): void {
  const kind = KIND_OF_TYPE.get(type);
  if (kind !== undefined) link.kind = kind;
  if (type !== 'loopback' && mac !== undefined && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac)) link.mac = mac.toLowerCase();
}

// The lines of `ip -d` that begin with the device's kind or with that of its master, and none of those around them.
function detail(link: Draft, words: readonly string[], at: Span): void {
  const word = words[0]!;
  if (/^(valid_lft|altname|RX|TX|RX:|TX:|alias|vf|parentbus|prog\/xdp|addrgenmode|numtxqueues|bytes|promiscuity)$/.test(word)) return;
  if (word === 'bridge_slave') link.port = bridgePort(detailOf(words), at);
  if (word.endsWith('_slave') || !/^[a-z][\w-]*$/.test(word)) return;
  if (link.kind !== undefined && link.kind === 'loopback') return;
  link.kind = word;
  Object.assign(link, ofKind(word, detailOf(words)));
}

function address(words: readonly string[], device: string, line: Line, source: Source, out: InterfaceAddress[]): void {
  const [local, slash] = (words[1] ?? '').split('/');
  const addr = parseAddr(local!);
  if (isError(addr)) {
    source.report('error', 'unreadable-address', addr.error, line, { part: local! });
    return;
  }
  const [peerText, peerSlash] = (after(words, 'peer') ?? '').split('/');
  const peer = peerText ? parseAddr(peerText) : undefined;
  const brd = after(words, 'brd');
  const broadcast = brd === undefined ? undefined : parseAddr(brd);
  const scope = after(words, 'scope');
  const lengthText = peerSlash ?? slash;
  push(
    {
      device,
      addr,
      length: lengthText === undefined ? bitsOf(familyOf(addr)) : Number(lengthText),
      peer: isError(peer) ? undefined : peer,
      broadcast: isError(broadcast) ? undefined : broadcast,
      scope,
      secondary: words.includes('secondary'),
    },
    line,
    source,
    out,
  );
}

interface Parsed {
  readonly device: string;
  readonly addr: Addr;
  readonly length: number;
  readonly peer: Addr | undefined;
  readonly broadcast: Addr | undefined;
  readonly scope: string | undefined;
  readonly secondary: boolean;
}

function push(a: Parsed, line: Line, source: Source, out: InterfaceAddress[]): void {
  if (!Number.isInteger(a.length) || a.length < 0 || a.length > bitsOf(familyOf(a.addr))) {
    source.report('error', 'unreadable-address', 'the prefix length does not fit the address', line);
    return;
  }
  const scope: Scope = a.scope === 'host' || a.scope === 'link' || a.scope === 'site' ? a.scope : 'global';
  const { device, addr, length, peer, broadcast, secondary } = a;
  out.push({
    device,
    addr,
    length,
    ...(peer === undefined ? {} : { peer }),
    ...(broadcast === undefined ? {} : { broadcast }),
    scope,
    secondary,
    at: source.span(line),
  });
}

const Json = z.looseObject({
  ifindex: z.number().optional(),
  link: z.string().nullish(),
  link_index: z.number().optional(),
  link_netnsid: z.number().optional(),
  link_netns: z.string().optional(),
  ifname: z.string(),
  flags: z.array(z.string()).optional(),
  mtu: z.number().optional(),
  master: z.string().optional(),
  link_type: z.string().optional(),
  address: z.string().optional(),
  linkinfo: z
    .looseObject({
      info_kind: z.string().optional(),
      info_data: z.record(z.string(), z.unknown()).optional(),
      info_slave_kind: z.string().optional(),
      info_slave_data: z.record(z.string(), z.unknown()).optional(),
    })
    .optional(),
  addr_info: z
    .array(
      z.looseObject({
        local: z.string().optional(),
        address: z.string().optional(),
        broadcast: z.string().optional(),
        prefixlen: z.number().optional(),
        scope: z.string().optional(),
        secondary: z.boolean().optional(),
      }),
    )
    .optional(),
});

function fromJson(text: string, source: Source, out: { links: Draft[]; addresses: InterfaceAddress[] }): void {
  for (const { value: v, line } of readItems(text, source, Json)) {
    if (v.flags && v.mtu !== undefined) {
      const link: Draft = {
        index: v.ifindex ?? 0,
        name: v.ifname,
        up: v.flags.includes('UP'),
        mtu: v.mtu,
        ...(v.link_index === undefined ? peerOf(v.link ?? undefined) : { peerIndex: v.link_index }),
        ...(v.link_netnsid === undefined ? {} : { peerNamespaceId: v.link_netnsid }),
        ...(v.link_netns === undefined ? {} : { peerNamespace: v.link_netns }),
        ...(v.master === undefined ? {} : { master: v.master }),
        ...(v.flags.includes('NOARP') ? { noArp: true } : {}),
        ...(v.flags.includes('PROMISC') ? { promiscuous: true } : {}),
        at: source.span(line),
      };
      setLayer(link, v.link_type ?? '', v.address);
      const { info_kind: kind, info_data: data, info_slave_kind: master, info_slave_data: port } = v.linkinfo ?? {};
      if (kind !== undefined) {
        link.kind = kind;
        Object.assign(link, ofKind(kind, detailOfJson(data ?? {})));
      }
      if (master === 'bridge' && port) link.port = bridgePort(detailOfJson(port), source.span(line));
      out.links.push(link);
    }
    for (const a of v.addr_info ?? []) {
      if (a.local === undefined) continue; // ip -j leaves an empty object for each address it was not asked for
      const addr = parseAddr(a.local);
      const peer = a.address === undefined ? undefined : parseAddr(a.address);
      const broadcast = a.broadcast === undefined ? undefined : parseAddr(a.broadcast);
      if (isError(addr)) source.report('error', 'unreadable-address', addr.error, line, { part: a.local });
      else {
        const length = a.prefixlen ?? bitsOf(familyOf(addr));
        push(
          {
            device: v.ifname,
            addr,
            length,
            scope: a.scope,
            secondary: a.secondary ?? false,
            peer: isError(peer) ? undefined : peer,
            broadcast: isError(broadcast) ? undefined : broadcast,
          },
          line,
          source,
          out.addresses,
        );
      }
    }
  }
}
