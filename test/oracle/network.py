#!/usr/bin/env python3
"""The kernel as the judge: a small network of namespaces, and one packet at a time through it.

`network.py` reads one JSON object a line and answers each with one:

  {"op": "build", "namespaces": [NAMESPACE...], "veths": [[END, END]...], "wires": [{"name", "ends": [END...]}...]}
      NAMESPACE  {name, links: [{name, kind?, mac?, mtu?, up, master?, noArp?}], addresses: [{device, address, peer?, broadcast?, scope?}],
                  routes: ["ip route add" arguments, "-6" first for IPv6], rules, rules6: ["ip rule add" arguments] (instead of all but
                  priority 0), neighbours: ["ip neigh replace" arguments], sysctls: [[path, value]], ipset, legacy, legacy6, nft, nft6 (iptables-save texts), nftables (an nft file)}
      END        {namespace, device}
  {"op": "send", "namespace", "dst", "proto"?, "src"?, "sport"?, "dport"?, "flags"?, "type"?, "code"?, "mark"?, "uid"?,
   "device"? (injected there, as from the wire), "listen"?: {tcp: [port...], udp: [port...]}, "keep"?: true (connections stay)}
      -> {"requests": [PASS...], "replies": [PASS...], "errors": [PASS...], "socket": what the sender's socket said}
         and of adopted ones "counters": {namespace: {counter: how much it grew}}
      PASS       one walk of the packet through one namespace: {namespace, local, iif?, oif?, entered, seen, left?, arrived?, mark, rules, end, by?, outer?}
                 end: delivered, left, dropped (by a rule or a policy: `by`), gone (by the kernel itself)
                 seen: the header that the trace showed last; outer: the UDP packet in which a VXLAN device carries the packet
  {"op": "adopt", "script"}: runs a scenario's build.sh in a private mount namespace and takes its named namespaces: NODE.POD is NODE/POD here
  {"op": "run", "namespace", "command": [..]} -> {"code", "stdout", "stderr"}
  {"op": "quit"}

Namespaces have no name outside this process and vanish with it. The rules under test stay as loaded: one private table,
`inet oracle`, switches tracing on, and both backends report to one netlink socket a namespace, in the kernel's order.
"""
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from asking import listener, abort, ask, inject, reply, said  # noqa: E402
from netlink import NFNLGRP_NFTRACE, Netlink  # noqa: E402
from packet import flag_bits  # noqa: E402
from walk import collect, drain, ends, finish, related  # noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x20000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
# Before everything and after everything; but not before br_netfilter, which takes a packet that it has shown to PREROUTING
# already past that hook when it comes up from the bridge (ip_sabotage_in(), at the lowest priority there is). The ct expression is never reached; it keeps conntrack on, without which the
# kernel would skip the nat tables, as no host that has such rules does.
ORACLE = '''
table inet oracle {
  chain user { }
  chain prerouting { type filter hook prerouting priority -2147483647; meta nftrace set 1; }
  chain output { type filter hook output priority -2147483648; meta nftrace set 1; }
  chain input { type filter hook input priority 2147483647; }
  chain forward { type filter hook forward priority 2147483647; }
  chain postrouting { type filter hook postrouting priority 2147483647; }
}
add rule inet oracle user ct state new
'''
COUNTED = {'InAddrErrors', 'InNoRoutes', 'OutNoRoutes', 'InHdrErrors', 'FragFails', 'IPReversePathFilter', 'TcpExtMartian'}
QUIET = 0.05        # seconds without an event after which a packet has come to its end
PATIENCE = 0.9      # ... and where it left for a wire and arrived nowhere: before a SYN is sent again after a second


class Namespace:
    """One network namespace, held by a file descriptor."""

    def __init__(self, name, home, path=None):
        """A new one, or, with a path, one that is there already."""
        self.name, self.home, self.adopted = name, home, path is not None
        if path is None:
            if LIBC.unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), 'unshare(CLONE_NEWNET) needs root')
            path = '/proc/self/ns/net'
        self.fd = os.open(path, os.O_RDONLY)
        setns(self.fd)
        self.taps, self.macs, self.devices = {}, {}, {}
        self.chains, self.handles = {}, None
        self.written = []                            # the sets of nft that rules write, and that were empty before any packet
        self.run('ip', 'link', 'set', 'lo', 'up')
        self.run('nft', '-f', '-', given=ORACLE)
        self.trace, self.control = Netlink([NFNLGRP_NFTRACE]), Netlink()
        for path, value in (('net/ipv4/igmp_link_local_mcast_reports', 0), ('net/ipv6/conf/default/router_solicitations', 0),
                            ('net/ipv6/conf/default/accept_ra', 0), ('net/ipv6/conf/default/accept_dad', 0), ('net/ipv6/conf/all/accept_dad', 0),
                            ('net/ipv4/icmp_ratemask', 0), ('net/ipv6/icmp/ratelimit', 0), ('net/ipv4/icmp_ratelimit', 0),
                            ('net/netfilter/nf_log/2', 'nfnetlink_log'), ('net/netfilter/nf_log/10', 'nfnetlink_log')):
            with contextlib.suppress(OSError):
                self.sysctl(path, value)
        self.trace.log_traces()
        setns(home)

    @contextlib.contextmanager
    def entered(self):
        setns(self.fd)
        try:
            yield
        finally:
            setns(self.home)

    def forget(self):
        """What packets left behind: connections, and elements of sets."""
        self.control.forget_connections()
        if self.written:
            with self.entered():
                self.run('nft', '-f', '-', given=''.join('flush %s\n' % ' '.join(it) for it in self.written))

    # These five are called with the namespace entered.
    def run(self, *command, given=None):
        done = subprocess.run(command, input=given, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError('%s: %s: %s' % (self.name, ' '.join(command), (done.stderr or done.stdout).strip()[:500]))
        return done.stdout

    def sysctl(self, path, value):
        with open('/proc/sys/' + path, 'w') as file:
            file.write(str(value))

    def tap(self, name, layer2):
        """A device whose other side is this process: packets can be written to it, and it always has a carrier."""
        fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, 0x400454ca, struct.pack('16sH22x', name.encode(), 0x1000 | (2 if layer2 else 1)))
        self.taps[name] = fd

    def learn_sets(self):
        # JSON does not tell `dynamic` in nft 1.0.6.
        for kind in ('set', 'map'):
            table = name = None
            for words in map(str.split, self.run('nft', 'list', kind + 's').splitlines()):
                if words[:1] == ['table']:
                    table = words[1:3]
                elif words[:1] == [kind]:
                    name = words[1]
                elif words[:1] == ['flags'] and 'dynamic' in words[1]:
                    self.written.append([kind, *table, name])
                elif words[:1] == ['elements'] and [kind, *table, name] in self.written:
                    self.written.remove([kind, *table, name])

    def learn(self, family, save):
        """The rules and policies of legacy tables, by which their trace is read."""
        table = None
        for line in save.splitlines():
            line = line.split('] ', 1)[1] if line.startswith('[') else line
            if line.startswith('*'):
                table = line[1:].strip()
            elif line.startswith(':'):
                chain, policy = line[1:].split()[:2]
                self.chains.setdefault((family, table, chain), {'rules': [], 'policy': policy})
            elif line.startswith('-A '):
                chain = line.split(None, 2)[1]
                self.chains.setdefault((family, table, chain), {'rules': [], 'policy': '-'})['rules'].append(line)

    def relearn(self):
        """After a command: legacy tables that were there are read anew."""
        families = {family for family, _, _ in self.chains}
        self.chains = {}
        for family, tool in ((2, 'iptables-legacy-save'), (10, 'ip6tables-legacy-save')):
            if family in families:
                self.learn(family, self.run(tool))

    def rules_in(self, family, table, chain):
        return len(self.chains.get((family, table, chain), {'rules': ()})['rules'])

    def close(self):
        for fd in self.taps.values():
            os.close(fd)
        self.trace.close()
        self.control.close()
        os.close(self.fd)


def setns(fd):
    if LIBC.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), 'setns')


def rank(walk):
    """Where a walk stands among those of its packet."""
    if 'carries' in walk:
        # After the walk that ended in the tunnel, before the one that begins behind it.
        return (-walk['carries'], 1, -walk['entered']['ttl'], not walk['local'])
    return (-walk['entered'].get('ttl', 0), 0 if walk['local'] else 2, 'arrived' in walk, 0)


class Network:
    def __init__(self):
        # Whatever goes wrong, nothing here may touch the namespace this process was started in.
        if LIBC.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'unshare(CLONE_NEWNET) needs root')
        self.home = os.open('/proc/self/ns/net', os.O_RDONLY)
        self.namespaces = {}
        self.sport = 40000

    def close(self):
        for namespace in self.namespaces.values():
            namespace.close()
        self.namespaces = {}

    # -- building

    def build(self, message):
        self.close()
        notes = []
        for n in message['namespaces']:
            self.namespaces[n['name']] = Namespace(n['name'], self.home)
        made = self.wire(message.get('veths', []), message.get('wires', []))
        for n in message['namespaces']:
            namespace = self.namespaces[n['name']]
            with namespace.entered():
                configure(namespace, n, made, notes)
        self.settle(message['namespaces'], made)
        return {'notes': notes}

    def path(self, namespace):
        return '/proc/%d/fd/%d' % (os.getpid(), self.namespaces[namespace].fd)

    def wire(self, veths, wires):
        """Makes the devices that have another end, and returns them as (namespace, device).

        Of two ends with the same ifindex the kernel is slow to notice the carrier (linkwatch_urgent_event()), so one gets its own."""
        made = set()
        for i, (a, b) in enumerate(veths):
            with self.namespaces[a['namespace']].entered():
                self.namespaces[a['namespace']].run('ip', 'link', 'add', a['device'], 'index', str(1000 + i), 'type', 'veth',
                                                    'peer', 'name', b['device'], 'netns', self.path(b['namespace']))
            made |= {(x['namespace'], x['device']) for x in (a, b)}
        if wires:
            hub = self.namespaces['\0hub'] = Namespace('hub', self.home)
            with hub.entered():
                hub.run('nft', 'delete', 'table', 'inet', 'oracle')
                with contextlib.suppress(OSError):
                    hub.sysctl('net/bridge/bridge-nf-call-iptables', 0)
                    hub.sysctl('net/bridge/bridge-nf-call-ip6tables', 0)
                hub.sysctl('net/ipv6/conf/default/disable_ipv6', 1)
                for i, wire in enumerate(wires):
                    hub.run('ip', 'link', 'add', 'w%d' % i, 'type', 'bridge')
                    hub.run('ip', 'link', 'set', 'w%d' % i, 'up')
                    for j, end in enumerate(wire['ends']):
                        port = 'w%dp%d' % (i, j)
                        hub.run('ip', 'link', 'add', port, 'index', str(1000 + 100 * i + j), 'type', 'veth',
                                'peer', 'name', end['device'], 'netns', self.path(end['namespace']))
                        hub.run('ip', 'link', 'set', port, 'master', 'w%d' % i, 'up')
                        made.add((end['namespace'], end['device']))
        return made

    def settle(self, namespaces, made):
        """Waits until every device with another end has a carrier and every port of a wire forwards."""
        wanted = {n['name']: {x['name'] for x in n['links'] if (n['name'], x['name']) in made and x.get('up', True)} for n in namespaces}
        until = time.monotonic() + 5
        for name, devices in wanted.items():
            with self.namespaces[name].entered():
                while time.monotonic() < until:
                    lines = self.namespaces[name].run('ip', '-o', 'link', 'show', 'up').splitlines()
                    if devices <= {line.split()[1].split('@')[0].rstrip(':') for line in lines if ' state UP ' in line}:
                        break
                    time.sleep(0.005)
        for namespace in self.namespaces.values():
            with namespace.entered():
                while time.monotonic() < until:
                    # A port whose other end was captured as down stays disabled; that is all right.
                    ports = [line for line in namespace.run('bridge', 'link', 'show').splitlines() if 'LOWER_UP' in line]
                    if all('state forwarding' in line for line in ports):
                        break
                    time.sleep(0.005)

    def adopt(self, script):
        """The network that a build.sh makes: what it leaves behind in /run/netns, each namespace under its own name."""
        self.close()
        if LIBC.unshare(CLONE_NEWNS) or LIBC.mount(None, b'/', None, MS_REC | MS_PRIVATE, None):
            raise OSError(ctypes.get_errno(), 'a private mount namespace')
        done = subprocess.run(['bash', script], env={**os.environ, 'NETWHY_INSIDE': '1'}, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError('%s: %s' % (script, done.stderr.strip()[-500:]))
        for name in sorted(os.listdir('/run/netns')):
            namespace = self.namespaces[name.replace('.', '/', 1)] = Namespace(name.replace('.', '/', 1), self.home, '/run/netns/' + name)
            with namespace.entered():
                for family, tool in ((2, 'iptables-legacy-save'), (10, 'ip6tables-legacy-save')):
                    namespace.learn(family, namespace.run(tool))
                namespace.learn_sets()
                for device in os.listdir('/proc/sys/net/ipv4/neigh'):
                    # Who does not answer ARP is given up soon.
                    namespace.sysctl('net/ipv4/neigh/%s/retrans_time_ms' % device, 60)
                namespace.devices = dict(socket.if_nameindex())
        return {'namespaces': list(self.namespaces)}

    # -- one packet

    def send(self, q):
        keep = q.get('keep', False)
        for namespace in self.namespaces.values():
            drain(namespace)
            if not keep:
                namespace.forget()
        self.sport = 40000 + (self.sport - 39999) % 20000
        q = {'proto': 'tcp', 'sport': self.sport, **q}
        listeners = self.listen(q.get('listen', {}), ':' in q['dst'])
        before = self.counters()
        sender = self.namespaces[q['namespace']]
        asked = {'flags': flag_bits(q['flags'])} if 'flags' in q else {}
        passes, state = [], {}
        client = None
        try:
            with sender.entered():
                try:
                    client = inject(sender, q) if 'device' in q else ask(q)
                except OSError as error:
                    state['socket'] = errno.errorcode.get(error.errno, str(error))
            self.watch(q, passes, listeners, client, state, asked)
        finally:
            if client is not None:
                abort(client)
            for listener in listeners:
                abort(listener)
        time.sleep(0.002)                                    # what closing makes the kernel send is not of interest
        answer, passes = {}, related(passes, q)
        for role, name in (('request', 'requests'), ('reply', 'replies'), ('error', 'errors')):
            found = [finish(p, self.namespaces[p['namespace']]) for p in passes if p['role'] == role]
            # A forwarding node counts the TTL down, so it orders the namespaces; a sender's own walk goes before the
            # first receiver's, and a tunnel's packet between the walks of the one that it carries.
            found.sort(key=rank)
            answer[name] = [{k: v for k, v in p.items() if k != 'carries'} for p in found]
        grown = {n: {k: v - before[n].get(k, 0) for k, v in now.items() if v != before[n].get(k, 0)} for n, now in self.counters().items()}
        if grown:
            answer['counters'] = {n: c for n, c in grown.items() if c}
        if 'socket' in state:
            answer['socket'] = state['socket']
        return answer

    def counters(self):
        """Why the kernel itself threw packets away, as far as it counts that."""
        found = {}
        for name, namespace in self.namespaces.items():
            if not namespace.adopted:
                continue
            with namespace.entered():
                found[name] = counts = {}
                for path in ('/proc/thread-self/net/snmp', '/proc/thread-self/net/netstat'):
                    with open(path) as file:
                        lines = [line.split() for line in file]
                    for names, values in zip(lines[::2], lines[1::2]):
                        counts.update((k, int(v)) for k, v in zip(names[1:], values[1:]) if k in COUNTED)
                for link in json.loads(namespace.run('ip', '-j', '-s', '-s', 'link', 'show')):
                    counts['otherhost ' + link['ifname']] = link['stats64']['rx'].get('otherhost', 0)
        return found

    def on_the_wire(self, passes):
        """Whether the packet or its answer went out to another namespace that has not seen it yet."""
        walks = [p for p in passes if 'entered' in p and p['role'] in ('request', 'reply')]
        if not walks or any(p['role'] == 'error' for p in passes):
            return not walks
        seen = {(p['role'], ends(p['entered']), p['entered']['ttl']) for p in walks if not p['local']}
        return any((p['role'], ends(p['left']), p['left']['ttl']) not in seen and p.get('oif') not in self.namespaces[p['namespace']].taps
                   for p in walks if p.get('left'))

    def listen(self, ports, v6):
        opened = []
        for namespace in self.namespaces.values():
            if namespace is self.namespaces.get('\0hub'):
                continue
            with namespace.entered():
                for kind, numbers in ports.items():
                    for port in numbers:
                        s = listener(socket.AF_INET6 if v6 else socket.AF_INET, kind)
                        if s is None:
                            continue
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        if kind == 'udp':
                            s.setsockopt(*((socket.IPPROTO_IPV6, 49, 1) if v6 else (socket.IPPROTO_IP, 8, 1)))     # RECVPKTINFO
                        s.bind(('::' if v6 else '0.0.0.0', port))
                        s.setblocking(False)
                        if kind != 'udp':
                            s.listen(8)
                        opened.append(s)
        return opened

    def watch(self, q, passes, listeners, client, state, asked):
        """Reads all traces until nothing happens any more, and answers for the listeners."""
        traces = {n.trace.socket: n for n in self.namespaces.values()}
        start = last = time.monotonic()
        waiting = set(traces) | {s for s in listeners if s.type == socket.SOCK_DGRAM}
        while True:
            now = time.monotonic()
            answered = any(p['role'] == 'reply' and 'arrived' in p and p['namespace'] == q['namespace'] for p in passes)
            limit = PATIENCE if self.on_the_wire(passes) and 'socket' not in state else QUIET / 10 if answered else QUIET
            if now - (start if limit == PATIENCE else last) > limit:
                break
            ready, _, _ = select.select(list(waiting), [], [], 0.004)
            for s in ready:
                if s in traces:
                    collect(traces[s], passes, asked)
                else:
                    reply(s)
                last = time.monotonic()
        if client is not None and 'socket' not in state:
            state['socket'] = said(client)


def configure(namespace, n, made, notes):
    """Links, addresses, routes, settings, sets and rules of one namespace, in an order in which each finds what it needs."""
    run = namespace.run
    for link in n['links']:
        name = link['name']
        if name == 'lo' or (n['name'], name) in made:
            continue
        if link.get('kind') == 'bridge':
            run('ip', 'link', 'add', name, 'type', 'bridge')
            continue
        # Something stands in for devices whose other end was not captured: what goes out of them has left.
        layer2 = 'mac' in link
        namespace.tap(name, layer2)
        if link.get('kind') not in (None, 'tun', 'tap', 'veth'):
            notes.append('%s: a %s stands for the %s device %s' % (n['name'], 'tap' if layer2 else 'tun', link['kind'], name))
        if layer2 and not link.get('master'):
            run('ip', 'link', 'set', name, 'arp', 'off')
    for link in n['links']:
        name = link['name']
        options = []
        if 'mac' in link and name != 'lo':
            options += ['address', link['mac']]
        if 'mtu' in link:
            options += ['mtu', str(link['mtu'])]
        if 'master' in link:
            options += ['master', link['master']]
        if options:
            run('ip', 'link', 'set', name, *options)
        namespace.macs[name] = link.get('mac')
    for path, value in n.get('sysctls', []):
        try:
            namespace.sysctl(path, value)
        except OSError as error:
            notes.append('%s: %s: %s' % (n['name'], path, os.strerror(error.errno)))
    for link in n['links']:
        run('ip', 'link', 'set', link['name'], 'up' if link.get('up', True) else 'down')
    for a in n.get('addresses', []):
        if a['device'] == 'lo' and a['address'] in ('127.0.0.1/8', '::1/128'):
            continue
        line = ['ip', 'addr', 'replace', a['address']]        # link-local ones are there already
        for key, word in (('peer', 'peer'), ('broadcast', 'broadcast'), ('scope', 'scope')):
            if key in a and not (key == 'scope' and ':' in a['address']):
                line += [word, a[key]]
        run(*line, 'dev', a['device'], *(['nodad'] if ':' in a['address'] else []))
    routes = sorted(n.get('routes', []), key=lambda r: ' via ' in r)
    while routes:                                            # a gateway must be reachable first; listings are not in that order
        left = []
        for r in routes:
            try:
                words = r.split()
                run('ip', *(['-6', 'route', 'add', *words[1:]] if words[0] == '-6' else ['-4', 'route', 'append', *words]))
            except RuntimeError as error:
                left.append(r)
                problem = error
        if len(left) == len(routes):
            raise problem
        routes = left
    for flag, key in (('-4', 'rules'), ('-6', 'rules6')):
        if n.get(key):
            run('ip', flag, 'rule', 'flush')
            for r in n[key]:
                run('ip', flag, 'rule', 'add', *r.split())
    for r in n.get('neighbours', []):
        run('ip', 'neigh', 'replace', *r.split())
    if n.get('ipset'):
        run('ipset', 'restore', given=n['ipset'])
    # Legacy before nft or after it: nobody can tell from captures which was first, so neither can we.
    for key, family, tool in (('legacy', 2, 'iptables-legacy-restore'), ('legacy6', 10, 'ip6tables-legacy-restore'),
                              ('nft', 2, 'iptables-nft-restore'), ('nft6', 10, 'ip6tables-nft-restore')):
        if n.get(key):
            run(tool, *(['-w', '20'] if 'legacy' in tool else []), given=n[key])
            if 'legacy' in key:
                namespace.learn(family, n[key])
    if n.get('nftables'):
        run('nft', '-f', '-', given=n['nftables'])
        namespace.learn_sets()
    namespace.devices = dict(socket.if_nameindex())
    namespace.handles = None


def serve(lines, out):
    network = Network()
    for line in lines:
        if not line.strip():
            continue
        message = json.loads(line)
        try:
            op = message.pop('op')
            if op == 'build':
                answer = network.build(message)
            elif op == 'adopt':
                answer = network.adopt(message['script'])
            elif op == 'send':
                answer = network.send(message)
            elif op == 'run':
                namespace = network.namespaces[message['namespace']]
                with namespace.entered():
                    done = subprocess.run(message['command'], input=message.get('given'), capture_output=True, text=True)
                    namespace.relearn()
                namespace.handles = None
                answer = {'code': done.returncode, 'stdout': done.stdout, 'stderr': done.stderr}
            elif op == 'quit':
                break
            else:
                answer = {'error': 'unknown op %s' % op}
        except (OSError, RuntimeError, KeyError, ValueError, StopIteration) as problem:
            answer = {'error': '%s: %s' % (type(problem).__name__, problem)}
        out.write(json.dumps(answer, separators=(',', ':')) + '\n')
        out.flush()
    network.close()


if __name__ == '__main__':
    serve(sys.stdin, sys.stdout)
