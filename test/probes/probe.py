#!/usr/bin/env python3
"""One node on the real kernel, and one packet at a time through it.

`probe.py` reads one JSON object a line and answers each with one:

  {"op": "load", "devs": [{"name", "addrs"?: ["10.0.0.1/24"], "kind"?: "tap"|"dummy"..., "mac"?, "mtu"?, "arp"?: true, "up"?: false}],
   "ip"?: [lines of `ip -batch`, "-6 ..." for `ip -6`], "sysctls"?: {"net.ipv4.ip_forward": 1}, "ipset"?, "legacy"?, "nft"?, "legacy6"?, "nft6"?:
   texts, "ruleset"?: a script of `nft -f`, "first"?: "nft" or "ruleset" (loaded before the others), "conntrack"?: true (on even where no rule asks for it)}    a new namespace with that in it
  {"op": "rules", ...the same, devices excepted}                                               rules only, into the same namespace
  {"op": "swap", ...likewise}                                               rules and sets of an earlier load or swap are replaced by these
  {"op": "packets", "packets": [PACKET...], "fresh"?: true (connections are forgotten before each), "list"?: true (connections before each; "tool": as
      `conntrack -L` prints them), "renew"?, "renewNft"?: TEXT (`ipset restore` or `nft -f` before each), "insert"?: [words] (`conntrack -I` before the first)}
      PACKET  {"iif" (arrives there) | "local": true (a socket sends it), "src"?, "dst", "proto"?, "sport"?, "dport"?, "flags"?, "type"?,
               "code"?, "id"?, "ttl"?, "tos"?, "mark"?, "uid"?, "gid"?, "raw"? (a local one with its own IP header), "pad"? (UDP: bytes of payload, not to be cut), "payload"? (as --payload has it), "body"? (hex, in the place of all that follows the IP header), "ack"? (TCP), "seq"? (likewise), "inner"?: PACKET (an ICMP error)}
      -> [{fate: sent|local|gone, device?, path: [{by, family, table, chain, kind, number, mark}], first?, last?: HEADER, mark, error?, conntrack?,
           answers: [HEADER with oif, as the kernel made them], frames: [HEADER with device and inner?, whatever else came out]}]
  {"op": "capture", "only"?: [file name...]} -> {file name: what the tool printed}
  {"op": "forget"}, {"op": "run", "command": [...], "given"?}

Every wire of the node is a TAP held by this process: a packet is injected by write(2), crosses the stack inside that call, and
what comes out can be read at once, so a drop is simply nothing to read. The rules under test stay as loaded: one private
table switches tracing on, and both backends report to one netlink socket, in the kernel's order.
"""
import contextlib
import ctypes
import errno
import fcntl
import functools
import glob
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'oracle'))
from netlink import LOG_MESSAGE, NFNLGRP_NFTRACE, TRACE_MESSAGE, Netlink, read_log, read_trace  # noqa: E402
from packet import PROTOCOLS, address, build, checksum, parse, protocol  # noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
OWN = 'probe'
# Before everything and after everything. In `input` it drops, after conntrack has confirmed (hooks of equal priority run newest
# first, and conntrack comes later), so that nothing answers.
WATCH = '''
table inet probe {
  chain prerouting { type filter hook prerouting priority -2147483648; meta nftrace set 1; }
  chain output { type filter hook output priority -2147483648; meta nftrace set 1; }
  chain input { type filter hook input priority 2147483647; drop; }
  chain forward { type filter hook forward priority 2147483647; }
  chain postrouting { type filter hook postrouting priority 2147483647; }
}
'''
# Rules that see a packet as it comes from a device, or as it leaves by one, are traced only if one before them says so.
WATCH_DEVICE = '''
add table netdev probe
add chain netdev probe %(hook)s-%(device)s { type filter hook %(hook)s device "%(device)s" priority -2147483648; }
add rule netdev probe %(hook)s-%(device)s meta nftrace set 1
'''
# Never reached, but it keeps conntrack on.
TRACK = 'table inet probe { chain user { }\n}\nadd rule inet probe user ct state new\n'
QUIET = {'net.ipv4.igmp_link_local_mcast_reports': 0, 'net.ipv6.conf.default.router_solicitations': 0, 'net.ipv6.conf.default.accept_ra': 0,
         'net.ipv6.conf.default.accept_dad': 0, 'net.ipv6.conf.all.accept_dad': 0, 'net.ipv4.icmp_ratemask': 0, 'net.ipv6.icmp.ratelimit': 0,
         'net.ipv6.icmp.ratemask': 137,
         'net.netfilter.nf_log.2': 'nfnetlink_log', 'net.netfilter.nf_log.10': 'nfnetlink_log',
         'net.ipv4.conf.all.send_redirects': 0, 'net.ipv4.conf.default.send_redirects': 0, 'net.ipv4.conf.all.rp_filter': 0,
         'net.ipv4.conf.default.rp_filter': 0, 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1}
MATTER = ('forwarding', 'disable_ipv6', 'accept_local', 'accept_source_route', 'ignore_routes_with_linkdown', 'use_oif_addrs_only')
MATTER4 = ('rp_filter', 'route_localnet', 'src_valid_mark', 'send_redirects', 'arp_ignore', 'proxy_arp', 'bc_forwarding', 'promote_secondaries')
TOOLS = (('legacy', 2, 'iptables-legacy-restore'), ('legacy6', 10, 'ip6tables-legacy-restore'),
         ('nft', 2, 'iptables-nft-restore'), ('nft6', 10, 'ip6tables-nft-restore'))
NATIVE = ('ruleset', 0, 'nft')
CHAINS = {'raw': ('PREROUTING', 'OUTPUT'), 'mangle': ('PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'),
          'nat': ('PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'), 'filter': ('INPUT', 'FORWARD', 'OUTPUT'), 'security': ('INPUT', 'FORWARD', 'OUTPUT')}
LISTINGS = {'iptables-legacy-save.txt': 'iptables-legacy-save', 'iptables-nft-save.txt': 'iptables-nft-save', 'ip6tables-legacy-save.txt': 'ip6tables-legacy-save',
            'ip6tables-nft-save.txt': 'ip6tables-nft-save', 'ipset-save.txt': 'ipset save', 'ip-addr.txt': 'ip addr', 'ip-link.txt': 'ip -d link',
            'ip-route.txt': 'ip route show table all', 'ip6-route.txt': 'ip -6 route show table all', 'ip-rule.txt': 'ip rule', 'ip6-rule.txt': 'ip -6 rule',
            'ip-neigh.txt': 'ip neigh'}
NFT_LISTINGS = {'nft-ruleset.txt': 'nft list ruleset', 'nft.json': 'nft -j list ruleset'}


@functools.cache
def whole_path(tool):
    return shutil.which(tool) or tool


def run(*command, given=None, check=True):
    # a whole path and no descriptors to close: then Python spawns instead of forking, which is dear in a guest
    done = subprocess.run((whole_path(command[0]), *command[1:]), input=given, capture_output=True, text=True, close_fds=False)
    if check and done.returncode:
        raise RuntimeError('%s: %s' % (' '.join(command), (done.stderr or done.stdout).strip()[:800]))
    return done.stdout


def path_of(key):
    return '/proc/sys/' + key.replace('.', '\0').replace('/', '.').replace('\0', '/')


def sysctl(key, value):
    with open(path_of(key), 'w') as file:
        file.write(str(value))


SETTINGS = ('ipv4/ip_*', 'ipv4/fib_*', 'netfilter/nf_conntrack_tcp_*', 'bridge/*') + tuple('ipv4/conf/*/' + k for k in MATTER + MATTER4) + \
    tuple('ipv6/conf/*/' + k for k in MATTER)


def sysctls(patterns=SETTINGS):
    """As `sysctl -a` prints them: in a name, a dot and a slash change places."""
    lines = []
    for pattern in patterns:
        for file in sorted(glob.glob('/proc/sys/net/' + pattern)):
            with contextlib.suppress(OSError), open(file) as opened:
                lines.append('%s = %s' % (file[10:].replace('/', '\0').replace('.', '/').replace('\0', '.'), opened.read().strip()))
    return '\n'.join(lines) + '\n'


def connections():
    """As `conntrack -L` tells them, from the kernel's own file where it has one: asked after every packet, a process each is dear."""
    with contextlib.suppress(OSError), open('/proc/sys/net/netfilter/nf_conntrack_count') as count:
        if count.read().strip() == '0':
            return ''
    try:
        with open('/proc/thread-self/net/nf_conntrack') as file:
            return file.read()
    except OSError:
        return run('conntrack', '-L')


def listed():
    """What the tool itself lists, of both families."""
    return run('conntrack', '-L') + run('conntrack', '-L', '-f', 'ipv6')


def settle(addresses):
    """Waits for the local routes of IPv6 addresses, which a worker of the kernel makes a little later."""
    wanted = {address(a).hex() for a in addresses}
    for _ in range(400 if wanted else 0):
        with open('/proc/thread-self/net/ipv6_route') as routes:
            words = [line.split() for line in routes]
        if wanted <= {w[0] for w in words if w[1] == '80' and int(w[8], 16) & 0x80000000}:
            return
        time.sleep(0.005)


DCCP, ESP, AH = 33, 50, 51
# What carries whole packets, and so many bytes before them: UDP only if it is GUE, whose second byte is the protocol.
CARRIERS, GUE = {4: 0, 41: 0, 47: 4, 17: 12}, (b'\0\x04\0\0', b'\0\x29\0\0')
PROTOCOLS.update(dccp=DCCP, ah=AH)
# Whole headers of protocols that packet.build() leaves bare: GRE; a DCCP request; an SPI and a number.
BARE = {47: b'\0\0\x08\0' + b'\0' * 20, ESP: struct.pack('!II', 0x100, 1) + b'\0' * 16, AH: struct.pack('!BBHII12x', 59, 4, 0, 0x100, 1)}


def packet_bytes(p):
    """packet.build(), and what it does not make: bare protocols, numbers of TCP, ICMP errors about another packet, and size."""
    proto = protocol(p.get('proto', 'tcp'))
    if 'body' in p:
        return with_body(p, bytes.fromhex(p['body']))
    if proto in BARE:
        return with_body(p, BARE[proto])
    v6 = ':' in p['src']

    def summed(body, at, number=proto):
        pseudo = address(p['src']) + address(p['dst']) + struct.pack('!I3xB' if v6 else '!xBH', *((len(body), number) if v6 else (number, len(body))))
        return with_body(p, body[:at] + struct.pack('!H', checksum((b'' if proto == 1 else pseudo) + body) or 0xffff) + body[at + 2:])

    if proto == 136:        # nf_checksum_partial() sums it as UDP: a right sum would be INVALID where no device vouches for it
        return summed(struct.pack('!HHHH', p.get('sport', 40000), p.get('dport', 80), 15, 0) + b'netwhy?', 6, 17)
    if proto == DCCP:
        return summed(struct.pack('!HHBBHBBHII', p.get('sport', 40000), p.get('dport', 80), 5, 0, 0, 1, 0, 0, 1, 0), 6)
    if proto == 6 and ('ack' in p or 'seq' in p):
        body = build(p)[40 if v6 else 20:]
        body = body[:4] + (struct.pack('!I', p['seq']) if 'seq' in p else body[4:8]) + (struct.pack('!I', p['ack']) if 'ack' in p else body[8:12]) + body[12:]
        return summed(body[:16] + b'\0\0' + body[18:], 16)
    if 'payload' in p:
        data, at, size = told(p['payload']), *{6: (16, 20), 17: (6, 8)}.get(proto, (2, 8))
        head = build(p)[40 if v6 else 20:][:size]
        head = head[:4] + struct.pack('!H', 8 + len(data)) + head[6:] if proto == 17 else head
        return summed(head[:at] + b'\0\0' + head[at + 2:] + data, at)
    if 'pad' in p:
        return summed(struct.pack('!HHHH', p.get('sport', 40000), p.get('dport', 80), 8 + p['pad'], 0) + b'\0' * p['pad'], 6)
    if 'inner' not in p:
        return build(p)
    return summed(struct.pack('!BBHI', p['type'], p.get('code', 0), 0, 0) + packet_bytes(p['inner'])[:64 if v6 else 28], 2)


def told(text):
    """Text, with bytes in hexadecimal between bars."""
    return b''.join(bytes.fromhex(part) if i % 2 else part.encode() for i, part in enumerate(text.split('|')))


def with_body(p, body):
    whole = build(p)
    if ':' in p['src']:
        return whole[:4] + struct.pack('!H', len(body)) + whole[6:40] + body
    fragment = b'\x40\0' if 'pad' in p else whole[6:8]      # DF
    head = whole[:2] + struct.pack('!H', 20 + len(body)) + whole[4:6] + fragment + whole[8:10] + b'\0\0' + whole[12:20]
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + body


class Node:
    """One private network namespace, which this process lives in."""

    def __init__(self):
        self.taps = {}
        self.fresh()

    def fresh(self):
        for fd in self.taps.values():
            os.close(fd)
        for name in ('trace', 'control'):
            if hasattr(self, name):
                getattr(self, name).close()
        if LIBC.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'unshare(CLONE_NEWNET) needs root')
        self.taps, self.macs, self.devices, self.numbers, self.counts = {}, {}, {1: 'lo'}, None, {}
        self.tables, self.sets = {}, False
        run('ip', 'link', 'set', 'lo', 'up')
        run('nft', '-f', '-', given=WATCH)
        self.trace, self.control = Netlink([NFNLGRP_NFTRACE]), Netlink()     # one socket for both traces keeps their order
        for key, value in QUIET.items():
            with contextlib.suppress(OSError):
                sysctl(key, value)
        self.trace.log_traces()

    def wire(self, d):
        """The lines of `ip -batch` that make a device; a TAP has this process at its other end."""
        name, kind, lines = d['name'], d.get('kind', 'tap'), []
        if kind == 'tap':
            fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', name.encode(), 0x1000 | 2))
            fcntl.ioctl(fd, 0x400454cb, 1)           # persistent: closing is cheap, the dying namespace frees it
            self.taps[name] = fd
            self.macs[name] = d.get('mac', '02:00:00:00:00:%02x' % (len(self.taps) + 1))
            with contextlib.suppress(OSError):
                sysctl('net.ipv6.conf.%s.addr_gen_mode' % name.replace('.', '/'), 1)
            lines += ['link set %s address %s' % (name, self.macs[name])] + ([] if d.get('arp') else ['link set %s arp off' % name])
        else:
            lines.append('link add %s type %s' % (name, kind))
        if 'mtu' in d:
            lines.append('link set %s mtu %d' % (name, d['mtu']))
        return lines + (['link set %s up' % name] if d.get('up', True) else []) + ['addr add %s dev %s%s' % (a, name, ' nodad' if ':' in a else '') for a in d.get('addrs', [])]

    def load(self, m):
        self.fresh()
        early = {k: v for k, v in m.get('sysctls', {}).items() if '.conf.' not in k or '.conf.all.' in k or '.conf.default.' in k}
        for key, value in early.items():
            if '.conf.' in key:
                sysctl(key, value)
        if not any(':' in a for d in m.get('devs', []) for a in d.get('addrs', [])):
            sysctl('net.ipv6.conf.default.disable_ipv6', 1)
        lines = [line for d in m.get('devs', []) for line in self.wire(d)] + m.get('ip', [])
        for flag, mine in (('-4', [x for x in lines if x[:3] != '-6 ']), ('-6', [x[3:] for x in lines if x[:3] == '-6 '])):
            if mine:
                run('ip', *([] if flag == '-4' else ['-6']), '-batch', '-', given='\n'.join(mine) + '\n')
        self.devices = dict(socket.if_nameindex())
        settle(re.findall(r'(?:^| )addr add ([0-9a-f:.]*:[0-9a-f:.]*)', '\n'.join(lines), re.M))
        if m.get('conntrack'):
            run('nft', '-f', '-', given=TRACK)
        self.rules(m)
        for key, value in m.get('sysctls', {}).items():
            sysctl(key, value)

    def rules(self, m):
        if m.get('ipset'):
            run('ipset', 'restore', given=m['ipset'])
            self.sets = True
        tools = sorted(TOOLS + (NATIVE,), key=lambda t: not t[0].startswith(m.get('first', 'legacy')))
        for key, family, tool in tools:
            if m.get(key) and key == 'ruleset':
                hooks = set(re.findall(r'hook (ingress|egress)', m[key]))
                watch = ''.join(WATCH_DEVICE % {'hook': h, 'device': d} for h in sorted(hooks) for d in self.devices.values())
                run(tool, '-f', '-', given=watch + m[key])
                self.tables[key] = re.findall(r'^(?:add )?table (\S+ [^\s;{]+)', m[key], re.M) + (['netdev probe'] if watch else [])
            elif m.get(key):
                run(tool, *(['-w', '20'] if 'legacy' in tool else []), given=m[key])
                self.tables[key] = re.findall(r'^\*(\S+)', m[key], re.M)
                if 'legacy' in key:
                    self.learn(family, m[key])
        self.numbers = None
        self.drain()

    def swap(self, m):
        """A table that is not there any more stays in legacy, empty, as it does on a host where rules come and go."""
        self.counts = {}
        for key, family, tool in TOOLS[:2]:
            here = re.findall(r'^\*(\S+)', m.get(key, ''), re.M)
            gone = [t for t in self.tables.get(key, ()) if t not in here]
            if gone:
                m[key] = m.get(key, '') + ''.join('*%s\n%sCOMMIT\n' % (t, ''.join(':%s ACCEPT [0:0]\n' % c for c in CHAINS[t])) for t in gone)
        gone = ['delete table %s %s' % ('ip' if key == 'nft' else 'ip6', t) for key, _, _ in TOOLS[2:] for t in self.tables.get(key, ())]
        gone += ['delete table %s' % t for t in dict.fromkeys(self.tables.get('ruleset', ()))]
        if gone:
            run('nft', '-f', '-', given='\n'.join(gone) + '\n')
            self.tables = {k: v for k, v in self.tables.items() if 'nft' not in k and k != 'ruleset'}
        sets, self.sets = self.sets, False
        if sets and any(self.tables.get(key) for key in ('legacy', 'legacy6')):
            for key, _, tool in TOOLS[:2]:
                if self.tables.get(key):                 # their rules hold the sets
                    run(tool, '-w', '20', given=''.join('*%s\nCOMMIT\n' % t for t in self.tables[key]))
        for left in range(50, -1, -1) if sets else ():   # nft lets go of them a little later
            try:
                run('ipset', 'restore', given='flush\ndestroy\n')
                break
            except RuntimeError:
                if not left:
                    raise
                time.sleep(0.002)
        self.rules(m)

    def learn(self, family, save):
        """How many rules each legacy chain has, by which its trace is read."""
        table = None
        for line in save.splitlines():
            line = line.split('] ', 1)[1] if line.startswith('[') else line
            if line.startswith('*'):
                table = line[1:].strip()
                self.counts = {k: v for k, v in self.counts.items() if k[:2] != (family, table)}
            elif line.startswith('-A '):
                key = (family, table, line.split(None, 2)[1])
                self.counts[key] = self.counts.get(key, 0) + 1

    def capture(self, only=None):
        listings = {**LISTINGS, **(NFT_LISTINGS if self.tables.get('ruleset') else {})}
        asked = {name: subprocess.Popen(command.split(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                 for name, command in listings.items() if only is None or name in only}
        files = {'sysctl.txt': sysctls(), 'conntrack.txt': connections()} if only is None else {}
        for name, process in asked.items():
            files[name], complaint = process.communicate()
            if process.returncode:
                raise RuntimeError('%s: %s' % (listings[name], complaint))
            if name in NFT_LISTINGS:
                files[name] = without_own(files[name])
        return files

    # -- one packet

    def drain(self):
        list(self.trace.messages(False))
        for fd in self.taps.values():
            with contextlib.suppress(BlockingIOError):
                while os.read(fd, 70000):
                    pass

    def send(self, p):
        p = {'proto': 'tcp', 'sport': 40000, 'id': 1, **p}
        problem = None
        if p.get('local'):
            try:
                self.speak(p)
            except OSError as error:
                problem = error.errno
        else:
            mac = bytes.fromhex(self.macs[p['iif']].replace(':', ''))
            frame = mac + bytes.fromhex(p.get('mac', '06:00:00:00:00:01').replace(':', '')) + (b'\x86\xdd' if ':' in p['src'] else b'\x08\0')
            os.write(self.taps[p['iif']], frame + packet_bytes(p))
        return self.result(problem)

    def speak(self, p):
        """A packet from a socket here."""
        v6 = ':' in p['dst']
        family, proto = socket.AF_INET6 if v6 else socket.AF_INET, protocol(p['proto'])
        if v6 and proto == 1:
            proto = 58
        plain = proto in (6, 17) and not p.get('raw')
        try:
            if plain and 'uid' in p:
                os.setegid(p.get('gid', p['uid']))
                os.seteuid(p['uid'])
            s = socket.socket(family, *((socket.SOCK_STREAM if proto == 6 else socket.SOCK_DGRAM,) if plain else (socket.SOCK_RAW, 255 if p.get('raw') else proto)))
        finally:
            os.seteuid(0)
            os.setegid(0)
        with s:
            s.setblocking(False)
            if 'mark' in p:
                s.setsockopt(socket.SOL_SOCKET, 36, p['mark'])           # SO_MARK
            if 'tos' in p:
                s.setsockopt(*((socket.IPPROTO_IPV6, 67) if v6 else (socket.IPPROTO_IP, socket.IP_TOS)), p['tos'])
            if 'ttl' in p:
                s.setsockopt(*((socket.IPPROTO_IPV6, 16) if v6 else (socket.IPPROTO_IP, socket.IP_TTL)), p['ttl'])
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if (plain or 'src' in p) and not p.get('raw'):
                s.bind((p.get('src', '::' if v6 else '0.0.0.0'), p['sport'] if plain else 0))
            if p.get('raw') and 'src' in p:
                with contextlib.suppress(OSError):                       # routes are looked up for the socket's source, not the header's
                    s.bind((p['src'], 0))
            to = (p['dst'], p.get('dport', 80) if plain else 0)
            if p.get('raw'):
                s.sendto(packet_bytes(p), to)
            elif plain and proto == 6:
                with contextlib.suppress(BlockingIOError):
                    s.connect(to)                                        # closed in SYN_SENT it just disappears
            elif plain:
                s.sendto(told(p.get('payload', 'netwhy?')), to)
            else:
                whole = packet_bytes({**p, 'src': p.get('src', '::' if v6 else '0.0.0.0')})
                s.sendto(whole[40 if v6 else 20:], to)

    def collect(self):
        events, out = [], []
        for kind, family, body in self.trace.messages(False):
            event = read_trace(family, body) if kind == TRACE_MESSAGE else read_log(family, body, lambda *chain: self.counts.get(chain, 0)) if kind == LOG_MESSAGE else None
            if event is None:
                continue
            for key in ('iif', 'oif'):
                if key in event:
                    event[key] = self.devices.get(event[key], '?')
            if 'header' in event:
                event['total'] = total_length(event['header'])
                event['header'] = sequenced(event['header'])
            events.append(event)
        for name, fd in self.taps.items():
            with contextlib.suppress(BlockingIOError):
                while True:
                    data = os.read(fd, 70000)
                    found = sequenced(data[14:]) if data[12:14] in (b'\x08\0', b'\x86\xdd') else None
                    if found and not found['dst'].startswith('ff02::'):
                        out.append({'device': name, **found})
        return events, out

    def result(self, problem):
        events, out = self.collect()
        # From TAP to TAP it is all over by now; lo goes through a softirq that normally ran in the same call.
        tries = 20
        while tries and problem is None and not out and not any(e['chain'] == 'input' and e['table'] == OWN for e in events) and \
                any(e.get('oif') == 'lo' for e in events):
            time.sleep(0.0002)
            tries -= 1
            more, frames = self.collect()
            events += more
            out += frames
        path, made, seen, first = split(events)
        last, fate, device = seen.get('postrouting'), 'gone', None
        if 'input' in seen:
            last, fate = seen['input'], 'local'
        elif last is not None:
            frame = next((f for f in out if same(f, last.get('header'))), None)
            if frame:
                fate, device = 'sent', frame['device']
                last['header'] = frame
                out.remove(frame)
        if self.numbers is None:
            self.numbers = self.control.rule_numbers()
        told = [{'by': e['backend'], 'family': e['family'], 'table': e['table'], 'chain': e['chain'], 'kind': e['kind'], 'mark': e.get('mark', 0),
                 'number': e['number'] if 'number' in e else self.numbers.get((e['family'], e['table'], e['chain'], e.get('handle')))} for e in path]
        answer = {'fate': fate, 'path': told, 'answers': made, 'frames': out, 'mark': last.get('mark', 0) if last else 0}
        if device:
            answer['device'] = device
        if first:
            answer['first'] = first
        if last and fate != 'gone':
            answer['last'] = last['header']
        if problem:
            answer['error'] = errno.errorcode.get(problem, str(problem))
        return answer

    def packets(self, m):
        answers = []
        for p in m['packets']:
            if m.get('fresh'):
                self.control.forget_connections()
            if 'renew' in m:
                run('ipset', 'restore', given=m['renew'])
            if 'renewNft' in m:
                run('nft', '-f', '-', given=m['renewNft'])
            if 'insert' in m and not answers:
                run('conntrack', '-I', *m['insert'])
            before = {'conntrack': listed() if m['list'] == 'tool' else connections()} if m.get('list') else {}
            answers.append({**self.send(p), **before})
        return answers


def without_own(listing):
    """What `nft` lists, in words or JSON, but for the tables that are ours."""
    if listing.startswith('{'):
        items = json.loads(listing)['nftables']
        mine = [i for i in items if any(OWN in (x.get('table'), x['name'] if kind == 'table' else '') for kind, x in i.items())]
        return json.dumps({'nftables': [i for i in items if i not in mine]})
    return re.sub(r'^table \S+ %s \{\n.*?^\}\n' % OWN, '', listing, flags=re.M | re.S)


def sequenced(data):
    """parse(), with the sequence number of a TCP packet, the ports of DCCP, and what an ICMP error is about or a tunnel carries."""
    found = parse(data)
    if not found:
        return found
    rest = data[40 if data[0] >> 4 == 6 else (data[0] & 15) * 4:]
    if found['proto'] == 6 and len(rest) >= 8:
        found['seq'] = struct.unpack('!I', rest[4:8])[0]
    if found['proto'] == DCCP and len(rest) >= 4:
        found['sport'], found['dport'] = struct.unpack('!HH', rest[:4])
    if found['proto'] == 1 and found.get('type') in range(13, 19) and len(rest) >= 6:
        found['id'] = struct.unpack('!H', rest[4:6])[0]
    if (found['role'] == 'error' or found['proto'] == 1 and found.get('type') == 5) and len(rest) >= 8 + (48 if data[0] >> 4 == 6 else 28):
        found['inner'] = sequenced(rest[8:])
    if found['proto'] in CARRIERS and (found['proto'] != 17 or rest[8:12] in GUE):
        carried = sequenced(rest[CARRIERS[found['proto']] + (4 if found['proto'] == 47 and rest[0] & 0x80 else 0):])
        return {**found, 'inner': carried} if carried else found
    return found


def total_length(header):
    return struct.unpack('!H', header[2:4])[0] if header[0] >> 4 == 4 else 40 + struct.unpack('!H', header[4:6])[0]


def same(frame, header):
    return header is not None and ends(frame) == ends(header)


def ends(header):
    return header and tuple(header.get(k) for k in ('src', 'dst', 'proto', 'sport', 'dport', 'type'))


def split(events):
    """What the packet met, the packets that the kernel made in answer as they were made, the last sight at our own hooks, and the first.

    An id first seen in OUTPUT is a packet that the kernel made, unless it is the first of all; an id also changes on lo. A legacy
    event has none: after an answer began, one without an input device, or on lo, belongs to it."""
    main, made, noise, path, seen, first, into_lo = set(), set(), set(), [], {}, None, {}
    answering, way, answers = False, None, {}
    for e in events:
        i = e.get('id')
        to = (e.get('header') or {}).get('dst', '')
        if i is not None and i not in main | made and to.startswith('ff02::'):
            noise.add(i)                               # multicast listener reports, which come when they like
        if i in noise or i is None and to.startswith('ff02::'):
            continue
        if i is not None:
            if i not in main and i not in made:
                again = e.get('iif') == 'lo' and into_lo.get(ends(e.get('header')), False)
                (made if main and (e['chain'] == 'output' and e['table'] == OWN or again) else main).add(i)
            answering = i in made
        if e['table'] == OWN and e['chain'] == 'postrouting' and 'header' in e:
            into_lo[ends(e['header'])] = answering
        if e['table'] != OWN or e['backend'] != 'nft':
            if not (answering and (i is not None or e.get('iif', 'lo') == 'lo')) and e['kind'] == 'rule':
                path.append(e)
        elif answering:
            way = e.get('oif', way)
            if e['chain'] == 'output' and 'header' in e:
                answers.setdefault(i, {**e['header'], 'oif': way})
            if e['chain'] == 'postrouting' and e['kind'] == 'policy' and way != 'lo':
                answering = False                      # that one has left
        else:
            if first is None and 'header' in e:
                first = {**e['header'], 'length': e['total']}
            known = seen.setdefault(e['chain'], {})
            known.update({k: e[k] for k in ('header', 'iif', 'oif') if k in e})
            known['mark'] = e.get('mark', 0)
    return path, list(answers.values()), seen, first


def serve(lines, out):
    node = Node()
    for line in lines:
        message = json.loads(line)
        try:
            op = message.pop('op')
            if op == 'load':
                answer = node.load(message)
            elif op == 'rules':
                answer = node.rules(message)
            elif op == 'swap':
                answer = node.swap(message)
            elif op == 'packets':
                answer = node.packets(message)
            elif op == 'capture':
                answer = node.capture(message.get('only'))
            elif op == 'forget':
                answer = node.control.forget_connections()
            elif op == 'run':
                answer = run(*message['command'], given=message.get('given'))
                node.numbers = None
            elif op == 'quit':
                break
            else:
                raise ValueError('unknown op %s' % op)
            answer = {'answer': answer}
        except (OSError, RuntimeError, KeyError, ValueError) as problem:
            answer = {'error': '%s: %s' % (type(problem).__name__, problem)}
        out.write(json.dumps(answer, separators=(',', ':')) + '\n')
        out.flush()


if __name__ == '__main__':
    serve(sys.stdin, sys.stdout)
