// Matches on headers between IP and the transport: without the header they are false, inverted or not; with it, what it says is open.
import { FROM_OUTSIDE, FROM_OUTSIDE6 } from './claim.ts';
import type { Shot } from './node.ts';
import { describeRules } from './ruling.ts';

const AH = '3b04000000000100000000010000000000000000000000ff';
const ESP = '0000010000000001ffffffffffffffff';
const esp: Shot = { ...FROM_OUTSIDE, proto: 'esp', body: ESP };
const ah: Shot = { ...FROM_OUTSIDE, proto: 'ah', body: AH };
const comp = (cpi: string): Shot => ({ ...FROM_OUTSIDE, proto: '108', body: `0600${cpi}ffffffff` });
const udp: Shot = { ...FROM_OUTSIDE, proto: 'udp' };

describeRules('headers of IPsec', ({ rules }) => {
  rules(
    'ah is false without -p ah, and its SPI is not known',
    4,
    ['-p ah -m ah', '-p ah -m ah --ahspi 256', '-p ah -m ah ! --ahspi 256', '-p ah -m ah --ahspi 1:255', '-p ah -m ah ! --ahspi 1:255'],
    [
      [ah, [1, 2, 5], 'open'],
      [udp, []],
      [esp, []],
    ],
  );
  rules(
    'ah that asks nothing matches every AH header',
    4,
    ['-p ah -m ah', '-p ah -m ah --ahspi 0:4294967295'],
    [
      [ah, [1, 2]],
      [udp, []],
    ],
  );
  for (const family of [4, 6] as const) {
    const from = family === 4 ? FROM_OUTSIDE : FROM_OUTSIDE6;
    rules(
      'esp is false without -p esp, and its SPI is not known',
      family,
      [
        `-p esp -m esp`,
        `-p esp -m esp --espspi 256`,
        `-p esp -m esp ! --espspi 256`,
        `-p esp -m esp --espspi 257:`,
        `-p esp -m esp ! --espspi 0:255`,
      ],
      [
        [{ ...from, proto: 'esp', body: ESP }, [1, 2, 5], 'open'],
        [{ ...from, proto: 'udp' }, []],
        [{ ...from, proto: '108', body: '06000001ffffffff' }, []],
      ],
    );
    rules(
      'esp that asks nothing matches every ESP header',
      family,
      [`-p esp -m esp`, `-p esp -m esp --espspi 0:4294967295`],
      [
        [{ ...from, proto: 'esp', body: ESP }, [1, 2]],
        [{ ...from, proto: 'esp', body: ESP.replace('0100', 'ffff') }, [1, 2]],
      ],
    );
  }
  rules(
    'ipcomp without --ipcompspi asks for 0',
    4,
    ['-p 108 -m ipcomp', '-p 108 -m ipcomp --ipcompspi 5', '-p 108 -m ipcomp ! --ipcompspi 5', '-p 108 -m ipcomp --ipcompspi 0:65535'],
    [
      [comp('0005'), [2, 4], 'open'],
      [comp('0000'), [1, 3, 4], 'open'],
      [udp, []],
    ],
  );
});

const SIX = FROM_OUTSIDE6;
const plain: Shot = { ...SIX, proto: 'udp' };
const none: Shot = { ...SIX, proto: '59', body: '00' };
/** UDP to port 80, its sum not looked at by anything here. */
const UDP = '9c400050000fffff6e65747768793f';
const hop = (next = '11', body = UDP): Shot => ({ ...SIX, proto: '0', body: `${next}00010400000000${body}` });
const dest = (next = '11', body = UDP): Shot => ({ ...SIX, proto: '60', body: `${next}00010400000000${body}` });
const whole: Shot = { ...SIX, proto: '44', body: `1100000012345678${UDP}` };
/** Type 2 with no segments left, home address. */
const route: Shot = { ...SIX, proto: '43', body: `1102020000000000fd000008000000000000000000000001${UDP}` };
const segments: Shot = { ...SIX, proto: '43', body: `1102040000000001fd000008000000000000000000000001${UDP}` };
const auth: Shot = { ...SIX, proto: '51', body: `1104000000000100000000010000000000000000000000ff${UDP}` };
const move: Shot = { ...SIX, proto: '135', body: '3b00050000000000' };

describeRules('IPv6 headers', ({ rules }) => {
  const each = (title: string, matches: readonly string[], [shot, numbers]: readonly [Shot, readonly number[]]): void =>
    rules(title, 6, matches, [
      [shot, numbers, 'open'],
      [plain, []],
      [{ ...SIX, proto: 'tcp' }, []],
      [none, []],
    ]);
  each(
    'frag',
    [
      '-m frag --fragid 0x12345678',
      '-m frag ! --fragid 0x12345678',
      '-m frag --fragfirst',
      '-m frag --fraglast',
      '-m frag --fragmore',
      '-m frag --fragid 1:2',
      '-m frag ! --fragid 1:2',
    ],
    [whole, [1, 3, 4, 7]],
  );
  each('hbh', ['-m hbh --hbh-len 8', '-m hbh ! --hbh-len 8', '-m hbh --hbh-opts 1:4', '-m hbh --hbh-opts 5'], [hop(), [1, 3]]);
  each('dst', ['-m dst --dst-len 8', '-m dst ! --dst-len 8', '-m dst --dst-opts 1:4', '-m dst --dst-opts 5'], [dest(), [1, 3]]);
  each(
    'rt',
    ['-m rt --rt-type 2', '-m rt ! --rt-type 2', '-m rt --rt-segsleft 0', '-m rt ! --rt-segsleft 0', '-m rt --rt-len 24', '-m rt ! --rt-len 16'],
    [route, [1, 3, 5, 6]],
  );
  each(
    'srh',
    ['-m srh --srh-next-hdr 17', '-m srh ! --srh-next-hdr 17', '-m srh --srh-segs-left-eq 0', '-m srh ! --srh-tag 1', '-m srh --srh-last-entry-gt 0'],
    [segments, [1, 3, 4]],
  );
  each('ah', ['-m ah --ahspi 256', '-m ah ! --ahspi 256', '-m ah --ahlen 24', '-m ah ! --ahlen 24', '-m ah --ahres'], [auth, [1, 3, 5]]);
  rules(
    'a header that is asked nothing more is there or is not',
    6,
    ['-m frag', '-m hbh', '-m dst', '-m rt', '-m srh', '-m ah'],
    [
      [whole, [1], 'open'],
      [hop(), [2], 'open'],
      [dest(), [3], 'open'],
      [hop('3c', `1100010400000000${UDP}`), [2, 3], 'open'],
      [segments, [4, 5], 'open'],
      [auth, [6], 'open'],
      [plain, []],
      [none, []],
    ],
  );
  rules(
    'mh asks the type of a mobility header',
    6,
    ['-p 135 -m mh', '-p 135 -m mh --mh-type bu', '-p 135 -m mh ! --mh-type bu', '-p 135 -m mh --mh-type 0:4', '-p 135 -m mh ! --mh-type 0:4'],
    [
      [move, [1, 2, 5], 'open'],
      [plain, []],
    ],
  );
  rules(
    'what follows an extension header is not known: the protocol that -p asks is the last one',
    6,
    ['-p udp', '! -p udp', '-p tcp', '-p udp --dport 80', '-p udp ! --dport 80', '-p 59'],
    [
      [hop(), [1, 4], 'open'],
      [dest(), [1, 4], 'open'],
      [route, [1, 4], 'open'],
      [whole, [1, 4], 'open'],
      [dest('3b', ''), [2, 6], 'open'],
      [none, [2, 6]],
      [plain, [1, 4]],
    ],
  );
  for (const backend of ['legacy', 'nft'] as const)
    rules(
      `AH is ${backend === 'nft' ? 'a protocol' : 'one of the headers behind which the protocol stands'}`,
      6,
      ['-p udp', '! -p udp', '-p tcp', '-p udp --dport 80', '-p udp ! --dport 80'],
      [[auth, backend === 'nft' ? [2] : [1, 4], 'open']],
      { backends: [backend] },
    );
  rules(
    'ipv6header asks for exactly these headers, and --soft for all of them',
    6,
    [
      '-m ipv6header --header prot',
      '-m ipv6header ! --header prot',
      '-m ipv6header --header prot --soft',
      '-m ipv6header ! --header prot --soft',
      '-m ipv6header --header none',
      '-m ipv6header ! --header none',
      '-m ipv6header --header none --soft',
      '-m ipv6header ! --header none --soft',
      '-m ipv6header --header esp,prot',
      '-m ipv6header ! --header esp,prot',
      '-m ipv6header --header esp,prot --soft',
      '-m ipv6header ! --header esp,prot --soft',
    ],
    [
      [plain, [1, 3, 6, 8, 10]],
      [none, [2, 4, 5, 7, 10, 12]],
      [{ ...SIX, proto: 'esp', body: ESP }, [2, 4, 6, 8, 10]],
      [move, [1, 3, 6, 8, 10]],
    ],
  );
  for (const [matches, one, two] of [
    [['--header dst', '--header dst,prot', '! --header dst,prot'], [2], [3]],
    [
      ['--header dst --soft', '--header hop --soft', '! --header hop --soft', '! --header hop'],
      [1, 3, 4],
      [1, 2, 4],
    ],
  ] as const)
    rules(
      `ipv6header of a packet with extension headers: ${matches[0]} and others`,
      6,
      matches.map((m) => `-m ipv6header ${m}`),
      [
        [dest(), one, 'open'],
        [hop('3c', `1100010400000000${UDP}`), two, 'open'],
      ],
    );
});

const STATES = ['NEW', 'ESTABLISHED', 'RELATED', 'INVALID', 'UNTRACKED'].map((s) => `-m conntrack --ctstate ${s}`);
/** A listener report, which is sent behind a hop-by-hop header. */
const report = hop('3a', '8f0076a900000000');

describeRules('conntrack and IPv6 headers', ({ rules }) => {
  for (const [name, shot, state, open] of [
    ['what follows a hop-by-hop header', hop('11', '9c4000500008693a'), 1, 'open'],
    ['UDP with a wrong sum behind destination options', dest(), 4, 'open'],
    ['nothing behind destination options', dest('3b', ''), 4, 'open'],
    ['a listener report', report, 5, 'open'],
    ['nothing', none, 4, undefined],
    ['ESP', { ...SIX, proto: 'esp', body: ESP }, 1, undefined],
    ['a mobility header', move, 1, undefined],
  ] as const)
    rules(`conntrack: ${name}`, 6, STATES, [[shot, [state], open]]);
});

describeRules('eui64', ({ rules }) => {
  // 06:00:00:00:00:01, the universal bit turned
  const derived: Shot = { ...SIX, src: 'fe80::400:ff:fe00:1' };
  const good: Shot = { ...SIX, src: 'fd00:21::400:ff:fe00:1' };
  const other: Shot = { ...SIX, src: 'fd00:21::600:ff:fe00:1' };
  rules(
    'in FORWARD',
    6,
    ['-m eui64'],
    [
      [good, [1]],
      [other, []],
      [{ ...good, mac: '06:00:00:00:00:02' }, []],
      [{ ...good, mac: '02:00:00:00:00:01', src: 'fd00:21::ff:fe00:1' }, [1]],
      [{ ...good, mac: '02:0a:bc:de:f0:12', src: 'fd00:21::a:bcff:fede:f012' }, [1]],
      [SIX, []],
    ],
  );
  rules(
    'in INPUT',
    6,
    ['-m eui64'],
    [
      [{ ...derived, src: good.src!, dst: 'fd00:21::20' }, [1]],
      [{ ...other, dst: 'fd00:21::20' }, []],
    ],
    { chain: 'INPUT' },
  );
});
