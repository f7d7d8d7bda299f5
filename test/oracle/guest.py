#!/usr/bin/env python3
"""The node of probe.py on a kernel without nftables: what a packet matched is read from the counters of iptables-legacy.

The same JSON lines. There are legacy rules only, in base chains, and no packet for the node itself; the mark stays unseen.
"""
import contextlib
import ctypes
import os
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'probes'))
import probe  # noqa: E402
from packet import parse  # noqa: E402

SAVES = (('iptables-legacy-save', 2), ('ip6tables-legacy-save', 10))
# The way of a forwarded packet.
ORDER = [(t, c) for c, tables in (('PREROUTING', ('raw', 'mangle', 'nat')), ('FORWARD', ('mangle', 'filter', 'security')), ('POSTROUTING', ('mangle', 'nat')))
         for t in tables]


class Guest(probe.Node):
    def fresh(self):
        for fd in self.taps.values():
            os.close(fd)
        if probe.LIBC.unshare(probe.CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'unshare(CLONE_NEWNET) needs root')
        self.taps, self.macs, self.devices, self.numbers, self.counts = {}, {}, {1: 'lo'}, None, {}
        self.tables, self.sets = {}, False
        probe.run('ip', 'link', 'set', 'lo', 'up')
        for key, value in probe.QUIET.items():
            with contextlib.suppress(OSError):
                probe.sysctl(key, value)

    def drain(self):
        for fd in self.taps.values():
            with contextlib.suppress(BlockingIOError):
                while os.read(fd, 70000):
                    pass

    def capture(self, only=None):
        listings = {name: command for name, command in probe.LISTINGS.items() if '-nft-' not in name}
        return {'sysctl.txt': probe.sysctls(), **{name: probe.run(*command.split()) for name, command in listings.items()}}

    def counters(self, family):
        """Packets by (table, chain, number)."""
        found, table, numbers = {}, None, {}
        for line in probe.run(next(tool for tool, f in SAVES if f == family), '-c').splitlines():
            if line.startswith('*'):
                table, numbers = line[1:].strip(), {}
            rule = re.match(r'\[(\d+):\d+\] -A (\S+)', line)
            if rule:
                chain = rule.group(2)
                numbers[chain] = numbers.get(chain, 0) + 1
                found[(table, chain, numbers[chain])] = int(rule.group(1))
        return found

    def packets(self, m):
        self.seen = {}
        return [self.send(p) for p in m['packets']]

    def send(self, p):
        p = {'proto': 'tcp', 'sport': 40000, 'id': 1, **p}
        family = 10 if ':' in p['src'] else 2
        before = self.seen.get(family) or self.counters(family)
        data = probe.packet_bytes(p)
        mac = bytes.fromhex(self.macs[p['iif']].replace(':', ''))
        frame = mac + bytes.fromhex(p.get('mac', '06:00:00:00:00:01').replace(':', '')) + (b'\x86\xdd' if family == 10 else b'\x08\0')
        self.drain()
        os.write(self.taps[p['iif']], frame + data)
        out = []
        for name, fd in self.taps.items():
            with contextlib.suppress(BlockingIOError):
                while True:
                    got = os.read(fd, 70000)
                    header = parse(got[14:]) if got[12:14] in (b'\x08\0', b'\x86\xdd') else None
                    if header and header['dst'] == p['dst']:
                        out.append({'device': name, **header})
        after = self.seen[family] = self.counters(family)
        hit = sorted((k for k in after if after[k] > before.get(k, 0)), key=lambda k: (ORDER.index(k[:2]), k[2]))
        path = [{'by': 'legacy', 'family': family, 'table': t, 'chain': c, 'kind': 'rule', 'number': n, 'mark': 0} for t, c, n in hit]
        answer = {'fate': 'sent' if out else 'gone', 'path': path, 'answers': [], 'frames': [], 'mark': 0, 'first': {**parse(data), 'length': len(data)}}
        return {**answer, 'device': out[0]['device'], 'last': out[0]} if out else answer


if __name__ == '__main__':
    probe.Node = Guest
    probe.serve(sys.stdin, sys.stdout)
