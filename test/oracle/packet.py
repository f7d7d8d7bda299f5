"""Packets in bytes: made for raw sockets and devices, and read from what the kernel shows."""
import socket
import struct

PROTOCOLS = {'icmp': 1, 'ipip': 4, 'tcp': 6, 'udp': 17, 'gre': 47, 'esp': 50, 'icmpv6': 58, 'sctp': 132, 'udplite': 136}
FLAGS = {'FIN': 1, 'SYN': 2, 'RST': 4, 'PSH': 8, 'ACK': 16, 'URG': 32, 'ECE': 64, 'CWR': 128}
VXLAN = (4789, 8472)
PORTS = (6, 17, 132, 136)
# Seen in the first bytes after a UDP header, this tells the one from the other.
ASK, ANSWER = b'netwhy?', b'netwhy!'


def address(words):
    return socket.inet_pton(socket.AF_INET6 if ':' in words else socket.AF_INET, words)


def protocol(value):
    return PROTOCOLS[value] if value in PROTOCOLS else int(value)


def checksum(data):
    data += b'\0' * (len(data) & 1)
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def flag_bits(flags):
    return flags if isinstance(flags, int) else sum(FLAGS[f] for f in flags.split(',') if f)


def build(p):
    """An IP packet of {src, dst, proto, sport, dport, flags, type, code, id, ttl, tos}."""
    src, dst = address(p['src']), address(p['dst'])
    v6 = len(src) == 16
    proto = protocol(p.get('proto', 'tcp'))
    if v6 and proto == 1:
        proto = 58
    sport, dport = p.get('sport', 40000), p.get('dport', 80)
    at = None                                                        # where the checksum goes
    if proto == 6:
        segment = struct.pack('!HHIIBBHHH', sport, dport, 1000, 1 if flag_bits(p.get('flags', 'SYN')) & 16 else 0, 5 << 4,
                              flag_bits(p.get('flags', 'SYN')), 65535, 0, 0)
        at = 16
    elif proto in (17, 136):
        segment, at = struct.pack('!HHHH', sport, dport, 8 + len(ASK), 0) + ASK, 6
    elif proto in (1, 58):
        segment = struct.pack('!BBHHH', p.get('type', 8 if proto == 1 else 128), p.get('code', 0), 0, p.get('id', 77), 1) + ASK
        at = 2
    elif proto == 132:                                               # an INIT chunk
        segment = struct.pack('!HHII', sport, dport, 0, 0) + struct.pack('!BBHIIHHI', 1, 0, 20, 1, 65535, 1, 1, 1)
        segment = segment[:8] + struct.pack('<I', crc32c(segment)) + segment[12:]
    else:
        segment = ASK
    if at is not None:
        pseudo = b'' if proto == 1 else src + dst + (struct.pack('!I3xB', len(segment), proto) if v6 else struct.pack('!xBH', proto, len(segment)))
        segment = segment[:at] + struct.pack('!H', checksum(pseudo + segment) or 0xffff) + segment[at + 2:]
    ttl, tos = p.get('ttl', 64), p.get('tos', 0)
    if v6:
        return struct.pack('!IHBB', 6 << 28 | tos << 20, len(segment), proto, ttl) + src + dst + segment
    head = struct.pack('!BBHHHBBH', 0x45, tos, 20 + len(segment), 1, 0, ttl, proto, 0) + src + dst
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + segment


def parse(data):
    """{src, dst, proto, ttl, tos, sport?, dport?, flags?, type?, code?, id?, role}, or None.

    role: request (what was sent), reply (what answers it), error (an ICMP error), outer (a tunnel's), other."""
    if not data or len(data) < {4: 20, 6: 40}.get(data[0] >> 4, len(data) + 1):
        return None
    if data[0] >> 4 == 4:
        rest, proto = data[(data[0] & 15) * 4:], data[9]
        found = {'src': socket.inet_ntop(socket.AF_INET, data[12:16]), 'dst': socket.inet_ntop(socket.AF_INET, data[16:20]),
                 'ttl': data[8], 'tos': data[1]}
    else:
        rest, proto = data[40:], data[6]
        found = {'src': socket.inet_ntop(socket.AF_INET6, data[8:24]), 'dst': socket.inet_ntop(socket.AF_INET6, data[24:40]),
                 'ttl': data[7], 'tos': struct.unpack('!H', data[:2])[0] >> 4 & 0xff}
    found['proto'] = proto
    role = 'other'
    if proto in PORTS and len(rest) >= 4:
        found['sport'], found['dport'] = struct.unpack('!HH', rest[:4])
    if proto == 6 and len(rest) >= 14:
        found['flags'] = flags = rest[13] & 63
        role = 'reply' if flags & 4 or flags & 18 == 18 else 'request' if flags & 2 else 'other'
    elif proto in (17, 136):
        carries = proto == 17 and found.get('dport') in VXLAN
        role = 'reply' if rest[8:8 + len(ANSWER)] == ANSWER else 'request' if rest[8:8 + len(ASK)] == ASK else 'outer' if carries else 'other'
    elif proto == 132 and len(rest) >= 13:
        role = 'request' if rest[12] == 1 else 'reply' if rest[12] in (2, 6) else 'other'
    elif proto in (1, 58) and len(rest) >= 8:
        found['type'], found['code'] = rest[0], rest[1]
        if rest[0] in (8, 128, 0, 129):
            found['id'] = struct.unpack('!H', rest[4:6])[0]
            role = 'request' if rest[0] in (8, 128) else 'reply'
        elif rest[0] in ((3, 4, 11, 12) if proto == 1 else (1, 2, 3, 4)):
            role = 'error'
    elif proto not in (1, 6, 58):
        role = 'request' if rest[:len(ASK)] == ASK else 'other'
    found['role'] = role
    return found
