#!/usr/bin/env python3
"""What kube-proxy in IPVS mode, and kubelet, make of some services on a node: sets, virtual servers and the addresses of
kube-ipvs0 are made at once in the namespace this runs in; the rules, as input of `iptables-restore --noflush`, are printed.

usage: kube-proxy-ipvs.py VERSION PODS OWN ADDR[,ADDR...] < SERVICES
       VERSION is 1.13, 1.23 or 1.26; PODS the cluster CIDR; OWN the part of it that is the node's; ADDRs are where NodePorts listen.
       A service is a line   NAMESPACE/NAME:PORT PROTO ADDR:PORT [WORD=VALUE...] ENDPOINT...   with the words
       nodeport=N  sticky=SECONDS (sessionAffinity ClientIP)  lb=ADDR  ranges=CIDR,... (loadBalancerSourceRanges)  external=ADDR
       policy=local (externalTrafficPolicy)  health=PORT
"""
import ipaddress
import subprocess
import sys

PORTS, ADDRESSES, CIDRS, SELVES = 'bitmap:port', 'hash:ip,port', 'hash:ip,port,net', 'hash:ip,port,ip'
# (name, type, what kube-proxy's comment says, who has it besides 1.26)
SETS = (
    ('KUBE-LOOP-BACK', SELVES, 'Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose'),
    ('KUBE-CLUSTER-IP', ADDRESSES, 'Kubernetes service cluster ip + port for masquerade purpose'),
    ('KUBE-EXTERNAL-IP', ADDRESSES, 'Kubernetes service external ip + port for masquerade and filter purpose'),
    ('KUBE-LOAD-BALANCER', ADDRESSES, 'Kubernetes service lb portal'),
    ('KUBE-LOAD-BALANCER-FW', ADDRESSES, 'Kubernetes service load balancer ip + port for load balancer with sourceRange'),
    ('KUBE-LOAD-BALANCER-LOCAL', ADDRESSES, 'Kubernetes service load balancer ip + port with externalTrafficPolicy=local'),
    ('KUBE-LOAD-BALANCER-SOURCE-CIDR', CIDRS, 'Kubernetes service load balancer ip + port + source cidr for packet filter purpose'),
    ('KUBE-NODE-PORT-TCP', PORTS, 'Kubernetes nodeport TCP port for masquerade purpose'),
    ('KUBE-NODE-PORT-LOCAL-TCP', PORTS, 'Kubernetes nodeport TCP port with externalTrafficPolicy=local'),
    ('KUBE-NODE-PORT-UDP', PORTS, 'Kubernetes nodeport UDP port for masquerade purpose'),
    ('KUBE-NODE-PORT-LOCAL-UDP', PORTS, 'Kubernetes nodeport UDP port with externalTrafficPolicy=local'),
    ('KUBE-HEALTH-CHECK-NODE-PORT', PORTS, 'Kubernetes health check node port'),
    ('KUBE-IPVS-IPS', 'hash:ip', ''),
)
ABSENT = {'1.13': ('KUBE-HEALTH-CHECK-NODE-PORT', 'KUBE-IPVS-IPS'), '1.23': ('KUBE-IPVS-IPS',), '1.26': ()}
COMMENTS = {name: comment for name, _, comment in SETS}
SERVICE = {'tcp': '-t', 'udp': '-u', 'sctp': '--sctp-service'}


class Proxy:
    def __init__(self, version, pods, own, addresses):
        self.version, self.pods, self.own = version, pods, ipaddress.ip_network(own)
        self.addresses = addresses.split(',')
        self.sets = {name: [] for name, *_ in SETS if name not in ABSENT[version]}
        self.vips, self.ipvs = [], []

    def add(self, name, *members):
        if name in self.sets:
            self.sets[name] += [m for m in members if m not in self.sets[name]]

    def virtual(self, proto, where, endpoints, sticky, bound=True):
        addr = where.rsplit(':', 1)[0]
        if bound:
            self.vips += [addr] if addr not in self.vips else []
            self.add('KUBE-IPVS-IPS', addr)
        self.ipvs.append('-A %s %s -s rr%s' % (SERVICE[proto], where, ' -p ' + sticky if sticky else ''))
        self.ipvs += ['-a %s %s -r %s -m -w 1' % (SERVICE[proto], where, e) for e in endpoints]

    def service(self, name, proto, vip, words):
        options = dict(w.split('=', 1) for w in words if '=' in w)
        endpoints = sorted(w for w in words if '=' not in w)
        near = [e for e in endpoints if ipaddress.ip_address(e.rsplit(':', 1)[0]) in self.own]
        local, sticky = options.get('policy') == 'local', options.get('sticky')
        outside = near if local and near else endpoints               # with none of its own a node takes the others'
        addr, port = vip.rsplit(':', 1)

        def member(a):
            return '%s,%s:%s' % (a, proto, port)

        self.add('KUBE-LOOP-BACK', *('%s,%s:%s,%s' % (a, proto, p, a) for a, p in (e.rsplit(':', 1) for e in near)))
        self.add('KUBE-CLUSTER-IP', member(addr))
        self.virtual(proto, vip, endpoints, sticky)
        if 'external' in options:
            self.add('KUBE-EXTERNAL-IP', member(options['external']))
            self.virtual(proto, options['external'] + ':' + port, outside, sticky)
        if 'lb' in options:
            balanced = member(options['lb'])
            self.add('KUBE-LOAD-BALANCER', balanced)
            if local:
                self.add('KUBE-LOAD-BALANCER-LOCAL', balanced)
            for cidr in filter(None, options.get('ranges', '').split(',')):
                self.add('KUBE-LOAD-BALANCER-FW', balanced)
                self.add('KUBE-LOAD-BALANCER-SOURCE-CIDR', balanced + ',' + cidr)
            self.virtual(proto, options['lb'] + ':' + port, outside, sticky)
        if 'health' in options:
            self.add('KUBE-HEALTH-CHECK-NODE-PORT', options['health'])
        if 'nodeport' in options:
            self.add('KUBE-NODE-PORT-' + proto.upper(), options['nodeport'])
            if local:
                self.add('KUBE-NODE-PORT-LOCAL-' + proto.upper(), options['nodeport'])
            for a in self.addresses:
                self.virtual(proto, a + ':' + options['nodeport'], outside, sticky, bound=False)

    def make(self):
        lines = []
        for name, kind, _ in SETS:
            if name in self.sets:
                shape = 'range 0-65535' if kind == PORTS else 'family inet hashsize 1024 maxelem 65536'
                lines += ['create %s %s %s' % (name, kind, shape), *('add %s %s' % (name, m) for m in self.sets[name])]
        run(['ipset', 'restore'], lines)
        run(['ipvsadm', '-R'], self.ipvs)
        # A device that is down: its addresses are the node's all the same, and nobody is told of them.
        run(['ip', '-batch', '-'], ['link add kube-ipvs0 type dummy', *('addr add %s/32 dev kube-ipvs0' % a for a in self.vips)])
        reuse = [] if self.version != '1.13' else ['net.ipv4.vs.conn_reuse_mode=0']    # later ones leave it alone where the kernel is 5.9 or newer
        run(['sysctl', '-qw', 'net.ipv4.vs.conntrack=1', 'net.ipv4.vs.expire_nodest_conn=1', 'net.ipv4.vs.expire_quiescent_template=1', *reuse], [])

    def matching(self, chain, name, directions, target, *first, source=()):
        """A rule about a set, as kube-proxy words it; there is none about an empty one."""
        if not self.sets.get(name):
            return []
        return [' '.join(['-A', chain, *source, *first, '-m comment --comment "%s"' % COMMENTS[name], '-m set --match-set', name, directions, target])]

    def nat(self):
        masq, old = '-j KUBE-MARK-MASQ', self.version == '1.13'
        chains = ['KUBE-SERVICES', 'KUBE-POSTROUTING', 'KUBE-NODE-PORT', 'KUBE-LOAD-BALANCER', 'KUBE-MARK-MASQ']
        firewall = self.version != '1.26'
        rules = [
            '-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
            '-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
            '-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'] if not old else []
        if old:
            rules += ['-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -m mark --mark 0x4000/0x4000 -j MASQUERADE',
                      '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000']
        elif self.version == '1.26':
            rules += ['-A KUBE-SERVICES -s 127.0.0.0/8 -j RETURN']
        rules += self.matching('KUBE-POSTROUTING', 'KUBE-LOOP-BACK', 'dst,dst,src', '-j MASQUERADE')
        rules += self.matching('KUBE-SERVICES', 'KUBE-LOAD-BALANCER', 'dst,dst', '-j KUBE-LOAD-BALANCER')
        if firewall:
            rules += self.matching('KUBE-LOAD-BALANCER', 'KUBE-LOAD-BALANCER-FW', 'dst,dst', '-j KUBE-FIREWALL')
            rules += self.matching('KUBE-FIREWALL', 'KUBE-LOAD-BALANCER-SOURCE-CIDR', 'dst,dst,src', '-j RETURN')
        rules += self.matching('KUBE-LOAD-BALANCER', 'KUBE-LOAD-BALANCER-LOCAL', 'dst,dst', '-j RETURN')
        for proto in ('tcp', 'udp'):
            rules += self.matching('KUBE-NODE-PORT', 'KUBE-NODE-PORT-LOCAL-' + proto.upper(), 'dst', '-j RETURN', '-p', proto)
            rules += self.matching('KUBE-NODE-PORT', 'KUBE-NODE-PORT-' + proto.upper(), 'dst', masq, '-p', proto)
        rules += self.matching('KUBE-SERVICES', 'KUBE-CLUSTER-IP', 'dst,dst', masq, source=('!', '-s', self.pods))
        for more in (masq, '-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT', '-m addrtype --dst-type LOCAL -j ACCEPT'):
            rules += self.matching('KUBE-SERVICES', 'KUBE-EXTERNAL-IP', 'dst,dst', more)
        rules += ['-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT', '-A KUBE-LOAD-BALANCER ' + masq]
        rules += ['-A KUBE-FIREWALL -j KUBE-MARK-DROP'] if firewall else []
        rules += ['-A KUBE-SERVICES -m set --match-set %s dst,dst -j ACCEPT' % s for s in ('KUBE-CLUSTER-IP', 'KUBE-LOAD-BALANCER') if self.sets[s]]
        if not old:
            rules += ['-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN', '-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0',
                      '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
                      '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000']
        if firewall:
            chains += ['KUBE-FIREWALL']
        if self.version == '1.23':                                    # kubelet's
            chains += ['KUBE-MARK-DROP']
            rules += ['-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000']
        return table('nat', chains, rules)

    def filter(self):
        chains, rules = ['KUBE-FORWARD'], []
        if self.version == '1.13':
            conntrack = ['-A KUBE-FORWARD %s %s -m comment --comment "kubernetes forwarding conntrack pod %s rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'
                         % (way, self.pods, what) for way, what in (('-s', 'source'), ('-d', 'destination'))]
        else:
            conntrack = ['-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT']
            chains += ['KUBE-NODE-PORT', 'KUBE-FIREWALL']
            rules += ['-I INPUT -m comment --comment "kubernetes health check rules" -j KUBE-NODE-PORT',
                      '-I FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
                      '-A KUBE-NODE-PORT -m comment --comment "Kubernetes health check node port" -m set --match-set KUBE-HEALTH-CHECK-NODE-PORT dst -j ACCEPT',
                      # kubelet's
                      '-A INPUT -j KUBE-FIREWALL', '-A OUTPUT -j KUBE-FIREWALL']
            if self.version == '1.23':
                rules += ['-A KUBE-FIREWALL -m comment --comment "kubernetes firewall for dropping marked packets" -m mark --mark 0x8000/0x8000 -j DROP']
            rules += ['-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" '
                      '-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP']
        rules += ['-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT', *conntrack]
        if self.version == '1.26':
            chains += ['KUBE-IPVS-FILTER', 'KUBE-PROXY-FIREWALL', 'KUBE-SOURCE-RANGES-FIREWALL']
            rules += ['-I INPUT -m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL',
                      '-I INPUT -m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-FILTER',
                      '-I FORWARD -m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL',
                      *('-A KUBE-IPVS-FILTER -m set --match-set %s dst,dst -j RETURN' % s for s in ('KUBE-LOAD-BALANCER', 'KUBE-CLUSTER-IP', 'KUBE-EXTERNAL-IP')),
                      '-A KUBE-IPVS-FILTER -m conntrack --ctstate NEW -m set --match-set KUBE-IPVS-IPS dst -j REJECT --reject-with icmp-port-unreachable']
            rules += self.matching('KUBE-PROXY-FIREWALL', 'KUBE-LOAD-BALANCER-FW', 'dst,dst', '-j KUBE-SOURCE-RANGES-FIREWALL')
            rules += self.matching('KUBE-SOURCE-RANGES-FIREWALL', 'KUBE-LOAD-BALANCER-SOURCE-CIDR', 'dst,dst,src', '-j RETURN')
            rules += ['-A KUBE-SOURCE-RANGES-FIREWALL -j DROP']
        return table('filter', chains, rules)


def table(name, chains, rules):
    return ['*' + name, *(':%s - [0:0]' % c for c in chains), *rules, 'COMMIT']


def run(command, lines):
    subprocess.run(command, input=''.join(line + '\n' for line in lines), text=True, check=True)


def main(version, pods, own, addresses):
    proxy = Proxy(version, pods, own, addresses)
    for line in sys.stdin:
        if line.strip():
            name, proto, vip, *words = line.split()
            proxy.service(name, proto, vip, words)
    proxy.make()
    print('\n'.join(proxy.nat() + proxy.filter()))


main(*sys.argv[1:])
