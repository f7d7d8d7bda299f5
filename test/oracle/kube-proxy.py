#!/usr/bin/env python3
"""What kube-proxy 1.26 in iptables mode, and kubelet, program for some services, as input of `iptables-restore --noflush`.

usage: kube-proxy.py PODS < SERVICES      PODS is the cluster CIDR; a service is a line
       NAMESPACE/NAME:PORT PROTO ADDR:PORT [nodeport=N] ENDPOINT...
Chains are called as kube-proxy calls them, by a hash of the service and the endpoint.
"""
import base64
import hashlib
import sys


def chain(kind, *words):
    return 'KUBE-%s-%s' % (kind, base64.b32encode(hashlib.sha256(''.join(words).encode()).digest()).decode()[:16])


def rule(where, comment, *words):
    line = list(words)
    at = line.index('#')                                             # where iptables-save shows the comment
    line[at:at + 1] = ['-m', 'comment', '--comment', '"%s"' % comment] if ' ' in comment else ['-m', 'comment', '--comment', comment]
    return '-A %s %s' % (where, ' '.join(line))


def refusals(name, proto, addr, port, nodeport):
    why = name + ' has no endpoints'
    refuse = ['-j', 'REJECT', '--reject-with', 'icmp-port-unreachable']
    yield rule('KUBE-SERVICES', why, '-d', addr + '/32', '-p', proto, '#', '-m', proto, '--dport', port, *refuse)
    if nodeport:
        yield rule('KUBE-EXTERNAL-SERVICES', why, '-p', proto, '#', '-m', 'addrtype', '--dst-type', 'LOCAL', '-m', proto, '--dport', nodeport, *refuse)


def main(pods):
    chains, refused, services, nodeports, per_service, per_endpoint = [], [], [], [], [], []
    for line in sys.stdin:
        words = line.split()
        if not words:
            continue
        name, proto, vip = words[:3]
        addr, port = vip.rsplit(':', 1)
        nodeport = next((w[9:] for w in words[3:] if w.startswith('nodeport=')), None)
        endpoints = [w for w in words[3:] if not w.startswith('nodeport=')]
        if not endpoints:
            refused += refusals(name, proto, addr, port, nodeport)
            continue
        svc, own = chain('SVC', name, proto), name + ' cluster IP'
        chains.append(svc)
        services.append(rule('KUBE-SERVICES', own, '-d', addr + '/32', '-p', proto, '#', '-m', proto, '--dport', port, '-j', svc))
        per_service.append(rule(svc, own, '!', '-s', pods, '-d', addr + '/32', '-p', proto, '#', '-m', proto, '--dport', port, '-j', 'KUBE-MARK-MASQ'))
        if nodeport:
            ext = chain('EXT', name, proto)
            chains.append(ext)
            nodeports.append(rule('KUBE-NODEPORTS', name, '-p', proto, '#', '-m', proto, '--dport', nodeport, '-j', ext))
            per_service.append(rule(ext, 'masquerade traffic for %s external destinations' % name, '#', '-j', 'KUBE-MARK-MASQ'))
            per_service.append('-A %s -j %s' % (ext, svc))
        for i, endpoint in enumerate(endpoints):
            sep, left = chain('SEP', name, proto, endpoint), len(endpoints) - i
            chains.append(sep)
            some = ['-m', 'statistic', '--mode', 'random', '--probability', '%0.10f' % (1 / left)] if left > 1 else []
            per_service.append(rule(svc, '%s -> %s' % (name, endpoint), '#', *some, '-j', sep))
            per_endpoint.append(rule(sep, name, '-s', endpoint.rsplit(':', 1)[0] + '/32', '#', '-j', 'KUBE-MARK-MASQ'))
            per_endpoint.append(rule(sep, name, '-p', proto, '#', '-m', proto, '-j', 'DNAT', '--to-destination', endpoint))
    new = ['-m', 'conntrack', '--ctstate', 'NEW', '#']
    table('mangle', ['KUBE-KUBELET-CANARY', 'KUBE-PROXY-CANARY'], [])
    table('nat', ['KUBE-KUBELET-CANARY', 'KUBE-MARK-MASQ', 'KUBE-NODEPORTS', 'KUBE-POSTROUTING', 'KUBE-PROXY-CANARY', 'KUBE-SERVICES'] + chains, [
        rule('PREROUTING', 'kubernetes service portals', '#', '-j', 'KUBE-SERVICES'),
        rule('OUTPUT', 'kubernetes service portals', '#', '-j', 'KUBE-SERVICES'),
        rule('POSTROUTING', 'kubernetes postrouting rules', '#', '-j', 'KUBE-POSTROUTING'),
        '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000',
        '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
        '-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0',
        rule('KUBE-POSTROUTING', 'kubernetes service traffic requiring SNAT', '#', '-j', 'MASQUERADE', '--random-fully'),
        *services,
        rule('KUBE-SERVICES', 'kubernetes service nodeports; NOTE: this must be the last rule in this chain',
             '#', '-m', 'addrtype', '--dst-type', 'LOCAL', '-j', 'KUBE-NODEPORTS'),
        *nodeports, *per_service, *per_endpoint])
    table('filter', ['KUBE-EXTERNAL-SERVICES', 'KUBE-FIREWALL', 'KUBE-FORWARD', 'KUBE-KUBELET-CANARY', 'KUBE-NODEPORTS', 'KUBE-PROXY-CANARY',
                     'KUBE-PROXY-FIREWALL', 'KUBE-SERVICES'], [
        rule('INPUT', 'kubernetes load balancer firewall', *new, '-j', 'KUBE-PROXY-FIREWALL'),
        rule('INPUT', 'kubernetes health check service ports', '#', '-j', 'KUBE-NODEPORTS'),
        rule('INPUT', 'kubernetes externally-visible service portals', *new, '-j', 'KUBE-EXTERNAL-SERVICES'),
        '-A INPUT -j KUBE-FIREWALL',
        rule('FORWARD', 'kubernetes load balancer firewall', *new, '-j', 'KUBE-PROXY-FIREWALL'),
        rule('FORWARD', 'kubernetes forwarding rules', '#', '-j', 'KUBE-FORWARD'),
        rule('FORWARD', 'kubernetes service portals', *new, '-j', 'KUBE-SERVICES'),
        rule('FORWARD', 'kubernetes externally-visible service portals', *new, '-j', 'KUBE-EXTERNAL-SERVICES'),
        rule('OUTPUT', 'kubernetes load balancer firewall', *new, '-j', 'KUBE-PROXY-FIREWALL'),
        rule('OUTPUT', 'kubernetes service portals', *new, '-j', 'KUBE-SERVICES'),
        '-A OUTPUT -j KUBE-FIREWALL',
        rule('KUBE-FIREWALL', 'block incoming localnet connections', '!', '-s', '127.0.0.0/8', '-d', '127.0.0.0/8', '#',
             '-m', 'conntrack', '!', '--ctstate', 'RELATED,ESTABLISHED,DNAT', '-j', 'DROP'),
        '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
        rule('KUBE-FORWARD', 'kubernetes forwarding rules', '#', '-m', 'mark', '--mark', '0x4000/0x4000', '-j', 'ACCEPT'),
        rule('KUBE-FORWARD', 'kubernetes forwarding conntrack rule', '#', '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT'),
        *refused])


def table(name, chains, rules):
    print('*' + name, *(':%s - [0:0]' % c for c in chains), *rules, 'COMMIT', sep='\n')


main(*sys.argv[1:])
