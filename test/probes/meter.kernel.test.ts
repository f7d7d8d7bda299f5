// Matches that measure, and matches on what nobody captured: what the kernel does is one of netwhy's courses.
import { FROM_OUTSIDE, FROM_OUTSIDE6, FROM_POD } from './claim.ts';
import type { Shot } from './node.ts';
import { describeRules, type Ruling } from './ruling.ts';

const from = (family: 4 | 6): Shot => (family === 4 ? FROM_OUTSIDE : FROM_OUTSIDE6);
const times = (n: number, ruling: (i: number) => Ruling): readonly Ruling[] => Array.from({ length: n }, (_, i) => ruling(i));

describeRules('meters', ({ rules, whole }) => {
  for (const family of [4, 6] as const) {
    const shot = from(family);
    rules(
      'limit lets a burst through',
      family,
      ['-m limit --limit 1/hour --limit-burst 2', '-m limit --limit 10000/second --limit-burst 10'],
      times(4, (i) => [shot, i < 2 ? [1, 2] : [2], 'open']),
    );
    whole(
      'the same limit met twice in one walk has two answers',
      family,
      {
        filter: [
          '-A FORWARD -j U',
          '-A FORWARD -j U',
          '-A U -m limit --limit 1/day --limit-burst 1 -j RETURN',
          '-A U -m limit --limit 1/day --limit-burst 1',
        ],
      },
      [
        [shot, /^filter FORWARD 1, filter U 1, filter FORWARD 2, filter U 2 ->/, 'open'],
        [shot, /^filter FORWARD 1, filter FORWARD 2 ->/, 'open'],
      ],
    );
    rules(
      'hashlimit counts each client, upto and above, and two rules of one name share the count',
      family,
      [
        '-m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name a --hashlimit-htable-expire 86400000',
        '-m hashlimit --hashlimit-above 1/hour --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name b --hashlimit-htable-expire 86400000',
        '-m hashlimit ! --hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-mode srcip,dstport --hashlimit-name c --hashlimit-htable-expire 86400000',
      ],
      [
        ...times(4, (i): Ruling => [shot, i === 0 ? [1] : i === 1 ? [1, 3] : [2, 3], 'open']),
        [{ ...shot, dport: 81 }, [2], 'open'],
        [{ ...shot, src: family === 4 ? '8.8.8.9' : 'fd00:8::9' }, [1], 'open'],
      ],
    );
    whole(
      'the same hashlimit met twice in one walk has two answers',
      family,
      {
        filter: [
          '-A FORWARD -j U',
          '-A FORWARD -j U',
          '-A U -m hashlimit --hashlimit-upto 1/hour --hashlimit-burst 1 --hashlimit-mode srcip --hashlimit-name d --hashlimit-htable-expire 86400000 -j RETURN',
        ],
      },
      [
        [shot, /^filter FORWARD 1, filter U 1, filter FORWARD 2 ->/, 'open'],
        [shot, /^filter FORWARD 1, filter FORWARD 2 ->/, 'open'],
      ],
    );
    // 40 or 60 bytes a SYN without options
    const size = family === 4 ? 40 : 60;
    rules(
      'a quota of two packets and of nothing, and their inversion',
      family,
      [
        `-m quota --quota ${2 * size}`,
        `-m quota ! --quota ${2 * size}`,
        '-m quota --quota 0',
        '-m quota ! --quota 0',
        `-m quota --quota ${2 * size - 1}`,
      ],
      times(4, (i) => [shot, i === 0 ? [1, 4, 5] : i === 1 ? [1, 4] : [2, 4], 'open']),
    );
    whole(
      'the same quota met twice in one walk has two answers',
      family,
      { filter: ['-A FORWARD -j U', '-A FORWARD -j U', `-A U -m quota --quota ${size} -j RETURN`, '-A U -j MARK --set-mark 1'], mangle: [] },
      [
        [shot, /^filter FORWARD 1, filter U 1, filter FORWARD 2, filter U 2 -> .* mark 0x1/, 'open'],
        [shot, /^filter FORWARD 1, filter U 2, filter FORWARD 2, filter U 2 -> .* mark 0x1/, 'open'],
      ],
    );
    rules(
      'connlimit: connections of a client, and of a server',
      family,
      [
        '-m connlimit --connlimit-upto 1',
        '-m connlimit --connlimit-above 1',
        '-m connlimit ! --connlimit-upto 2',
        '-m connlimit --connlimit-above 0 --connlimit-daddr',
        `-m connlimit --connlimit-upto 1 --connlimit-mask ${family === 4 ? 24 : 64}`,
      ],
      times(3, (i) => [{ ...shot, sport: 41000 + i }, i === 0 ? [1, 4, 5] : i === 1 ? [2, 4] : [2, 3, 4], 'open']),
      { connected: true },
    );
    const length = family === 4 ? 35 : 55; // of "netwhy?" in UDP
    const counted = { connected: true, extra: { sysctls: { 'net.netfilter.nf_conntrack_acct': 1 } } } as const;
    rules(
      'connbytes: what the connection has carried, this packet included',
      family,
      [
        '-m connbytes --connbytes 2 --connbytes-mode packets --connbytes-dir both',
        '-m connbytes ! --connbytes 2 --connbytes-mode packets --connbytes-dir original',
        '-m connbytes --connbytes 1 --connbytes-mode packets --connbytes-dir reply',
      ],
      times(2, (i) => [{ ...shot, proto: 'udp' }, i === 0 ? [2] : [1], 'open']),
      counted,
    );
    rules(
      'connbytes: bytes, and bytes a packet',
      family,
      [
        `-m connbytes --connbytes ${length}:${length} --connbytes-mode bytes --connbytes-dir original`,
        `-m connbytes ! --connbytes ${length}:${length} --connbytes-mode bytes --connbytes-dir original`,
        `-m connbytes --connbytes ${length}:${length} --connbytes-mode avgpkt --connbytes-dir both`,
        `-m connbytes ! --connbytes ${length}:${length + 1} --connbytes-mode bytes --connbytes-dir original`,
      ],
      // an inverted range of one number is not inverted
      times(2, (i) => [{ ...shot, proto: 'udp' }, i === 0 ? [1, 2, 3] : [3, 4], 'open']),
      counted,
    );
    whole(
      'connbytes of what is not tracked is false, inverted too',
      family,
      {
        raw: ['-A PREROUTING -p udp -j CT --notrack'],
        filter: [
          '-A FORWARD -m connbytes --connbytes 0 --connbytes-mode packets --connbytes-dir both',
          '-A FORWARD -m connbytes ! --connbytes 5 --connbytes-mode packets --connbytes-dir both',
        ],
      },
      [[{ ...shot, proto: 'udp' }, /^raw PREROUTING 1 -> out cali1/]],
    );
    rules(
      'recent: what was seen before',
      family,
      [
        `-m recent --rcheck --name s${family}`,
        `-m recent ! --rcheck --name s${family}`,
        `-m recent --set --name s${family}`,
        `-m recent --update --hitcount 2 --name s${family}`,
        `-m recent --rcheck --rdest --name s${family}`,
      ],
      [
        [shot, [2, 3], 'open'],
        [shot, [1, 3, 4], 'open'],
        [{ ...shot, src: family === 4 ? '8.8.8.9' : 'fd00:8::9' }, [2, 3], 'open'],
      ],
    );
    rules(
      'recent: an answer holds until the list is changed',
      family,
      [
        `-m recent --rcheck --name t${family}`,
        `-m recent --rcheck --name t${family}`,
        `-m recent --set --name t${family}`,
        `-m recent --rcheck --name t${family}`,
        `-m recent --remove --name t${family}`,
        `-m recent ! --rcheck --name t${family}`,
      ],
      times(2, () => [shot, [3, 4, 5, 6], 'open']),
    );
    whole(
      'rateest compares a rate that RATEEST measured',
      family,
      {
        mangle: [`-A PREROUTING -j RATEEST --rateest-name e${family} --rateest-interval 250ms --rateest-ewma 500ms`],
        filter: [
          `-A FORWARD -m rateest --rateest e${family} --rateest-lt --rateest-bps 1mbit`,
          `-A FORWARD -m rateest --rateest e${family} --rateest-gt --rateest-bps 1mbit`,
          `-A FORWARD -m rateest --rateest e${family} ! --rateest-gt --rateest-pps 100000`,
        ],
      },
      [[shot, 'mangle PREROUTING 1, filter FORWARD 1, filter FORWARD 3 -> out', 'open']],
    );
    rules(
      'helper: no connection that a helper did not expect has one',
      family,
      ['-m helper --helper ftp', '-m helper ! --helper ftp', '-m helper --helper ""', '-m helper ! --helper ""'],
      [
        [shot, [2, 4]],
        [{ ...shot, proto: 'udp' }, [2, 4]],
        [{ ...shot, proto: 'icmp' }, [2, 4]],
        [{ ...shot, flags: 'RST', sport: 5 }, [2, 4]],
      ],
    );
    const far = family === 4 ? '8.8.8.8' : 'fd00:8::8';
    const groups = ['-m cgroup --cgroup 0', '-m cgroup ! --cgroup 0', '-m cgroup --cgroup 7', '-m cgroup ! --cgroup 7'];
    rules('cgroup is false without a socket, inverted too', family, groups, [[shot, []]], { chain: 'POSTROUTING', table: 'mangle' });
    rules('cgroup of a socket', family, groups, [[{ local: true, proto: 'udp', dst: far }, [1, 4], 'open']], { chain: 'OUTPUT' });
    rules(
      'cpu, devgroup, connlabel, cluster, policy and tcpmss are open',
      family,
      [
        '-m devgroup --src-group 0',
        '-m devgroup ! --src-group 0',
        '-m policy --dir in --pol none',
        '-p tcp -m tcpmss --mss 1',
        '-p tcp -m tcpmss ! --mss 1',
      ],
      [
        [shot, [1, 3, 5], 'open'],
        [{ ...shot, flags: 'ACK' }, [1, 3, 5], 'open'],
      ],
    );
    rules(
      'cluster: one node of two is responsible',
      family,
      [
        '-m cluster --cluster-total-nodes 1 --cluster-local-node 1 --cluster-hash-seed 1',
        '-m cluster --cluster-total-nodes 1 ! --cluster-local-node 1 --cluster-hash-seed 1',
      ],
      [[shot, [1], 'open']],
    );
    whole(
      'socket: none is open',
      family,
      { mangle: ['-A PREROUTING -m socket', '-A PREROUTING -m socket --nowildcard', '-A PREROUTING -m socket --transparent'] },
      [[shot, '-> out cali1', 'open']],
    );
  }
  for (const family of [4, 6] as const) {
    const shot = from(family);
    rules(
      'chunks of SCTP',
      family,
      [
        '-p sctp -m sctp --chunk-types any INIT',
        '-p sctp -m sctp --chunk-types all DATA',
        '-p sctp -m sctp ! --chunk-types all DATA',
        '-p sctp -m sctp --dport 80',
      ],
      [[{ ...shot, proto: 'sctp' }, [1, 3, 4], 'open']],
    );
    rules(
      'types and options of DCCP',
      family,
      [
        '-p dccp -m dccp --dccp-types REQUEST',
        '-p dccp -m dccp ! --dccp-types REQUEST',
        '-p dccp -m dccp --dccp-option 5',
        '-p dccp -m dccp --dport 80',
      ],
      [[{ ...shot, proto: 'dccp' }, [1, 4], 'open']],
    );
  }
  rules(
    'osf without fingerprints',
    4,
    ['-p tcp -m osf --genre Linux', '-p tcp -m osf ! --genre Linux'],
    [
      [FROM_OUTSIDE, [], 'open'],
      [{ ...FROM_OUTSIDE, flags: 'ACK' }, []],
    ],
  );
  // load the byte at 9; TCP?
  rules(
    'bpf',
    4,
    ['-m bpf --bytecode "4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0"'],
    [
      [FROM_OUTSIDE, [1], 'open'],
      [{ ...FROM_OUTSIDE, proto: 'udp' }, [], 'open'],
    ],
  );
  rules(
    'connlabel --set',
    4,
    ['-m connlabel --label 1', '-m connlabel ! --label 1', '-m connlabel --label 2 --set', '-m connlabel --label 2'],
    [[FROM_OUTSIDE, [2, 3, 4], 'open']],
  );
  whole(
    'helper of an error about a connection without one',
    4,
    { filter: ['-A FORWARD -m helper --helper ftp', '-A FORWARD -m helper ! --helper ftp', '-A FORWARD -m conntrack --ctstate RELATED'] },
    [
      [FROM_POD, /^filter FORWARD 2 ->/],
      [{ ...FROM_OUTSIDE, proto: 'icmp', type: 3, code: 1, inner: FROM_POD }, /^filter FORWARD 2, filter FORWARD 3 ->/],
    ],
    { connected: true },
  );
  rules('realm', 4, ['-m realm --realm 0', '-m realm ! --realm 0', '-m realm --realm 5'], [[FROM_POD, [1], 'open']]);
});
