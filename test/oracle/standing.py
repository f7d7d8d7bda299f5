#!/usr/bin/env python3
"""The kernel as the judge of a network that stands already: the named namespaces that a build.sh made (nodes.sh), of which
NODE.POD is called NODE/POD. For kernels that have legacy tables only, as the guest's.

One {"op": "send"} of network.py a line, and its answer a line. What rules match is told by the TRACE target, which comes first
in the raw tables here, before a rule that only marks where a packet's walk begins; what goes in and out of devices, and in which
order, is told by a packet socket a namespace.
"""
import contextlib
import errno
import json
import os
import select
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
import network  # noqa: E402
from asking import abort, ask, reply, said  # noqa: E402
from netlink import LOG_MESSAGE, Netlink, read_log  # noqa: E402
from packet import flag_bits, parse  # noqa: E402
from walk import refused  # noqa: E402

QUIET = 0.25        # seconds without an event after which a packet has come to its end; a SYN is sent again after one second
OUTGOING = 4
IPIP = 4
OURS = 2            # rules of ours in raw PREROUTING and OUTPUT; the second one begins a walk
# Tables that are not there are made: empty ones tell of a packet, too.
TRACED = ''.join('*%s\n%sCOMMIT\n' % table for table in (
    ('raw', '-I PREROUTING\n-I PREROUTING -j TRACE\n-I OUTPUT\n-I OUTPUT -j TRACE\n'), ('mangle', ''), ('filter', '')))


class Place(network.Namespace):
    def __init__(self, name, home):
        self.name, self.home, self.taps, self.macs, self.chains, self.handles, self.balances = name.replace('.', '/', 1), home, {}, {}, {}, {}, False
        self.fd = os.open('/run/netns/' + name, os.O_RDONLY)
        with self.entered():
            self.run('iptables-legacy-restore', '-w', '20', '--noflush', given=TRACED)
            self.learn(2, self.run('iptables-legacy-save'))
            for path, value in (('net/ipv4/icmp_ratemask', 0), ('net/netfilter/nf_log/2', 'nfnetlink_log')):
                with contextlib.suppress(OSError):
                    self.sysctl(path, value)
            # Virtual servers stand between filter and nat in INPUT: of a first packet that they took, nat says nothing.
            with contextlib.suppress(OSError), open('/proc/net/ip_vs') as table:
                self.balances = len(table.readlines()) > 3
            self.trace, self.control = Netlink(), Netlink()
            self.trace.log_traces()
            self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
            self.wire.setsockopt(socket.SOL_SOCKET, 33, 1 << 20)
            self.wire.setsockopt(socket.SOL_SOCKET, 35, 1)           # SO_TIMESTAMPNS
            self.wire.setblocking(False)
            self.devices = dict(socket.if_nameindex())
            self.ports = {}                                          # of bridges
            for line in self.run('ip', '-o', 'link', 'show').splitlines():
                words = line.split()
                if 'master' in words:
                    self.ports.setdefault(words[words.index('master') + 1], []).append(words[1].rstrip(':').split('@')[0])

    def seen(self):
        """(moment, device, outgoing, header) of what waits in the packet socket."""
        while True:
            try:
                data, control, _, address = self.wire.recvmsg(256, 256)
            except BlockingIOError:
                return
            moment = next((struct.unpack('=qq', d[:16]) for level, kind, d in control if (level, kind) == (1, 35)), (0, 0))
            header = header_of(data) if address[1] == 0x800 else None
            if header:
                yield moment, address[0], address[2] == OUTGOING, header

    def events(self):
        for kind, family, body in self.trace.messages(False):
            event = read_log(family, body, self.rules_in) if kind == LOG_MESSAGE else None
            # The rule that begins the trace is seen where a traced packet comes by once more: what IPVS sends to its server.
            # And a redirect is sent in the middle of the walk of the packet that it is about.
            if event is not None and not (enters(event) and event.get('number', OURS) < OURS) and not is_redirect(parse(event['header'])):
                yield event


def is_redirect(header):
    return header is not None and header['proto'] == 1 and header.get('type') == 5


def header_of(data):
    """A packet in a packet plays the part that the inner one plays."""
    header = parse(data)
    if header and header['proto'] == IPIP:
        inner = parse(data[20:])
        header['role'] = inner['role'] if inner else 'other'
    return header


class Standing(network.Network):
    def __init__(self):
        self.home = os.open('/proc/self/ns/net', os.O_RDONLY)
        self.sport = 40000
        self.namespaces = {}
        for name in sorted(os.listdir('/run/netns')):
            place = Place(name, self.home)
            self.namespaces[place.name] = place

    def send(self, q):
        for place in self.namespaces.values():
            place.control.forget_connections()
            list(place.events()), list(place.seen())
        self.sport = 40000 + (self.sport - 39999) % 20000
        q = {'proto': 'tcp', 'sport': self.sport, **q}
        self.asked = flag_bits(q['flags']) if 'flags' in q else None
        listeners = self.listen(q.get('listen', {}), False)
        events, seen, client, said_at_once = {}, {}, None, None
        try:
            with self.namespaces[q['namespace']].entered():
                try:
                    client = ask(q)
                except OSError as error:
                    said_at_once = errno.errorcode.get(error.errno, str(error))
            self.follow(q, listeners, events, seen)
            answer = {'requests': [], 'replies': [], 'errors': []}
            if said_at_once or client is not None:
                answer['socket'] = said_at_once or said(client)
        finally:
            for s in [client, *listeners]:
                if s is not None:
                    abort(s)
        for role, walk in sorted(self.walks(events, seen), key=lambda w: w[1]['moment']):
            del walk['moment']
            if role in ('request', 'reply', 'error'):
                answer[{'request': 'requests', 'reply': 'replies', 'error': 'errors'}[role]].append(walk)
        if answer.get('socket') in ('connected', 'answered') and answer['replies'] and answer['replies'][-1].get('arrived'):
            # No table is asked after the address is translated back in INPUT; but the socket takes answers of whom it asked alone.
            answer['replies'][-1]['arrived'].update({'src': q['dst'], **({'sport': q['dport']} if 'dport' in q else {})})
        return answer

    def role(self, header):
        return 'request' if self.asked is not None and header.get('flags') == self.asked else header['role']

    def follow(self, q, listeners, events, seen):
        sockets = [p.trace.socket for p in self.namespaces.values()] + [s for s in listeners if s.type == socket.SOCK_DGRAM]
        last = time.monotonic()
        while time.monotonic() - last < QUIET:
            ready, _, _ = select.select(sockets, [], [], 0.01)
            for s in ready:
                if s in listeners:
                    reply(s)
            for name, place in self.namespaces.items():
                new = list(place.events()) if place.trace.socket in ready else []
                events.setdefault(name, []).extend(new)
                if new:
                    last = time.monotonic()
        for name, place in self.namespaces.items():
            seen[name] = list(place.seen())

    def walks(self, events, seen):
        """The events of a namespace fall into walks where a packet enters it: what one packet leads to is done in that moment, but
        none of its own events comes after those of the packet that it leads to."""
        for name, place in self.namespaces.items():
            walk, moment, waiting = None, (0, 0), list(seen.get(name, []))
            for event in [*events.get(name, []), None]:
                if event is None or (begins(event)):
                    if walk is not None:
                        moment = settle(walk, place, waiting, moment)
                        yield walk.pop('role'), walk
                    if event is None:
                        break
                    header = header_of(event['header'])
                    walk = {'namespace': name, 'local': event['chain'] == 'OUTPUT', 'entered': header, 'role': self.role(header), 'rules': [], 'mark': 0}
                if walk is not None:
                    self.note(walk, event, place)

    def note(self, walk, event, place):
        walk['last'] = event
        walk['mark'] = event.get('mark', 0)
        for key in ('iif', 'oif'):
            if key in event:
                walk[key] = place.devices.get(event[key], str(event[key]))
        if event['kind'] == 'rule':
            ours = OURS if enters(event) else 0
            if event['number'] > ours:
                walk['rules'].append({'backend': 'legacy', 'family': 'ip', 'table': event['table'], 'chain': event['chain'], 'number': event['number'] - ours})


def enters(event):
    return event['table'] == 'raw' and event['chain'] in ('PREROUTING', 'OUTPUT')


def begins(event):
    return enters(event) and event.get('number') == OURS


def settle(walk, place, waiting, moment):
    """How a walk ended, and when it was: as its packet was seen on a device, or right after the walk before it."""
    def take(device, outgoing):
        # A frame that stays in a bridge is seen on its ports alone.
        return taken([device], outgoing) or taken(place.ports.get(device, []), outgoing) or (None, None)

    def taken(devices, outgoing):
        for i, (at, name, out, header) in enumerate(waiting):
            if name in devices and out == outgoing and header['role'] == walk['entered']['role'] and header['proto'] == walk['entered']['proto']:
                del waiting[i]
                return at, header
        return None

    last = walk.pop('last')
    if walk['local']:
        walk.pop('iif', None)                                        # POSTROUTING is told of the tunnel's device
    at = take(walk.get('iif'), False)[0] if not walk['local'] else None
    if refused(last, place):
        walk['end'] = 'dropped'
        walk['by'] = dict(walk['rules'][-1]) if last['kind'] == 'rule' else {
            'backend': 'legacy', 'family': 'ip', 'table': last['table'], 'chain': last['chain']}
    elif last['chain'] == 'INPUT' or last['table'] in ('filter', 'security') and 'oif' not in walk:
        if place.balances and walk['role'] == 'request' and last['table'] != 'nat' and walk.get('iif') != 'lo':
            walk['end'] = 'gone'
        else:
            walk['end'], walk['arrived'] = 'delivered', header_of(last['header'])
    else:
        gone, header = take(walk.get('oif'), True)
        walk['end'] = 'left' if header else 'gone'
        if header:
            walk['left'] = header
        at = at or gone
    walk['seen'] = header_of(last['header'])
    if walk['entered']['proto'] == IPIP:
        walk['outer'] = True
    for key in ('entered', 'seen', 'left', 'arrived'):
        if key in walk:
            walk[key] = {k: v for k, v in walk[key].items() if k != 'role'}
    walk['moment'] = at or (moment[0], moment[1] + 1)
    return walk['moment']


def serve(lines, out):
    standing = Standing()
    for line in lines:
        message = json.loads(line)
        try:
            if message.pop('op') != 'send':
                raise ValueError('only send')
            answer = {'answer': standing.send(message)}
        except (OSError, RuntimeError, KeyError, ValueError) as problem:
            answer = {'error': '%s: %s' % (type(problem).__name__, problem)}
        out.write(json.dumps(answer, separators=(',', ':')) + '\n')
        out.flush()


if __name__ == '__main__':
    serve(sys.stdin, sys.stdout)
