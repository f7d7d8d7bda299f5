"""NETLINK_NETFILTER, as far as the kernel's trace of a packet needs it: nft's NFT_MSG_TRACE, and for legacy tables the
TRACE lines that come through nfnetlink_log. One socket carries both, which keeps their true order."""
import os
import socket
import struct

NETLINK_NETFILTER = 12
NLM_REQUEST, NLM_ACK, NLM_DUMP = 1, 4, 0x300
SUBSYS_CTNETLINK, SUBSYS_ULOG, SUBSYS_NFTABLES = 1, 4, 10
NFNLGRP_NFTRACE = 9
TRACE_MESSAGE = SUBSYS_NFTABLES << 8 | 17
LOG_MESSAGE = SUBSYS_ULOG << 8 | 0
KINDS = {1: 'policy', 2: 'return', 3: 'rule'}
VERDICTS = {0: 'drop', 1: 'accept', 2: 'stolen', 3: 'queue', 4: 'repeat', 5: 'stop',
            -1: 'continue', -2: 'break', -3: 'jump', -4: 'goto', -5: 'return'}


def attributes(data, offset=0):
    found = {}
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from('=HH', data, offset)
        if length < 4:
            break
        found[kind & 0x3fff] = data[offset + 4:offset + length]
        offset += (length + 3) & ~3
    return found


def attribute(kind, data):
    return struct.pack('=HH', len(data) + 4, kind) + data + b'\0' * (-len(data) % 4)


def text(data):
    return data.rstrip(b'\0').decode()


def number(data):
    return struct.unpack('!I', data)[0]


class Netlink:
    """A socket of the network namespace it was opened in, wherever the process goes afterwards."""

    def __init__(self, groups=()):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.socket.bind((0, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)       # SO_RCVBUFFORCE: a trace that overflows is worthless
        for group in groups:
            self.socket.setsockopt(270, 1, group)                    # NETLINK_ADD_MEMBERSHIP
        self.sequence = 0

    def send(self, subsystem, message, family, payload=b'', flags=NLM_ACK, resource=0):
        self.sequence += 1
        body = struct.pack('=BBH', family, 0, socket.htons(resource)) + payload
        head = struct.pack('=IHHII', 16 + len(body), subsystem << 8 | message, NLM_REQUEST | flags, self.sequence, 0)
        self.socket.send(head + body)

    def messages(self, blocking):
        """(type, family, body) of everything that waits; blocking: up to the end of the answer."""
        while True:
            try:
                data = self.socket.recv(1 << 20, 0 if blocking else socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            offset = 0
            while offset + 16 <= len(data):
                length, kind = struct.unpack_from('=IH', data, offset)
                if kind == 2:                                        # NLMSG_ERROR, 0 for an acknowledgement
                    error = struct.unpack_from('=i', data, offset + 16)[0]
                    if error:
                        raise OSError(-error, os.strerror(-error))
                    if blocking:
                        return
                elif kind == 3:                                      # NLMSG_DONE
                    if blocking:
                        return
                else:
                    yield kind, data[offset + 16], data[offset + 20:offset + length]
                offset += (length + 3) & ~3

    def request(self, *args, **options):
        self.send(*args, **options)
        return list(self.messages(True))

    def log_traces(self):
        """Binds to nfnetlink_log group 0, each packet at once, 128 bytes of it."""
        self.request(SUBSYS_ULOG, 1, 0, attribute(1, b'\1'))
        self.request(SUBSYS_ULOG, 1, 0, attribute(2, struct.pack('!IBx', 128, 2)))
        self.request(SUBSYS_ULOG, 1, 0, attribute(5, struct.pack('!I', 1)))

    def forget_connections(self):
        self.request(SUBSYS_CTNETLINK, 2, 0)

    def rule_numbers(self):
        """(family, table, chain, handle) -> number from 1, of every nft rule here."""
        numbers, last = {}, {}
        for _, family, body in self.request(SUBSYS_NFTABLES, 7, 0, flags=NLM_DUMP):
            a = attributes(body)
            chain = (family, text(a[1]), text(a[2]))
            last[chain] = last.get(chain, 0) + 1
            numbers[chain + (struct.unpack('!Q', a[3])[0],)] = last[chain]
        return numbers

    def close(self):
        self.socket.close()


def read_trace(family, body):
    """One NFT_MSG_TRACE: {id, family, table, chain, kind, handle?, verdict?, mark?, iif?, oif?, header?}."""
    a = attributes(body)
    event = {'backend': 'nft', 'family': family, 'table': text(a[1]), 'chain': text(a[2]),
             'kind': KINDS.get(number(a[4])), 'id': number(a[6])}
    if 3 in a:
        event['handle'] = struct.unpack('!Q', a[3])[0]
    elif event['kind'] == 'rule':
        event['kind'] = 'end'                    # newer kernels report the end of a chain as a rule without a handle
    if 5 in a:
        code = struct.unpack('!i', attributes(a[5])[1])[0]
        event['verdict'] = VERDICTS.get(code if code < 0 else code & 0xff)
    if 16 in a:
        event['verdict'] = VERDICTS.get(struct.unpack('!i', a[16])[0])
    for key, kind in (('iif', 10), ('oif', 12), ('mark', 14)):
        if kind in a:
            event[key] = number(a[kind])
    if 8 in a:
        event['header'] = a[8] + a.get(9, b'')
    return event


def read_log(family, body, rules_in):
    """One TRACE line of a legacy table, or None for another log message.

    rules_in(family, table, chain) tells how many rules a chain has: the kernel calls a rule without any match that ends in
    ACCEPT, DROP or RETURN 'policy' or 'return', though its number is right."""
    a = attributes(body)
    prefix = text(a.get(10, b''))
    if not prefix.startswith('TRACE: '):
        return None
    table, rest = prefix[7:].strip().split(':', 1)
    chain, kind, position = rest.rsplit(':', 2)      # a chain's name may hold a colon
    event = {'backend': 'legacy', 'family': family, 'table': table, 'chain': chain, 'kind': kind}
    if int(position) <= rules_in(family, table, chain):
        event['kind'] = 'rule'
        event['number'] = int(position)
    for key, attr in (('iif', 4), ('oif', 5), ('mark', 2)):
        if attr in a:
            event[key] = number(a[attr])
    if 9 in a:
        event['header'] = a[9]
    return event
