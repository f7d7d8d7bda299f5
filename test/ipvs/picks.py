#!/usr/bin/env python3
"""What the kernel's IPVS schedulers pick, as the table picks.txt: test/oracle/uml.sh python3 test/ipvs/picks.py > test/ipvs/picks.txt

The head of a group is a service and its servers as /proc/net/ip_vs has them, newest first, `ADDR=WEIGHT` (`<WEIGHT` where a server
had that weight before it was set to 0). Under it:

  hash    tuples `ADDR:PORT PICK`: the client's address (of dh, the virtual one) and the client's port, in hexadecimal, and which
          server got the connection, counted from 0, or - for none
  share   how many of 1200 connections each server got
  load    connections one after the other: the tuple, `ACTIVE/INACTIVE...` of each server before it, and the pick. Here `ADDR=WEIGHT/UPPER`
          is a server with an upper threshold.
"""
import os
import random
import re
import socket
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'oracle'))
import guest  # noqa: E402
from guest import probe  # noqa: E402
from packet import address, build  # noqa: E402

DICE = random.Random(1)
WEIGHTS = {'equal': (1, 1, 1), 'unequal': (3, 1, 5), 'large': (200, 70, 10, 130), 'quiet': (2, 0, 3, 1), 'one': (4,), 'heavy': (65535, 20000, 1)}
FLAGS = {1: 'fallback', 2: 'port'}
VIRTUAL = {4: '10.96.%d.%d', 6: 'fd00:96::%x:%x'}
SERVER = {4: '10.1.%d.%d', 6: 'fd00:1::%x:%x'}


class Services:
    """A node of which every address of the virtual networks is its own, with services that are told apart by theirs."""

    def __init__(self):
        probe.run('modprobe', 'ip_vs')
        self.node = guest.Guest()
        self.node.load({
            'devs': [{'name': 'in0', 'addrs': ['192.0.2.1/24', 'fd00:ff::1/64']}],
            'ip': ['route add local 10.96.0.0/16 dev lo', 'route add blackhole 10.1.0.0/16', '-6 route add local fd00:96::/64 dev lo',
                   '-6 route add blackhole fd00:1::/64', 'route add default dev in0', '-6 route add default dev in0'],
            'sysctls': {'net.ipv4.vs.conntrack': 0, 'net.ipv4.vs.drop_entry': 0}})
        self.count = 0
        self.mac = bytes.fromhex(self.node.macs['in0'].replace(':', ''))

    def add(self, scheduler, family, proto, flags, weights, marked=False, uppers=(), mixed=False):
        """A new service; the servers are added in this order, if mixed every second of the other family. Its address, its servers newest first, its head."""
        self.count += 1
        show = {4: '%s', 6: '[%s]'}
        virtual = VIRTUAL[family] % (self.count, 1)
        if marked:
            service = '-f %d%s' % (self.count, ' -6' if family == 6 else '')
            probe.run('iptables-legacy' if family == 4 else 'ip6tables-legacy', '-t', 'mangle', '-A', 'PREROUTING', '-d',
                      '10.96.%d.0/24' % self.count if family == 4 else 'fd00:96::%x:0/112' % self.count, '-j', 'MARK', '--set-mark', str(self.count))
        else:
            service = '-%s %s:80' % ('t' if proto == 'tcp' else 'u', show[family] % virtual)
        lines = ['-A %s -s %s%s' % (service, scheduler, ' -b ' + ','.join('flag-%d' % f for f in flags) if flags else '')]
        servers = []
        for i, weight in enumerate(weights):
            own = 10 - family if mixed and i % 2 else family
            end = '%s:%d' % (show[own] % (SERVER[own] % (self.count, i * 37 + 1)), 80 if marked or mixed else 8080 + i % 2)
            first, upper, method = abs(weight), uppers[i] if uppers else 0, 'i' if mixed else 'm'
            lines.append('-a %s -r %s -%s -w %d%s' % (service, end, method, first, ' -x %d' % upper if upper else ''))
            if weight < 0:
                lines.append('-e %s -r %s -%s -w 0' % (service, end, method))
            servers.insert(0, '%s=%s%s' % (end, '0<%d' % first if weight < 0 else first, '/%d' % upper if upper else ''))
        probe.run('ipvsadm', '-R', given='\n'.join(lines) + '\n')
        return virtual, [s.split('=')[0] for s in servers], '%s %d %s %s %s' % (scheduler, family, proto, ','.join('flag-%d' % f for f in flags) or '-', ' '.join(servers))

    def send(self, client, port, virtual, proto, flags='SYN'):
        frame = self.mac + bytes.fromhex('060000000001') + (b'\x86\xdd' if ':' in client else b'\x08\0')
        os.write(self.node.taps['in0'], frame + build({'src': client, 'dst': virtual, 'proto': proto, 'sport': port, 'dport': 80, 'flags': flags}))

    @staticmethod
    def connections():
        """The server of each (client, port, virtual), `10.1.0.1:80`."""
        found = {}
        with open('/proc/net/ip_vs_conn') as file:
            for words in (line.split() for line in list(file)[1:]):
                client, virtual, server = (readable(words[i]) for i in (1, 3, 5))
                found[(client, int(words[2], 16), virtual)] = '%s:%d' % ('[%s]' % server if ':' in server else server, int(words[6], 16))
        return found

    @staticmethod
    def counts(servers):
        found = {}
        with open('/proc/net/ip_vs') as file:
            for words in (line.split() for line in file):
                if words[0] == '->' and words[1] != 'RemoteAddress:Port':
                    addr, port = words[1].rsplit(':', 1)
                    addr = readable(addr.strip('[]'))
                    found['%s:%d' % ('[%s]' % addr if ':' in addr else addr, int(port, 16))] = words[4] + '/' + words[5]
        return [found[s] for s in servers], [s for s in found if s in servers]


def readable(words):
    """An address of /proc/net/ip_vs*: hexadecimal, or in full."""
    return socket.inet_ntop(socket.AF_INET6, address(words)) if ':' in words else socket.inet_ntoa(struct.pack('!I', int(words, 16)))


def a_client(family):
    """Some near each other, some anywhere."""
    near = DICE.random() < 0.3
    if family == 4:
        return '192.168.%d.%d' % (DICE.randrange(4), DICE.randrange(1, 255)) if near else \
            socket.inet_ntoa(struct.pack('!I', DICE.choice((DICE.randrange(0x0b000000, 0x7e000000), DICE.randrange(0xc6400000, 0xdfffffff)))))
    return socket.inet_ntop(socket.AF_INET6, struct.pack('!IIII', 0xfd000200 if near else DICE.randrange(0x20000000, 0x3fffffff),
                                                         *((0, 0, DICE.randrange(1, 99)) if near else (DICE.getrandbits(32) for _ in range(3)))))


def a_port():
    return DICE.randrange(21, 65536)        # what comes from port 20 is no new connection: ip_vs_schedule() takes it for FTP's data


def hashes(services):
    plan = []
    for scheduler in ('sh', 'dh', 'mh'):
        combinations = ((),) if scheduler == 'dh' else ((), (1,), (2,), (1, 2))
        for family in (4, 6):
            for flags in combinations:
                for name, weights in WEIGHTS.items():
                    weights = tuple(-2 if w == 0 and scheduler == 'mh' and family == 6 else w for w in weights)
                    plan.append((scheduler, family, DICE.choice(('tcp', 'udp')), flags, weights, False))
    plan += [('mh', family, 'tcp', (), WEIGHTS['large'], True) for family in (4, 6)]
    groups = []
    for scheduler, family, proto, flags, weights, mixed in plan:
        virtual, servers, head = services.add(scheduler, family, proto, flags, weights, scheduler == 'dh', mixed=mixed)
        assert services.counts(servers)[1] == servers, 'the order of ' + head
        size = (140 if family == 4 else 60) * (3 if scheduler == 'dh' else 1) if len(weights) > 1 else 20
        tuples = []
        for _ in range(size):
            client, port = a_client(family), a_port()
            to = virtual
            if scheduler == 'dh':
                to = VIRTUAL[family] % (services.count, DICE.randrange(1, 255 if family == 4 else 65536))
            services.send(client, port, to, proto)
            tuples.append((client, port, to))
        groups.append((head, servers, tuples))
    found = services.connections()
    for head, servers, tuples in groups:
        print('hash', head)
        line = []
        for client, port, to in tuples:
            got = found.get((client, port, to))
            line.append('%s:%x %s' % (address(to if head.startswith('dh') else client).hex(), port, '-' if got is None else servers.index(got)))
        for i in range(0, len(line), 8):
            print('  ' + ', '.join(line[i:i + 8]))


def shares(services):
    for scheduler in ('rr', 'wrr', 'lc', 'wlc', 'sed', 'nq', 'fo', 'ovf', 'lblc', 'lblcr'):
        for proto in ('tcp', 'udp'):
            for weights in ((1, 1, 1), (3, 1, 5), (2, 0, 3, 1)):
                virtual, servers, head = services.add(scheduler, 4, proto, (), weights)
                sent = [(a_client(4), a_port(), virtual) for _ in range(1200)]
                for client, port, to in sent:
                    services.send(client, port, to, proto)
                found = services.connections()
                got = [found.get(t) for t in set(sent)]
                print('share %s | %s' % (head, ' '.join(str(got.count(s)) for s in servers)))


def loads(services):
    """Connections on servers that differ; some are closed, which makes them inactive."""
    plan = [(scheduler, (), weights, ()) for scheduler in ('lc', 'wlc', 'sed', 'nq', 'ovf') for weights in ((1, 1, 1), (3, 1, 5), (2, 0, 3, 1))]
    plan += [(scheduler, (), (3, 1, 5), (9, 3, 6)) for scheduler in ('rr', 'wrr', 'lc', 'wlc', 'fo', 'sh', 'mh', 'dh')]
    for scheduler, flags, weights, uppers in plan + [(scheduler, (1,), (3, 1, 5), (9, 3, 6)) for scheduler in ('sh', 'mh')]:
        virtual, servers, head = services.add(scheduler, 4, 'tcp', flags, weights, uppers=uppers)
        steps = []
        for _ in range(30):
            before = services.counts(servers)[0]
            client, port = a_client(4), a_port()
            services.send(client, port, virtual, 'tcp')
            got = services.connections().get((client, port, virtual))
            if DICE.random() < 0.4:
                services.send(client, port, virtual, 'tcp', 'FIN')
            steps.append('%s:%x %s %s' % (address(virtual if scheduler == 'dh' else client).hex(), port, ' '.join(before), '-' if got is None else servers.index(got)))
        print('load', head)
        for i in range(0, len(steps), 4):
            print('  ' + ', '.join(steps[i:i + 4]))


if __name__ == '__main__':
    print('# What the schedulers of IPVS picked in Linux %s; written by test/ipvs/picks.py, which tells how to read it.' % os.uname().release)
    for part in (hashes, shares, loads):
        part(Services())
