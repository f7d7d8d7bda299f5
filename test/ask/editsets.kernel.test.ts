// Edits of sets, settings, connections and virtual servers: the kernel's state after each command is the edited model's, and what
// the tools refuse is refused for the same reason.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Namespace } from '../../src/model/host.ts';
import { describeGuest } from '../oracle/guest.ts';
import { describeKernel } from '../oracle/kernel.ts';
import { plain, sorted } from '../capture/captured.ts';
import { compare, edited, ipsetReason, namespaceOf, play, SETS, setsOf } from './played.ts';

function sameSets(title: string, setup: string, commands: string): void {
  it(title, () => compare(play(setup, commands.trim().split('\n'), SETS), setsOf, ipsetReason));
}

describeKernel('ipset as an edit', () => {
  sameSets(
    'makes sets',
    '',
    `ipset create a hash:ip
ipset create a hash:ip
ipset create a hash:ip -exist
ipset create a hash:ip family inet6 -exist
ipset create a hash:ip maxelem 7 -exist
ipset create a hash:net -exist
ipset -N b nethash
ipset create c hash:net family inet6 timeout 30 counters comment skbinfo
ipset create d hash:ip maxelem 4 netmask 24
ipset create m bitmap:ip range 10.0.0.0/28
ipset create m2 bitmap:ip
ipset create m2 bitmap:ip range 10.0.0.0/8
ipset create p bitmap:port range 0-100
ipset create p bitmap:port range 0-101 -exist
ipset create mm bitmap:ip,mac range 10.0.0.7-10.0.0.9
ipset create l list:set size 3
ipset create x hash:foo
ipset create x hash:port
ipset create x hash:ip foo
ipset create x hash:ip family inet7
ipset create x hash:ip timeout 99999999
ipset create name-of-more-than-thirty-one-letters hash:ip
ipset create x
ipset create
ipset frob x`,
  );
  sameSets(
    'adds and deletes addresses',
    'ipset create a hash:ip; ipset create f hash:ip maxelem 2; ipset create nm hash:ip netmask 24; ipset create bm hash:ip bitmask 255.0.255.0; ipset create six hash:ip family inet6',
    `ipset add a 1.2.3.4
ipset add a 1.2.3.4
ipset add a 1.2.3.4 -exist
ipset -! add a 1.2.3.4
ipset del a 1.2.3.5
ipset del a 1.2.3.5 -exist
ipset add a 10.0.0.0/30
ipset add a 10.0.0.4-10.0.0.6
ipset del a 10.0.0.1-10.0.0.2
ipset add a 2001:db8::1
ipset add a foo
ipset add a 1.2.3.9,80
ipset add a 1.2.3.9 nomatch
ipset add a 1.2.3.9 wildcard
ipset add a 1.2.3.9 timeout 5
ipset add a 1.2.3.9 comment x
ipset add a 1.2.3.9 packets 5
ipset add a 0.0.0.0
ipset add a 1.2.3.0/33
ipset add nope 1.2.3.4
ipset del nope 1.2.3.4
ipset del a
ipset add
ipset del a 1.2.3.4 timeout 5
ipset add f 1.1.1.1
ipset add f 1.1.1.2
ipset add f 1.1.1.3
ipset add f 1.1.1.2 -exist
ipset add nm 10.0.0.0/22
ipset del nm 10.0.1.77
ipset add bm 10.1.2.3
ipset del bm 10.200.2.9
ipset add six 2001:db8::1
ipset add six 2001:db8::/64
ipset add six 2001:db8::1/128
ipset add a 240.0.0.1
ipset del a 10.0.0.0/30 -exist
ipset flush nope
ipset flush a
ipset flush`,
  );
  sameSets(
    'adds and deletes networks, wider and narrower ones apart',
    'ipset create b hash:net; ipset create six hash:net family inet6; ipset create i hash:net,iface; ipset create z hash:net,port',
    `ipset add b 10.0.0.0/8
ipset add b 10.0.0.0/8 nomatch
ipset -exist add b 10.0.0.0/8 nomatch
ipset del b 10.0.0.0/16
ipset add b 10.1.0.0/16 nomatch
ipset add b 10.5.5.5/16
ipset add b 10.5.0.0/16
ipset add b 10.5.5.5
ipset add b 0.0.0.0/0
ipset add b 0.0.0.0-255.255.255.255
ipset add b 10.0.0.1-10.0.0.6
ipset del b 10.0.0.2/31
ipset del b 10.1.0.0/16 nomatch
ipset del b 10.1.0.0/16
ipset add b 2001:db8::/64
ipset add b 0.0.0.0
ipset add six 2001:db8::1/32
ipset add six ::/0
ipset add six 10.0.0.0/8
ipset add six 2001:db8::5 nomatch
ipset add i 0.0.0.0/0,eth0
ipset add i 10.0.0.0/8,physdev:eth0 nomatch
ipset add i 10.0.0.0/8,eth wildcard
ipset add i 10.0.0.0/8,eth7
ipset del i 10.0.0.0/8,physdev:eth0
ipset add z 10.0.0.0/24,tcp:80-81 nomatch
ipset add z 10.0.0.1-10.0.0.2,tcp:80
ipset del z 10.0.0.0/24,80
ipset add z 0.0.0.0/0,80`,
  );
  sameSets(
    'adds and deletes ports, bitmaps and pairs',
    'ipset create q hash:ip,port; ipset create w hash:ip,port,ip; ipset create n hash:ip,port,net; ipset create m bitmap:ip range 10.0.0.0/28; ipset create mm bitmap:ip,mac range 10.0.0.0/28; ipset create p bitmap:port range 0-100',
    `ipset add q 1.2.3.4,80
ipset add q 1.2.3.4,tcp:80
ipset add q 1.2.3.4,udp:80-82
ipset add q 1.2.3.4,icmp:8/0
ipset add q 1.2.3.4,icmp:echo-request
ipset add q 1.2.3.4
ipset del q 1.2.3.4,udp:81
ipset add w 1.1.1.0/30,80,2.2.2.2
ipset del w 1.1.1.0/31,80,2.2.2.2
ipset add w 1.1.1.1,80,2.2.2.1-2.2.2.2
ipset add n 0.0.0.0,80,10.0.0.0/8
ipset add n 1.1.1.1,80,0.0.0.0/0
ipset add m 10.0.1.1
ipset add m 10.0.0.1-10.0.0.20
ipset add m 10.0.0.3/30
ipset del m 10.0.0.0/30
ipset add mm 10.0.0.1
ipset add mm 10.0.0.1,02:00:00:00:00:01
ipset add mm 10.0.0.1,02:00:00:00:00:02
ipset add mm 10.0.0.1
ipset add mm 10.0.0.1 -exist
ipset add mm 10.0.0.1,02:00:00:00:00:03 -exist
ipset del mm 10.0.0.1,02:00:00:00:00:02
ipset add p 5-7
ipset add p 101
ipset add p tcp:8
ipset del p 6`,
  );
  sameSets(
    'keeps what elements have besides',
    'ipset create t hash:ip timeout 100 counters comment skbinfo; ipset create z hash:ip timeout 0',
    `ipset add t 1.1.1.1
ipset add t 1.1.1.2 timeout 0 packets 5 comment "a b"
ipset add t 1.1.1.3 skbmark 0x1/0xff skbprio 1:2 skbqueue 3
ipset add t 1.1.1.4 packets x
ipset add t 1.1.1.4 timeout 4294967
ipset -exist add t 1.1.1.2 timeout 50
ipset -exist add t 1.1.1.3 bytes 7
ipset add z 1.1.1.1
ipset add z 1.1.1.2 timeout 77`,
  );
  sameSets(
    'puts sets into lists',
    'for i in 1 2 3 4 5 6; do ipset create s$i hash:ip; done; ipset create l list:set size 4; ipset create l2 list:set',
    `ipset add l s1
ipset add l s1
ipset add l nope
ipset del l nope
ipset add l l2
ipset add l l
ipset add l s2 before s1
ipset add l s3 before nope
ipset add l s3 before s6
ipset add l s3 after s2
ipset add l s4
ipset add l s5
ipset add l s6
ipset -exist add l s2 after s6
ipset del l s3 before s2
ipset del l s3 after s2
ipset del l s3
ipset destroy s1
ipset destroy
ipset rename s1 t1
ipset rename s3 t3
ipset rename t3 s4
ipset rename t3 t3
ipset rename nope x
ipset swap s1 t3
ipset swap s1 l
ipset swap s1 nope
ipset destroy l
ipset destroy nope
ipset destroy nope -exist
ipset destroy s1 s2
ipset destroy`,
  );
  it('does not take away a set that rules use', () => {
    const rules = { ...SETS, 'iptables-legacy-save.txt': 'iptables-legacy-save', 'iptables-nft-save.txt': 'iptables-nft-save' };
    const setup = `ipset create a hash:ip; ipset create b hash:net; ipset create c hash:ip; ipset create d bitmap:ip range 10.0.0.0/24; ipset add a 1.1.1.1
      iptables-legacy -A INPUT ! -s 10.0.0.0/8 -m set --match-set a src; iptables-nft -A INPUT -m set ! --match-set b dst
      iptables-legacy -A FORWARD -j SET --add-set c src`;
    const commands = [
      'destroy a',
      'destroy b',
      'destroy c',
      'destroy',
      'rename a x',
      'swap a c',
      'swap a d',
      'swap a b',
      'flush a',
      'rename d e',
      'destroy e',
    ];
    const played = play(
      setup,
      commands.map((c) => `ipset ${c}`),
      rules,
    );
    expect(played.filter((p) => p.status !== 0).length).toBe(6);
    compare(played, setsOf, ipsetReason);
  });
  it('reads lines of ipset restore', () => {
    const lines = 'create rs hash:ip\nadd rs 1.2.3.4\nadd rs 1.2.3.5';
    const [played] = play('', [`ipset restore <<X\n${lines}\nX`], SETS);
    const after = edited(namespaceOf(played!.before), `ipset restore\n${lines}`);
    expect(typeof after === 'string' ? after : setsOf(after)).toEqual(setsOf(namespaceOf(played!.after)));
    expect(edited(namespaceOf(played!.after), `ipset restore\n${lines}`)).toBe(
      'Error in line 1: Set cannot be created: set with the same name already exists',
    );
  });
});

describeKernel('sysctl as an edit', () => {
  it('sets what the kernel sets along with it', () => {
    const setup = 'for d in t0 t1 eth0.100; do ip tuntap add dev $d mode tap; done; ip addr add 10.0.0.1/24 dev t1; ip link set lo up';
    const commands = `sysctl -w net.ipv4.ip_forward=1
sysctl -w net.ipv4.conf.t0.forwarding=0
sysctl -w net.ipv4.conf.default.forwarding=0
sysctl -w net.ipv4.conf.all.forwarding=0
sysctl -w net.ipv4.conf.all.forwarding=1
sysctl net/ipv4/ip_forward=0
sysctl -w net.ipv4.conf.t0.rp_filter=1
sysctl -w net.ipv4.conf.default.rp_filter=2
sysctl -w net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.t1.rp_filter=0
sysctl -w net.ipv6.conf.all.forwarding=1
sysctl -w net.ipv6.conf.t0.forwarding=0
sysctl -w net.ipv6.conf.default.forwarding=0
sysctl -w net.ipv6.conf.all.forwarding=2
sysctl -w net.ipv6.conf.all.disable_ipv6=1
sysctl -w net.ipv6.conf.default.disable_ipv6=0
sysctl -w net.ipv4.conf.eth0/100.rp_filter=2
sysctl -w net/ipv4/conf/eth0.100/rp_filter=1
sysctl -w net.ipv4.conf.eth0.100.rp_filter=2
sysctl -w net.ipv4.conf.t9.rp_filter=2
sysctl -w net.ipv4.nope=2
sysctl -w -e net.ipv4.nope=2 net.ipv4.ip_forward=1
sysctl -q -w net.ipv4.ip_forward=0x0
sysctl -w net.ipv4.ip_forward=abc
sysctl -w net.ipv4.ip_forward=
sysctl -w net.ipv4.ip_forward
sysctl -w "net.ipv4.ip_forward = 7"
sysctl -w net.ipv4.conf.all.rp_filter=99999999999
sysctl -w net.ipv4.ip_forward="1 2"
sysctl -w net.ipv4.ip_forward=-5
sysctl -w net.ipv4.ip_local_port_range="1024 65000"
sysctl -w`.split('\n');
    const captures = { 'sysctl.txt': 'sysctl -a', 'ip-addr.txt': 'ip addr' };
    const settings = (ns: Namespace): unknown => {
      const kept = Object.entries(ns.sysctls).filter(([k]) => /^net\.ipv[46]\.(?:conf\..*\.(?:forwarding|rp_filter|disable_ipv6)$|ip_)/.test(k));
      return Object.fromEntries(kept.map(([k, v]) => [k, v.value]));
    };
    compare(play(setup, commands, captures), settings, (said) => (/invalid syntax|no variables/.test(said) ? undefined : said.split('\n')[0]));
  });
});

describeKernel('conntrack as an edit', () => {
  it('deletes the connections that the filter finds', () => {
    const make = (words: string): string => `conntrack -I -t 300 ${words}\n`;
    const setup = [
      '-p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 80 --state ESTABLISHED -u ASSURED,SEEN_REPLY -m 5',
      '-p tcp -s 10.0.0.1 -d 10.0.0.2 --sport 1001 --dport 80 --state SYN_SENT -m 6',
      '-p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 53',
      '-p udp -s 10.0.1.1 -d 10.0.0.2 --sport 1000 --dport 53',
      '-p udp -s 10.0.0.3 -d 10.96.0.10 --sport 1000 --dport 53 --dst-nat 10.1.0.1:5353',
      '-p udp -s 10.1.0.3 -d 10.0.0.2 --sport 1000 --dport 99 --src-nat 10.0.0.9',
      '-p icmp -s 10.0.0.3 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 77',
      '-p tcp -s 2001:db8::1 -d 2001:db8::2 --sport 1000 --dport 80 --state ESTABLISHED -w 7',
    ]
      .map(make)
      .join('');
    const filters = `-s 9.9.9.9
-p tcp --dport 81
--dport 53
-p nope
-s foo
-s 1.1.1.1 -d 2001:db8::1
-p icmp --dport 5
-w 8
-m 1/3
-p udp -n
-u ASSURED
-p udp --dst-nat 10.1.0.1
-p udp --dport 53 -s 10.0.1.0/24
-p tcp --state SYN_SENT
-p icmp --icmp-type 8
-f ipv6 -p udp
-w 7
-p udp --sport 1000 -q 10.0.0.1
-X
`.trim();
    const commands = [
      ...filters.split('\n').map((f) => (f === '-X' ? 'conntrack -X' : `conntrack -D ${f}`)),
      'conntrack -D',
      'conntrack -F',
      'conntrack -F',
    ];
    for (const play1 of [play(setup, commands, { 'conntrack.txt': 'conntrack -L; conntrack -L -f ipv6' })])
      compare(
        play1,
        (ns) => sorted(ns.conntrack.map(({ timeout: _t, ...e }) => plain(e))),
        (said) => {
          const words = /^conntrack v[^:]*: (.*)/.exec(said)?.[1];
          return words?.includes("unknown option `-X'") ? undefined : words;
        },
      );
  });
});

describeGuest('ipvsadm as an edit', () => {
  it('adds, edits and deletes virtual servers and real servers', () => {
    const commands = `ipvsadm -A -t 10.96.0.1:443 -s rr
ipvsadm -A -t 10.96.0.1:443 -s rr
ipvsadm -E -t 10.96.0.1:443 -s wrr -p 100
ipvsadm -E -t 10.96.0.2:443 -s wrr
ipvsadm -D -t 10.96.0.2:443
ipvsadm -a -t 10.96.0.1:443 -r 10.1.0.1:6443 -m
ipvsadm -a -t 10.96.0.1:443 -r 10.1.0.1:6443 -m
ipvsadm -a -t 10.96.0.1:443 -r 10.1.0.2:6443 -g
ipvsadm -a -t 10.96.0.1:443 -r 10.1.0.3:6443
ipvsadm -a -t 10.96.0.1:443 -r 127.0.0.1:6443 -m
ipvsadm -a -t 10.96.0.1:443 -r 127.0.0.1:6444 -i
ipvsadm -a -t 10.96.0.1:443 -r 10.1.0.4:7 -m -w 70000
ipvsadm -a -t 10.96.0.1:443 -r 10.1.0.4:8 -m -w 0 -x 5 -y 7
ipvsadm -a -t 10.96.0.1:443 -r 10.1.0.4:9 -m -w 0 -x 7 -y 5
ipvsadm -a -t 10.96.0.1:443 -r 224.0.0.1:9 -m
ipvsadm -a -t 10.96.0.2:443 -r 10.1.0.1:6443 -m
ipvsadm -e -t 10.96.0.2:443 -r 10.1.0.1:6443 -m
ipvsadm -d -t 10.96.0.2:443 -r 10.1.0.1:6443
ipvsadm -e -t 10.96.0.1:443 -r 10.1.9.1:6443 -m
ipvsadm -e -t 10.96.0.1:443 -r 10.1.0.1:6443 -m -w 5
ipvsadm -e -t 10.96.0.1:443 -r 10.1.0.1:6443
ipvsadm -d -t 10.96.0.1:443 -r 10.1.9.1:6443
ipvsadm -d -t 10.96.0.1:443 -r 10.1.0.1:6443
ipvsadm -d -t 10.96.0.1:443 -r 10.1.0.2
ipvsadm -Z -t 10.96.0.1:443
ipvsadm -Z -t 10.96.0.2:443
ipvsadm -Z
ipvsadm -A -t 10.96.0.3:443 -s nope
ipvsadm -A -t 10.96.0.3:443
ipvsadm -A -t 10.96.0.4
ipvsadm -A -t 10.96.0.4 -p
ipvsadm -A -t foo:7
ipvsadm -A -f 0
ipvsadm -A -f 5
ipvsadm -A -f 5 -6
ipvsadm -A -f 5 -s rr
ipvsadm -a -f 5 -r 10.1.0.1
ipvsadm -a -f 5 -r 10.1.0.2:80 -m
ipvsadm -a -f 5 -r [2001:db8::1]:80 -m
ipvsadm -a -f 5 -r [2001:db8::1]:80 -i
ipvsadm -A -t [2001:db8::1]:80
ipvsadm -a -t [2001:db8::1]:80 -r 10.0.0.1:80 -i
ipvsadm -A -u 10.96.0.1:53 -o -b sh-port -s sh
ipvsadm -E -u 10.96.0.1:53
ipvsadm -A -t 10.96.0.1:54 -o -s rr
ipvsadm -A -t 10.96.0.1:57 -r 1.1.1.1
ipvsadm -A
ipvsadm -a -t 10.96.0.1:443
ipvsadm -D
ipvsadm -A -t 10.96.0.1:58 -w 5
ipvsadm -a -t 10.96.0.1:443 -r 10.1.0.9:1 -m -i
ipvsadm --add-service --tcp-service 10.97.0.1:80 --scheduler sed
ipvsadm --add-server --tcp-service 10.97.0.1:80 --real-server 10.1.0.1:8080 --masquerading --weight 3
ipvsadm --edit-server --tcp-service 10.97.0.1:80 --real-server 10.1.0.1:8080 --masquerading --weight 4
ipvsadm --delete-server --tcp-service 10.97.0.1:80 --real-server 10.1.0.1:8080
ipvsadm --delete-service --tcp-service 10.97.0.1:80
ipvsadm -D -t 10.96.0.1:443 -s rr
ipvsadm -C -t 10.96.0.1:443
ipvsadm -D -t 10.96.0.1:443
ipvsadm -C`.split('\n');
    const captures = {
      'ipvsadm-save.txt': 'ipvsadm -Sn',
      'ipvsadm.txt': 'ipvsadm -Ln',
      'ipvsadm-thresholds.txt': 'ipvsadm -Ln --thresholds',
      'ip_vs.txt': 'cat /proc/net/ip_vs',
    };
    const played = play('modprobe ip_vs; ipvsadm -Ln', commands, captures, [join(import.meta.dirname, '../oracle/uml.sh')]);
    const services = (ns: Namespace): unknown => sorted((ns.ipvs?.services ?? []).map(plain));
    compare(played, services, (said) => (/^illegal|^Try/.test(said) ? undefined : said.split('\n')[0]));
  });
});
