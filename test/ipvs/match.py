#!/usr/bin/env python3
"""Which forms of `-m ipvs` the kernel matches, as the table match.txt: test/oracle/uml.sh python3 test/ipvs/match.py > test/ipvs/match.txt

Under each packet stand the forms, which it meets in mangle POSTROUTING, with + for those that match.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'oracle'))
import guest  # noqa: E402
from guest import probe  # noqa: E402

FORMS = ['--ipvs'] + [not_ + form for form in (
    '--vproto 6', '--vproto 17', '--vaddr 10.96.0.1', '--vaddr 10.96.0.9/24', '--vaddr 10.1.0.1', '--vport 80', '--vport 8080',
    '--vmethod MASQ', '--vmethod GATE', '--vmethod IPIP', '--vportctl 80', '--vportctl 0') for not_ in ('', '! ')]
FORMS += ['! --ipvs', '--vdir ORIGINAL', '--vdir REPLY', '--vport 80 --vmethod MASQ', '--ipvs --vport 8080']
CLIENT, SERVER, VIRTUAL = '192.0.2.7', '10.1.0.1', '10.96.0.1'


def packets(title, service, method, conntrack=1, reply=True, forwarded=False):
    node = guest.Guest()
    node.load({'devs': [{'name': 'in0', 'addrs': ['192.0.2.1/24']}, {'name': 'out0', 'addrs': ['10.1.0.254/24']}],
               'ip': ['addr add 10.96.0.1/32 dev lo'],
               'sysctls': {'net.ipv4.vs.conntrack': conntrack},
               'legacy': '*mangle\n' + ''.join('-A POSTROUTING -m ipvs %s\n' % form for form in FORMS) + '-A POSTROUTING -m conntrack --ctstate NEW\nCOMMIT\n'})
    if not forwarded:
        port = '8080' if ':80 ' in service + ' ' else '80'
        probe.run('ipvsadm', '-R', given='-A %s -s rr\n-a %s -r %s:%s -%s\n' % (service, service.split(' -p')[0], SERVER, port, method))
    request = {'iif': 'in0', 'src': CLIENT, 'dst': SERVER if forwarded else VIRTUAL, 'dport': 80}
    answer = {'iif': 'out0', 'src': SERVER, 'dst': CLIENT, 'sport': int(port) if not forwarded else 80, 'dport': 40000, 'flags': 'SYN,ACK'}
    for name, packet in (('request', request), ('reply', answer))[:2 if reply else 1]:
        before = node.counters(2)
        node.seen = {}
        node.send(packet)
        after = node.counters(2)
        print('%s, %s' % (title, name))
        for i, form in enumerate(FORMS):
            hit = after[('mangle', 'POSTROUTING', i + 1)] > before[('mangle', 'POSTROUTING', i + 1)]
            print('  %s %s' % ('+' if hit else '-', form))


if __name__ == '__main__':
    probe.run('modprobe', '-a', 'ip_vs', 'ip_vs_rr', 'xt_ipvs', 'xt_conntrack', 'ipip')
    print('# Which forms of `-m ipvs` match in Linux %s; written by test/ipvs/match.py, which tells how to read it.' % os.uname().release)
    packets('masq', '-t 10.96.0.1:80', 'm')
    packets('masq without conntrack', '-t 10.96.0.1:80', 'm', 0)
    packets('persistent', '-t 10.96.0.1:80 -p 60', 'm')
    packets('persistent on every port', '-t 10.96.0.1:0 -p 60', 'm')
    packets('direct', '-t 10.96.0.1:80', 'g', reply=False)
    packets('tunnel', '-t 10.96.0.1:80', 'i', reply=False)
    packets('no virtual server', '', '', forwarded=True)
