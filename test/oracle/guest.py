#!/usr/bin/env python3
"""The node of probe.py on a guest kernel (uml.sh): it has no nftables, but IPVS, and every type of set.

`guest.py BOX` answers the same JSON messages, which stand as ask.1, ask.2, ... in the folder BOX of the machine outside, as answer.1, ...
Besides what probe.py knows:

  {"op": "load"|"rules"|"swap", ..., "ipvs"?: lines of `ipvsadm -R`}; swap also takes "sysctls"
  {"op": "packets", "packets": [PACKET with "edit"?: lines of `ipvsadm -R`, run before it], "list"?: true}
      with what IPVS had before each: "servers", "connections" (/proc/net/ip_vs, ip_vs_conn), and "saved", of ipvsadm, where that changed

The trace is that of `-j TRACE`, which stands before the rules under test in raw and is left out of captures. Its events have no id:
what the kernel makes in answer is told from the packet by its header. Nothing can drop at a socket's door, so raw sockets hear what
is delivered; the answers of the node to that are left out.
"""
import contextlib
import ctypes
import os
import re
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'probes'))
import probe  # noqa: E402
from netlink import Netlink  # noqa: E402
from packet import flag_bits, protocol  # noqa: E402

MODULES = ('dummy ipip sit ip_gre fou nfnetlink_log nf_log_syslog ip_vs xt_ipvs ip_vs_rr ip_vs_wrr ip_vs_lc ip_vs_wlc ip_vs_lblc ip_vs_lblcr ip_vs_dh '
           'ip_vs_sh ip_vs_mh ip_vs_sed ip_vs_nq ip_vs_fo ip_vs_ovf ip_vs_pe_sip')
WATCH = ('-A PREROUTING -j TRACE\n', '-A OUTPUT -j TRACE\n')
WATCHED = [(family, 'raw', chain) for family in (2, 10) for chain in ('PREROUTING', 'OUTPUT')]
EARS = {socket.AF_INET: (1, 4, 6, 17, 41, 47, 132, 136), socket.AF_INET6: (4, 6, 17, 41, 47, 58, 132, 136)}
LISTINGS = {**{name: command for name, command in probe.LISTINGS.items() if '-nft-' not in name}, 'ipvsadm-save.txt': 'ipvsadm -Sn',
            'ipvsadm-thresholds.txt': 'ipvsadm -Ln --thresholds'}
READ = {'sysctl.txt': probe.sysctls, 'sysctl-ipvs.txt': lambda: probe.sysctls(('ipv4/vs/*',)), 'conntrack.txt': probe.connections, 'uname.txt': lambda: ' '.join(os.uname()) + '\n',
        'proc-net-ip_vs.txt': lambda: listing('ip_vs'), 'proc-net-ip_vs_conn.txt': lambda: listing('ip_vs_conn')}
ERRORS = {1: (3, 4, 5, 11, 12), 58: tuple(range(128))}
REPLIES = {(1, 0): 8, (58, 129): 128}


def watched(save):
    """Rules with those before them that switch the trace on."""
    head, raw, rest = save.partition('*raw\n')
    if not raw:
        return '%s*raw\n%sCOMMIT\n' % (head, ''.join(WATCH))
    at = re.search(r'^(?:-A|COMMIT)', rest, re.M).start()
    return head + raw + rest[:at] + ''.join(WATCH) + rest[at:]


def unwatched(save):
    for line in WATCH:
        save = save.replace(line, '', 1)
    return save


def listing(name):
    with contextlib.suppress(OSError), open('/proc/thread-self/net/' + name) as file:
        return file.read()
    return ''


def lasting():
    """Connections; those that were told to expire at once are gone at the next tick of the clock."""
    for _ in range(5):
        text = listing('ip_vs_conn')
        if not re.search(r' 0 *$', text, re.M):
            break
        time.sleep(0.005)
    return text


class Guest(probe.Node):
    def fresh(self):
        for fd in self.taps.values():
            os.close(fd)
        for listener in getattr(self, 'ears', ()):
            listener.close()
        for name in ('trace', 'control'):
            if hasattr(self, name):
                getattr(self, name).close()
        if probe.LIBC.unshare(probe.CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'unshare(CLONE_NEWNET) needs root')
        self.taps, self.macs, self.devices, self.numbers, self.counts = {}, {}, {1: 'lo'}, {}, {}
        self.tables, self.sets, self.served, self.limits, self.families = {}, False, False, False, set()
        probe.run('ip', 'link', 'set', 'lo', 'up')
        self.trace, self.control = Netlink(), Netlink()
        for key, value in probe.QUIET.items():
            with contextlib.suppress(OSError):
                probe.sysctl(key, value)
        self.trace.log_traces()
        self.ears = [ear(family, number) for family, numbers in EARS.items() for number in numbers]

    def rules(self, m):
        for key, family in (('legacy', 2), ('legacy6', 10)):
            if m.get(key) or family not in self.families and not any(m.get(k) for k in ('legacy', 'legacy6')):
                m[key] = watched(m.get(key, ''))
                self.families.add(family)
        super().rules(m)
        if m.get('ipvs') or self.served:
            probe.run('ipvsadm', '-R', given='-C\n' + m.get('ipvs', ''))
            self.served, self.limits = True, ' -x ' in m.get('ipvs', '')

    def swap(self, m):
        super().swap(m)
        for key, value in m.get('sysctls', {}).items():
            probe.sysctl(key, value)

    def capture(self, only=None):
        def wanted(name):
            return only is None or name in only
        files = {name: read() for name, read in READ.items() if wanted(name)}
        return {**files, **{name: unwatched(probe.run(*command.split())) for name, command in LISTINGS.items() if wanted(name)}}

    # -- one packet

    def packets(self, m):
        answers = []
        for p in m['packets']:
            if 'edit' in p:
                probe.run('ipvsadm', '-R', given=p['edit'], check=False)       # of what is gone already
            before = {'connections': lasting(), 'servers': listing('ip_vs')} if m.get('list') else {}
            saved = ('ipvsadm-save.txt',) * ('edit' in p) + ('ipvsadm-thresholds.txt',) * self.limits
            if saved and m.get('list'):
                before['saved'] = self.capture(saved)
            answers += [{**answer, **before} for answer in super().packets({**m, 'packets': [p]})]
            m.pop('insert', None)
        return answers

    def send(self, p):
        self.drain()                                     # of what the last one's answers led to
        self.asked = p
        return super().send(p)

    def drain(self):
        super().drain()
        self.hear()

    def hear(self):
        """What sockets of this node were given."""
        heard = []
        for listener in self.ears:
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard.append(probe.sequenced(whole(listener)))
        return heard

    def collect(self):
        events, frames = super().collect()
        for e in events:
            if 'number' in e and (e['family'], e['table'], e['chain']) in WATCHED:
                e['number'] -= 1
        return [e for e in events if e.get('number') != 0], frames

    def result(self, problem):
        events, frames, heard = [], [], []
        for turn in range(20):
            heard += self.hear()
            more, out = self.collect()
            events, frames = events + more, frames + out
            # what goes by lo comes back a little later
            if problem or frames or heard or turn and not more and (not events or events[-1].get('oif') != 'lo'):
                break
            time.sleep(0.0002)
        heard += self.hear()
        more, out = self.collect()
        events, frames = events + more, frames + out
        events = [e for e in events if not e['header']['dst'].startswith('ff02::')]
        mine, made = [], {}
        for e in events:
            if not self.is_answer(e['header']):
                mine.append(e)
            elif e['chain'] == 'OUTPUT':
                made.setdefault(probe.ends(e['header']), {**e['header'], 'oif': e.get('oif')})
        out, heard = [f for f in frames if not self.is_answer(f)], [h for h in heard if not self.is_answer(h)]
        answer = {'fate': 'local' if heard else 'sent' if out else 'gone', 'answers': [] if heard else list(made.values()), 'frames': out[0 if heard else 1:],
                  'mark': mine[-1].get('mark', 0) if mine else 0,
                  'path': [{'by': 'legacy', **{k: e[k] for k in ('family', 'table', 'chain', 'kind', 'number')}, 'mark': e.get('mark', 0)}
                           for e in mine if e['kind'] == 'rule']}
        if mine:
            answer['first'] = {**mine[0]['header'], 'length': mine[0]['total']}
        if heard or out:
            answer['last'] = (heard or out)[0]
        if out and not heard:
            answer['device'] = out[0]['device']
        if problem:
            answer['error'] = probe.errno.errorcode.get(problem, str(problem))
        return answer

    def is_answer(self, header):
        """Reports whether a packet is none that was asked about: the kernel answers with errors, resets, and echoes."""
        p, number = self.asked, header['proto']
        if number not in ERRORS and 'inner' in header:
            return self.is_answer(header['inner'])       # IPVS may put it into a tunnel
        asked = protocol(p.get('proto', 'tcp'))
        if number == 6 and header.get('flags', 0) & 4:
            return asked == 6 and not flag_bits(p.get('flags', 'SYN')) & 4
        if number not in ERRORS:
            return False
        if header.get('type') in ERRORS[number]:
            return asked not in ERRORS or 'type' not in p or p['type'] not in ERRORS[58 if asked == 58 or ':' in p['dst'] else 1]
        return asked in ERRORS and p.get('type', 128 if ':' in p['dst'] else 8) == REPLIES.get((number, header.get('type')))


def ear(family, number):
    s = socket.socket(family, socket.SOCK_RAW, number)
    s.setblocking(False)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    return s


def whole(listener):
    """A packet as a raw socket gets it; that of IPv6 comes without its header."""
    data, control, _, sender = listener.recvmsg(70000, 256)
    if listener.family == socket.AF_INET:
        return data
    told = {kind: value for level, kind, value in control if level == socket.IPPROTO_IPV6}
    hops = struct.unpack('=i', told[socket.IPV6_HOPLIMIT])[0]
    return struct.pack('!IHBB', 6 << 28, len(data), listener.proto, hops) + socket.inet_pton(socket.AF_INET6, sender[0].split('%')[0]) \
        + told[socket.IPV6_PKTINFO][:16] + data


class Box:
    """Messages in files, in a folder that both machines see."""

    def __init__(self, folder):
        self.folder, self.number = folder, 0

    def __iter__(self):
        since = time.monotonic()
        while time.monotonic() - since < 300:            # then nobody is there any more
            path = '%s/ask.%d' % (self.folder, self.number + 1)
            if os.path.exists(path):
                with open(path) as file:
                    yield file.read()
                since = time.monotonic()
            time.sleep(0.0005)

    def write(self, text):
        self.number += 1
        path = '%s/answer.%d' % (self.folder, self.number)
        with open(path + '.part', 'w') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(path + '.part', path)

    def flush(self):
        pass


if __name__ == '__main__':
    probe.Node = Guest
    probe.run('modprobe', '-a', *MODULES.split(), check=False)
    probe.sysctl('net.core.fb_tunnels_only_for_init_net', 1)
    os.mkdir('/run/box')
    probe.run('mount', '-t', 'hostfs', 'none', '/run/box', '-o', sys.argv[1])
    box = Box('/run/box')
    probe.serve(box, box)
