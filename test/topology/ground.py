#!/usr/bin/env python3
"""Many small networks on the real kernel, many packets through each, and no waiting.

`ground.py` reads one JSON object a line and answers each with one:

  {"op": "build", "namespaces": [NAMESPACE...], "veths": [[NS, DEVICE, INDEX, NS, DEVICE, INDEX]...], "taps": [[NS, DEVICE]...]}
      NAMESPACE  {name, seen?: false (a wire, of which nothing is captured), first?: {sysctl: value} (before its devices),
                  ip: [lines of `ip -batch`], bridge?: [lines of `bridge -batch`], sysctls?: {key: value}, rules?: iptables-save text}
      -> {NS: {file name: what the tool printed}}
  {"op": "packets", "packets": [PACKET...]}
      PACKET  {ns, device? (it arrives there, a tap; else a socket sends it), src, dst, proto, sport?, dport?, flags?, type?, id?, ttl, tos, mark, length?}
      -> [{request: WAY, reply?: WAY}]
      WAY     {walks: [WALK...], flooded?: [{end, final}...] (copies went several ways, and there they arrived), carried?: true (it left in VXLAN), end: [NS] (delivered) | [NS, DEVICE] (left by a tap) | [], final?: HEADER, error?}
      WALK    {ns, local, tunnel, rules: [[table, chain, number]...], mark, by?: [table, chain]}
  {"op": "run", "ns", "command": [...], "given"?}

Writing a packet to a device, or sending it from a socket, lets it cross all namespaces inside that system call: veths hand it on in the
same softirq. One netlink socket hears the traces of all of them (NETLINK_LISTEN_ALL_NSID), in the kernel's own order. What reaches a
socket's door is dropped there, after conntrack has confirmed it, so that nothing answers but we; what ARP and bridges learn is
forgotten between packets, and ICMP errors are not sent.
"""
import contextlib
import ctypes
import errno
import fcntl
import glob
import json
import os
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'oracle'))
from netlink import NETLINK_NETFILTER, NFNLGRP_NFTRACE, TRACE_MESSAGE, Netlink, attribute, attributes, read_trace  # noqa: E402
from packet import build as make, checksum, parse  # noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
OWN = 'oracle'
# One above the lowest in prerouting: br_netfilter's ip_sabotage_in() must be first, or a packet seems to meet that hook twice.
WATCH = '''
table inet oracle {
  chain user { }
  chain prerouting { type filter hook prerouting priority -2147483647; meta nftrace set 1; }
  chain output { type filter hook output priority -2147483648; icmp type { destination-unreachable, time-exceeded, redirect } drop; meta nftrace set 1; }
  chain input { type filter hook input priority 2147483647; %s drop; }
  chain copies { type filter hook forward priority -2147483648; }
  chain forward { type filter hook forward priority 2147483647; }
  chain postrouting { type filter hook postrouting priority 2147483647; }
}
'''
TRACK = 'add rule inet oracle user ct state new\n'
VXLAN_PORTS = (8472, 4789, 4790)
# The UDP length of an ARP message in VXLAN, which nobody asked about.
ARP_IN_VXLAN = struct.pack('!H', 8 + 8 + 14 + 28)
QUIET = {'net.ipv4.igmp_link_local_mcast_reports': 0, 'net.ipv6.conf.default.disable_ipv6': 1, 'net.ipv6.conf.all.disable_ipv6': 1,
         'net.ipv4.icmp_ratemask': 0, 'net.ipv4.icmp_ratelimit': 0,
         'net.ipv4.conf.all.send_redirects': 0, 'net.ipv4.conf.default.send_redirects': 0,
         'net.ipv4.conf.all.rp_filter': 0, 'net.ipv4.conf.default.rp_filter': 0}
MATTER = ('forwarding', 'accept_local', 'rp_filter', 'route_localnet', 'src_valid_mark', 'send_redirects', 'arp_ignore', 'arp_filter', 'arp_announce',
          'proxy_arp', 'proxy_arp_pvlan', 'promote_secondaries')
LISTINGS = {'ip-addr.txt': 'ip addr', 'ip-link.txt': 'ip -d link', 'ip-route.txt': 'ip route show table all', 'ip-rule.txt': 'ip rule',
            'ip-neigh.txt': 'ip neigh; ip neigh show proxy', 'bridge-fdb.txt': 'bridge fdb', 'bridge-link.txt': 'bridge -d link',
            'iptables-nft-save.txt': 'iptables-nft-save'}


def run(*command, given=None):
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError('%s: %s' % (' '.join(command), (done.stderr or done.stdout).strip()[:800]))
    return done.stdout


def setns(fd):
    if LIBC.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), 'setns')


def path_of(key):
    return '/proc/sys/' + key.replace('.', '\0').replace('/', '.').replace('\0', '/')


def sysctl(key, value):
    with open(path_of(key), 'w') as file:
        file.write(str(value))


def sysctls():
    lines = []
    for pattern in ('ipv4/ip_forward', 'ipv4/fib_multipath_*', 'netfilter/nf_conntrack_tcp_loose', 'bridge/*') + tuple('ipv4/conf/*/' + k for k in MATTER):
        for file in sorted(glob.glob('/proc/sys/net/' + pattern)):
            with contextlib.suppress(OSError), open(file) as opened:
                lines.append('%s = %s' % (file[10:].replace('/', '\0').replace('.', '/').replace('\0', '.'), opened.read().strip()))
    return '\n'.join(lines) + '\n'


class Route:
    """A NETLINK_ROUTE socket of the namespace it was opened in."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self.socket.bind((0, 0))
        self.sequence = 0

    def ask(self, kind, flags, payload):
        """Sends one message and gives what comes back: (type, body)."""
        self.sequence += 1
        self.socket.send(struct.pack('=IHHII', 16 + len(payload), kind, 1 | flags, self.sequence, 0) + payload)
        found = []
        while True:
            data, offset = self.socket.recv(1 << 18), 0
            while offset + 16 <= len(data):
                length, kind = struct.unpack_from('=IH', data, offset)
                if kind == 2:
                    error = struct.unpack_from('=i', data, offset + 16)[0]
                    if error and -error not in (errno.ENOENT, errno.EOPNOTSUPP):
                        raise OSError(-error, os.strerror(-error))
                    return found
                if kind == 3:
                    return found
                found.append((kind, data[offset + 16:offset + length]))
                offset += (length + 3) & ~3


class Namespace:
    def __init__(self, name, home, seen, first):
        self.name, self.seen = name, seen
        if LIBC.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'unshare(CLONE_NEWNET) needs root')
        self.fd = os.open('/proc/self/ns/net', os.O_RDONLY)
        for key, value in {**QUIET, **first}.items():
            with contextlib.suppress(FileNotFoundError):
                sysctl(key, value)
        self.taps, self.handles, self.bridges, self.tunnels = {}, {}, [], []
        self.route = Route()
        self.control = Netlink()
        self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 255) if seen else None
        setns(home)

    def tap(self, name):
        fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', name.encode(), 0x1002))
        self.taps[name] = fd

    def settled(self):
        for kind, body in self.route.ask(18, 0x300, struct.pack('=BxHiII', 0, 0, 0, 0, 0)):
            flags = struct.unpack_from('=I', body, 8)[0]
            state = attributes(body, 16).get(16, b'\0')[0]
            if kind == 16 and flags & 0x10001 == 0x10001 and state not in (0, 6):
                return False
        return True

    def forget_neighbours(self):
        """Who was learned by ARP; and how many those were."""
        count = 0
        for kind, body in self.route.ask(30, 0x300, struct.pack('=BxxxiHBB', 2, 0, 0, 0, 0)):
            family, index, state, flags, _ = struct.unpack_from('=BxxxiHBB', body)
            if kind != 28 or family != 2 or state & 0xc0:
                continue
            offset, address = 12, b''
            while offset + 4 <= len(body):
                length, attr = struct.unpack_from('=HH', body, offset)
                if length < 4:
                    break
                if attr == 1:
                    address = body[offset:offset + length]
                offset += (length + 3) & ~3
            self.route.ask(29, 4, struct.pack('=BxxxiHBB', 2, index, 0, 0, 0) + address)
            count += 1
        return count

    def forget(self):
        """What else was learned from packets: addresses behind ports, connections."""
        for index in self.bridges:
            info = attribute(1, b'bridge') + attribute(2, attribute(21, b''))
            self.route.ask(16, 4, struct.pack('=BxHiII', 0, 0, index, 0, 0) + attribute(18, info))
        for index in self.tunnels:
            self.route.ask(29, 4 | 0x200, struct.pack('=BxxxiHBB', 7, index, 0, 2, 0) + attribute(16, struct.pack('=H', 0xc0)))
        if self.seen:
            self.control.forget_connections()

    def close(self):
        for fd in self.taps.values():
            os.close(fd)
        self.route.socket.close()
        self.control.close()
        if self.raw:
            self.raw.close()
        os.close(self.fd)


class Ground:
    def __init__(self):
        if LIBC.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'unshare(CLONE_NEWNET) needs root')
        self.home = os.open('/proc/self/ns/net', os.O_RDONLY)
        self.namespaces, self.names, self.next, self.carrier = {}, {}, 1, None
        self.route = Route()
        self.trace = Netlink([NFNLGRP_NFTRACE])
        self.trace.socket.setsockopt(270, 8, 1)                      # NETLINK_LISTEN_ALL_NSID

    @contextlib.contextmanager
    def inside(self, namespace):
        setns(namespace.fd)
        try:
            yield
        finally:
            setns(self.home)

    def path(self, name):
        return '/proc/%d/fd/%d' % (os.getpid(), self.namespaces[name].fd)

    def build(self, message):
        for namespace in self.namespaces.values():
            namespace.close()
        self.namespaces, self.names = {}, {}
        for n in message['namespaces']:
            namespace = self.namespaces[n['name']] = Namespace(n['name'], self.home, n.get('seen', True), n.get('first', {}))
            if namespace.seen:
                self.names[self.next] = n['name']
                self.route.ask(88, 4, b'\0' * 4 + attribute(3, struct.pack('=I', namespace.fd)) + attribute(1, struct.pack('=i', self.next)))
                self.next += 1
        refused = []
        for ns, device in message.get('taps', []):
            with self.inside(self.namespaces[ns]):
                self.namespaces[ns].tap(device)
        lines = ['link add name %s index %d netns %s type veth peer name %s index %d netns %s' % (d1, i1, self.path(n1), d2, i2, self.path(n2))
                 for n1, d1, i1, n2, d2, i2 in message.get('veths', [])]
        run('ip', '-batch', '-', given='\n'.join(lines) + '\n')
        for n in message['namespaces']:
            namespace = self.namespaces[n['name']]
            with self.inside(namespace):
                if namespace.seen:
                    vxlan = any(' type vxlan ' in line for line in n.get('ip', []))
                    run('nft', '-f', '-', given=WATCH % ('udp dport { 8472, 4789, 4790 } accept;' if vxlan else '') + TRACK)
                # what the kernel refuses is not there; the captures show what is
                for tool in ('ip', 'bridge'):
                    if n.get(tool):
                        done = subprocess.run([tool, '-force', '-batch', '-'], input='\n'.join(n[tool]) + '\n', capture_output=True, text=True)
                        refused += [(n['name'], tool, n[tool][int(line.rsplit(':', 1)[1]) - 1]) for line in done.stderr.splitlines() if line.startswith('Command failed')]
                for file in glob.glob('/proc/sys/net/ipv4/neigh/*/proxy_delay'):
                    with open(file, 'w') as opened:
                        opened.write('0')
                for key, value in n.get('sysctls', {}).items():
                    with contextlib.suppress(FileNotFoundError):
                        sysctl(key, value)
                if n.get('rules'):
                    run('iptables-nft-restore', given=n['rules'])
        self.settle()
        return {name: self.capture(ns) for name, ns in self.namespaces.items() if ns.seen or self.index(ns)}

    def settle(self):
        """Waits until every device that has a carrier knows it: linkwatch is slow, and before it everything sent is lost."""
        until = time.monotonic() + 3
        while time.monotonic() < until and not all(n.settled() for n in self.namespaces.values()):
            time.sleep(0.003)

    def index(self, namespace):
        with self.inside(namespace):
            for index, name in socket.if_nameindex():
                # a bridge has a directory of its own only in sysfs, which is of another namespace
                namespace.bridges += [index] if name.startswith('br') else []
        return False

    def capture(self, namespace):
        with self.inside(namespace):
            text = run('sh', '-c', '; echo "=====";'.join(LISTINGS.values()))
            files = dict(zip(LISTINGS, text.split('=====\n'), strict=True))
            files['sysctl.txt'] = sysctls()
            namespace.handles = namespace.control.rule_numbers()
            index = {name: i for i, name in socket.if_nameindex()}
            for name in index:
                if name.startswith('br'):
                    namespace.bridges.append(index[name])
                if name.startswith('vx'):
                    namespace.tunnels.append(index[name])
        return files

    # -- packets

    def packets(self, packets):
        return [self.packet(p) for p in packets]

    def packet(self, p):
        seen = [n for n in self.namespaces.values() if n.seen]
        # what waited for a neighbour is told of with ICMP when that is given up, and that asks for neighbours again
        while sum([n.forget_neighbours() for n in seen]) > 0:
            pass
        for namespace in self.namespaces.values():
            namespace.forget()
        self.drain()
        request = self.go(p)
        answer = {'request': request}
        back = turned(p, request) if request['end'] and request['final']['proto'] == NUMBERS[p['proto']] else None
        if back:
            answer['reply'] = self.go(back)
        return answer

    def drain(self):
        list(self.events())
        for namespace in self.namespaces.values():
            for fd in namespace.taps.values():
                with contextlib.suppress(BlockingIOError):
                    while os.read(fd, 70000):
                        pass

    def go(self, p):
        namespace = self.namespaces[p['ns']]
        data = make(p)
        if p.get('length', 0) > len(data):
            data = padded(data, p['length'])
        if p.get('carried'):
            data = carried(data, self.carrier)
        error = None
        try:
            if 'device' in p:
                os.write(namespace.taps[p['device']], bytes.fromhex(p['mac'].replace(':', '')) + b'\x06\0\0\0\0\1\x08\0' + data)
            else:
                namespace.raw.setsockopt(socket.SOL_SOCKET, 36, p.get('mark', 0))
                # the route is chosen for the address that the socket is bound to, not for the header's
                namespace.raw.bind((p['src'], 0))
                namespace.raw.sendto(data, (p['dst'], 0))
        except OSError as problem:
            error = errno.errorcode.get(problem.errno, str(problem))
        return {**self.observe(), **({'error': error} if error else {})}

    def events(self):
        """(namespace, event) of everything that was traced."""
        while True:
            try:
                data, control, _, _ = self.trace.socket.recvmsg(1 << 18, 64, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            nsid = next((struct.unpack('=i', c)[0] for level, kind, c in control if (level, kind) == (270, 8)), -1)
            offset = 0
            while offset + 16 <= len(data):
                length, kind = struct.unpack_from('=IH', data, offset)
                if kind == TRACE_MESSAGE and nsid in self.names:
                    yield self.names[nsid], read_trace(data[offset + 16], data[offset + 20:offset + length])
                offset += (length + 3) & ~3

    def observe(self):
        walks = []
        for name, e in self.events():
            here = [w for w in walks if w['ns'] == name]
            header = parse(e['header']) if 'header' in e else None
            if header and header.get('dport') in VXLAN_PORTS and header['proto'] == 17:
                header['arp'] = e['header'][24:26] == ARP_IN_VXLAN
            begins = e['table'] == OWN and e['chain'] in ('prerouting', 'output')
            walk = next((w for w in reversed(here) if e['id'] in w['ids']), None)
            if walk is None and not begins:
                # a bridge hands a packet on under another id
                walk = next((w for w in reversed(here) if not w['over'] and alike(w['header'], header)), None)
                if walk:
                    walk['ids'].append(e['id'])
            if walk is None or begins and (walk['over'] or walk['events'] > 1 and e['kind'] == 'rule'):
                walk = {'ns': name, 'ids': [e['id']], 'local': e['chain'] == 'output', 'rules': [], 'header': header, 'over': False, 'events': 0, 'mark': 0,
                        'copies': 0 if begins else 2}
                walks.append(walk)
            walk['events'] += 1
            walk['mark'] = e.get('mark', walk['mark'] if e['kind'] != 'rule' else 0)
            if header:
                walk['header'] = header
            if e['table'] == OWN:
                walk['over'] = e['chain'] in ('input', 'postrouting')
                if e['chain'] == 'input':
                    walk['arrived'] = walk['header']
                # a bridge sends one frame by several ports
                walk['copies'] += (e['chain'] == 'copies' and e['kind'] == 'policy')
                continue
            if e['kind'] == 'rule':
                number = self.namespaces[name].handles.get((e['family'], e['table'], e['chain'], e['handle']))
                walk['rules'].append([e['table'], e['chain'], number])
            if e.get('verdict') == 'drop':
                walk['by'] = [e['table'], e['chain']]
        told, end, final, ends = [], [], None, []
        sent = {(w['ns'], w['header']['dst']) for w in walks if w['local'] and is_tunnel(w)}
        flooded = any(w['copies'] > 1 for w in walks) or len(sent) > len({ns for ns, _ in sent}) or branches(walks)
        for w in walks:
            h = w['header'] or {}
            if h.get('proto') == 1 and h.get('type') not in (0, 8) or h.get('arp'):
                continue
            tunnel = is_tunnel(w)
            if 'arrived' in w and not tunnel:
                ends.append(([w['ns']], {**w['arrived'], 'mark': w['mark']}))
            if 'arrived' in w and not tunnel and not end:
                end, final = [w['ns']], {**w['arrived'], 'mark': w['mark']}
            told.append({k: w[k] for k in ('ns', 'local', 'rules', 'mark', 'by') if k in w} | {'tunnel': tunnel})
        for namespace in self.namespaces.values():
            for device, fd in namespace.taps.items():
                with contextlib.suppress(BlockingIOError):
                    while True:
                        frame = os.read(fd, 70000)
                        found = parse(frame[14:]) if frame[12:14] == b'\x08\0' else None
                        if found and found['proto'] == 17 and found.get('dport') in VXLAN_PORTS:
                            self.carrier = frame[:64]
                            found = parse(frame[64:]) if frame[62:64] == b'\x08\0' else None
                        else:
                            self.carrier = None
                        if found and not (found['proto'] == 1 and found.get('type') not in (0, 8)):
                            end, final = [namespace.name, device], found
        return {'walks': told, 'end': end, **({'carried': True} if len(end) == 2 and self.carrier else {}), **({'flooded': [{'end': e, 'final': f} for e, f in ends]} if flooded else {}), **({'final': final} if final else {})}


def branches(walks):
    """Whether these cannot be one after the other."""
    walks = [w for w in walks if not (w['header'] or {}).get('arp')]
    for a, b in zip(walks, walks[1:]):
        if is_tunnel(a) and not ('arrived' in a and not is_tunnel(b) or 'arrived' not in a and is_tunnel(b) and not b['local']):
            return True
        if not is_tunnel(a) and 'arrived' in a:
            return True
    return False


NUMBERS = {'tcp': 6, 'udp': 17, 'icmp': 1}


def is_tunnel(walk):
    h = walk['header'] or {}
    return h.get('proto') == 17 and h.get('dport') in VXLAN_PORTS and not h.get('arp')


def alike(a, b):
    return a is None or b is None or (a['proto'] == b['proto'] and a.get('type') == b.get('type'))


def padded(data, length):
    """A longer TCP segment, not to be cut."""
    more = b'\0' * (length - len(data))
    head = data[:2] + struct.pack('!H', length) + data[4:6] + b'\x40\0' + data[8:10] + b'\0\0' + data[12:20]
    segment = data[20:] + more
    if data[9] == 6:
        segment = segment[:16] + b'\0\0' + segment[18:]
        pseudo = data[12:20] + struct.pack('!xBH', 6, len(segment))
        segment = segment[:16] + struct.pack('!H', checksum(pseudo + segment)) + segment[18:]
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + segment


def carried(data, carrier):
    """The answer to what came in VXLAN goes back in VXLAN."""
    outer, inner = carrier[14:34], carrier[50:64]
    data = inner[6:12] + inner[:6] + inner[12:] + data
    udp = struct.pack('!HHHH', 40404, struct.unpack('!H', carrier[36:38])[0], 16 + len(data), 0) + carrier[42:50]
    head = b'\x45\0' + struct.pack('!HHHBBH', 36 + len(data), 1, 0, 64, 17, 0) + outer[16:20] + outer[12:16]
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + udp + data


def turned(p, way):
    """What a willing peer answers."""
    h, end = way['final'], way['end']
    back = {**({'length': p['length']} if 'length' in p else {}), 'ns': end[0], 'src': h['dst'], 'dst': h['src'], 'proto': p['proto'], 'ttl': 64, 'tos': h['tos']}
    if 'carried' in way:
        back['carried'] = True
    if len(end) == 2:
        back.update(device=end[1], mac=p['macs']['%s %s' % tuple(end)])
    if p['proto'] == 'icmp':
        return {**back, 'type': 0, 'id': h['id']}
    back.update(sport=h['dport'], dport=h['sport'])
    if p['proto'] == 'tcp':
        back['flags'] = 'SYN,ACK' if p.get('flags', 'SYN') == 'SYN' else 'ACK'
    return back


def serve(lines, out):
    ground = Ground()
    for line in lines:
        message = json.loads(line)
        try:
            op = message.pop('op')
            if op == 'build':
                answer = ground.build(message)
            elif op == 'packets':
                answer = ground.packets(message['packets'])
            elif op == 'run':
                with ground.inside(ground.namespaces[message['ns']]):
                    done = subprocess.run(message['command'], input=message.get('given'), capture_output=True, text=True)
                answer = {'code': done.returncode, 'stdout': done.stdout, 'stderr': done.stderr}
            else:
                answer = {'error': 'unknown op %s' % op}
        except (OSError, RuntimeError, KeyError, ValueError) as problem:
            answer = {'error': '%s: %s' % (type(problem).__name__, problem)}
        out.write(json.dumps(answer, separators=(',', ':')) + '\n')
        out.flush()


if __name__ == '__main__':
    serve(sys.stdin, sys.stdout)
