"""Sockets: the sender's, and the listeners' answers. Everything here is called with the namespace entered."""
import contextlib
import errno
import os
import socket
import struct

from packet import ANSWER, ASK, build as build_packet, flag_bits, protocol


SCTP = 132


def listener(family, kind):
    """A socket for a service, or None: this kernel may not have SCTP."""
    try:
        return socket.socket(family, socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM, SCTP if kind == 'sctp' else 0)
    except OSError:
        if kind != 'sctp':
            raise
        return None


def ask(q):
    """A packet from a socket of the namespace we are in."""
    v6 = ':' in q['dst']
    family = socket.AF_INET6 if v6 else socket.AF_INET
    proto = protocol(q['proto'])
    raw = proto not in (6, 17) or 'flags' in q and flag_bits(q['flags']) != 2 or 'ttl' in q or 'tos' in q
    uid = q.get('uid')
    stream = listener(family, 'sctp') if proto == SCTP and not {'flags', 'ttl', 'tos'} & set(q) else None
    if stream is not None:
        # Bound to one address it tells of no other.
        s, raw, q = stream, False, {**q, 'src': q.get('src') or chosen(q, family)}
    elif raw and not v6:
        s = socket.socket(family, socket.SOCK_RAW, 255)              # IPPROTO_RAW: the header is ours
    elif raw:
        s = socket.socket(family, socket.SOCK_RAW, proto)
    else:
        try:
            if uid is not None:
                os.setegid(q.get('gid', uid))
                os.seteuid(uid)
            s = socket.socket(family, socket.SOCK_STREAM if proto == 6 else socket.SOCK_DGRAM)
        finally:
            os.seteuid(0)
            os.setegid(0)
    try:
        s.setblocking(False)
        if 'mark' in q:
            s.setsockopt(socket.SOL_SOCKET, 36, q['mark'])           # SO_MARK
        if 'oif' in q:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, q['oif'].encode())
        if raw:
            send_raw(s, q, v6)
            return s
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if 'src' in q and not v6:
            s.setsockopt(socket.IPPROTO_IP, 15, 1)                   # IP_FREEBIND
        s.bind((q.get('src', '::' if v6 else '0.0.0.0'), q['sport']))
        with contextlib.suppress(BlockingIOError):
            s.connect((q['dst'], q.get('dport', 80)))
        if proto == 17:
            s.send(ASK)
        return s
    except OSError:
        s.close()
        raise


def send_raw(s, q, v6):
    data = build_packet(q if 'src' in q else {**q, 'src': chosen(q, s.family)})
    s.sendto(data[40:] if v6 else data, (q['dst'], 0))


def chosen(q, family):
    """The kernel's choice of a source, as a socket gets it."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        if 'mark' in q:
            probe.setsockopt(socket.SOL_SOCKET, 36, q['mark'])
        probe.connect((q['dst'], 9))
        return probe.getsockname()[0]


def inject(namespace, q):
    """A packet that comes in on a device whose other end is this process."""
    data, mac = build_packet(q), namespace.macs.get(q['device'])
    if mac is not None:
        data = bytes.fromhex(mac.replace(':', '')) + b'\x06\0\0\0\0\1' + (b'\x86\xdd' if ':' in q['dst'] else b'\x08\0') + data
    if q['device'] not in namespace.taps:
        raise OSError(errno.ENODEV, 'no tap')
    os.write(namespace.taps[q['device']], data)


def reply(s):
    """Answers a UDP request from the address it was sent to."""
    while True:
        try:
            data, control, _, peer = s.recvmsg(64, 256)
        except OSError:
            return
        if data != ASK:
            continue
        back = []
        for level, kind, value in control:
            if (level, kind) == (socket.IPPROTO_IP, 8):              # in_pktinfo {ifindex, spec_dst, addr}
                back.append((level, kind, struct.pack('=i4s4s', 0, value[8:12], b'\0' * 4)))
            elif (level, kind) == (socket.IPPROTO_IPV6, 50):
                back.append((level, kind, value[:16] + b'\0' * 4))
        with contextlib.suppress(OSError):
            s.sendmsg([ANSWER], back, 0, peer)


def said(s):
    """What a socket knows at the end: connected, answered, the name of an error, or nothing."""
    if s.type == socket.SOCK_RAW:
        return 'sent'
    error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        return errno.errorcode.get(error, str(error))
    if s.type == socket.SOCK_STREAM:
        try:
            s.getpeername()
            return 'connected'
        except OSError:
            return 'silence'
    try:
        return 'answered' if s.recv(64) else 'silence'
    except BlockingIOError:
        return 'silence'
    except OSError as problem:
        return errno.errorcode.get(problem.errno, str(problem))


def abort(s):
    """Closes without a farewell: a FIN would be a packet of its own."""
    with contextlib.suppress(OSError):
        if s.type == socket.SOCK_STREAM:
            while True:
                try:
                    c, _ = s.accept()
                except OSError:
                    break
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                c.close()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()
