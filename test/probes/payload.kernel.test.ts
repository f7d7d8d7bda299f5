// Matches on bytes, bits and the moment: string, u32, ecn, time, and the target ECN.
import { FROM_OUTSIDE, FROM_OUTSIDE6 } from './claim.ts';
import type { Shot } from './node.ts';
import { describeRules, type Ruling } from './ruling.ts';

const say = (payload: string, more: Partial<Shot> = {}): Shot => ({ ...FROM_OUTSIDE, proto: 'udp', payload, ...more });
const say6 = (payload: string, more: Partial<Shot> = {}): Shot => ({ ...FROM_OUTSIDE6, proto: 'udp', payload, ...more });
// offsets count from the IP header: a UDP payload begins at 28
const HELLO = say('Hello, World');

describeRules('string', ({ rules }) => {
  for (const algo of ['bm', 'kmp']) {
    rules(
      `${algo} finds a text, and with --icase in any case`,
      4,
      [
        `-m string --string "World" --algo ${algo}`,
        `-m string ! --string "World" --algo ${algo}`,
        `-m string --string "world" --algo ${algo}`,
        `-m string ! --string "world" --algo ${algo}`,
        `-m string --string "wORLD" --algo ${algo} --icase`,
        `-m string ! --string "wORLD" --algo ${algo} --icase`,
        `-m string --string "Worlds" --algo ${algo}`,
        `-m string --string "Hello, World" --algo ${algo}`,
      ],
      [
        [HELLO, [1, 4, 5, 8]],
        [say('Hello, world'), [2, 3, 5]],
        [say('Hello, Worl'), [2, 4, 6]],
        [say(''), [2, 4, 6]],
        [{ ...HELLO, proto: 'tcp' }, [1, 4, 5, 8]],
        [{ ...HELLO, proto: 'tcp', flags: 'ACK' }, [1, 4, 5, 8]],
        [{ ...HELLO, proto: 'icmp' }, [1, 4, 5, 8]],
      ],
    );
    rules(
      `${algo} --hex-string is bytes`,
      4,
      [
        `-m string --hex-string "|00ff|" --from 28 --algo ${algo}`,
        `-m string ! --hex-string "|00ff|" --from 28 --algo ${algo}`,
        `-m string --hex-string "a|0d 0a|b" --from 28 --algo ${algo}`,
        `-m string --hex-string "|e4f6|" --from 28 --algo ${algo} --icase`,
      ],
      [
        [say('x|00ff|y'), [1]],
        [say('x|0100 ff|'), [1]],
        [say('a|0d0a|b'), [2, 3]],
        [say('A|0d0a|b'), [2]],
        [say('|c4d6|'), [2, 4]],
        [say('|e4f6|'), [2, 4]],
      ],
    );
    rules(
      `${algo}: --from is where it may begin, --to where it must have ended`,
      4,
      [
        `-m string --string "Hello" --algo ${algo} --from 28`,
        `-m string --string "Hello" --algo ${algo} --from 29`,
        `-m string --string "World" --algo ${algo} --from 35 --to 40`,
        `-m string --string "World" --algo ${algo} --from 36`,
        `-m string --string "World" --algo ${algo} --to 41`,
        `-m string ! --string "World" --algo ${algo} --to 34`,
        `-m string ! --string "World" --algo ${algo} --from 36`,
        `-m string --string "Hello" --algo ${algo} --to 27`,
      ],
      [[HELLO, [1, 3, 5, 6, 7]]],
    );
    rules(
      `${algo}: up to Linux 6.5 it was enough to begin before --to`,
      4,
      [`-m string --string "World" --algo ${algo} --to 39`, `-m string ! --string "World" --algo ${algo} --to 35`],
      [[HELLO, [2], 'open']],
    );
    rules(
      `${algo} looks at headers too`,
      4,
      [`-m string --hex-string "|08080808|" --algo ${algo}`, `-m string --hex-string "|9c400050|" --algo ${algo} --from 20 --to 24`],
      [
        [HELLO, [1, 2]],
        [{ ...HELLO, dport: 81 }, [1]],
      ],
    );
  }
  rules(
    'IPv6: a payload of UDP begins at 48',
    6,
    [
      '-m string --string "Hello" --algo bm --from 48 --to 53',
      '-m string --string "Hello" --algo bm --from 49',
      '-m string ! --string "Hello" --algo kmp',
    ],
    [
      [say6('Hello'), [1]],
      [say6('Hell'), [3]],
    ],
  );
  rules(
    'a payload that nobody gave is not known',
    4,
    [
      '-m string --string "netwhy" --algo bm',
      '-m string --string "netwhy" --algo bm --to 27',
      '-m string --string "netwhy, and much more" --algo bm',
    ],
    [[{ ...FROM_OUTSIDE, proto: 'udp' }, [1], 'open']],
  );
});

describeRules('u32', ({ rules }) => {
  rules(
    'fields of the IP header',
    4,
    [
      '-m u32 --u32 "6&0xff=17"',
      '-m u32 ! --u32 "6&0xff=17"',
      '-m u32 --u32 "12=0x08080808"',
      '-m u32 --u32 "12=0x08080800:0x08080807,0x08080809:0x080808ff"',
      '-m u32 ! --u32 "12=0x08080800:0x08080807,0x08080809:0x080808ff"',
      '-m u32 --u32 "0>>28=4"',
      '-m u32 --u32 "0>>22&0x3c=20"',
      '-m u32 --u32 "0&0xffff=0:40"',
      '-m u32 --u32 "8>>24=63 && 6&0xff=17"',
      '-m u32 --u32 "8>>24=64 && 6&0xff=17"',
      '-m u32 --u32 "4&0x1fff=0"',
      '-m u32 --u32 "16<<24=0x01000000"',
    ],
    [
      [HELLO, [1, 3, 5, 6, 7, 8, 9, 11, 12]],
      [{ ...HELLO, src: '8.8.8.7' }, [1, 4, 6, 7, 8, 9, 11, 12]],
      [{ ...HELLO, proto: 'tcp', flags: 'ACK', payload: '0' }, [2, 3, 5, 6, 7, 11, 12]],
      [{ ...HELLO, dst: '10.1.0.2', payload: '' }, [1, 3, 5, 6, 7, 8, 9, 11]],
    ],
  );
  rules(
    '@ jumps by what was read',
    4,
    [
      '-m u32 --u32 "0>>22&0x3c@0>>16=40000"',
      '-m u32 --u32 "0>>22&0x3c@0&0xffff=53"',
      '-m u32 ! --u32 "0>>22&0x3c@0&0xffff=53"',
      '-m u32 --u32 "0>>22&0x3c@8=0x48656c6c"',
      '-m u32 --u32 "0>>22&0x3c@8>>24&0x7@0=0x9c400050"',
      '-m u32 --u32 "0>>22&0x3c@4>>16&0xff@0=0x57"',
    ],
    [
      [HELLO, [1, 3, 4, 5]],
      [{ ...HELLO, dport: 53 }, [1, 2, 4]],
      [say('Hell'), [1, 3, 4, 5]],
      [say('Hel'), [1, 3]],
    ],
  );
  rules(
    'what is beyond the packet is no match',
    4,
    [
      '-m u32 --u32 "28=0x61626364"',
      '-m u32 --u32 "29=0:0xffffffff"',
      '-m u32 ! --u32 "29=0:0xffffffff"',
      '-m u32 --u32 "32=0:0xffffffff"',
      '-m u32 ! --u32 "32=0:0xffffffff"',
      '-m u32 --u32 "0xffffffff=0:0xffffffff"',
      '-m u32 ! --u32 "0&0xff0000>>16&0@0xfffffffc=0:0xffffffff"',
      '-m u32 --u32 "6&0xff=17 && 29=0:0xffffffff"',
      '-m u32 ! --u32 "6&0xff=6 && 29=0:0xffffffff"',
    ],
    [
      [say('abcd'), [1, 3, 5, 7, 9]],
      [say('abcde'), [1, 2, 5, 7, 8, 9]],
      [say('abc'), [3, 5, 7, 9]],
    ],
  );
  rules(
    'a TCP header, its options and a payload',
    4,
    [
      '-p tcp -m u32 --u32 "0>>22&0x3c@12>>26&0x3c=20"',
      '-p tcp -m u32 --u32 "0>>22&0x3c@12>>26&0x3c@0=0x47455420"',
      '-p tcp -m u32 ! --u32 "0>>22&0x3c@12>>26&0x3c@0=0x47455420"',
      '-p tcp -m u32 --u32 "32>>16&0xff=0x12"',
    ],
    [
      [{ ...FROM_OUTSIDE, flags: 'SYN,ACK', payload: 'GET /' }, [1, 2, 4]],
      [{ ...FROM_OUTSIDE, flags: 'ACK', payload: 'PUT /' }, [1, 3]],
    ],
  );
  rules(
    'bits that are not known leave it open',
    4,
    ['-m u32 --u32 "28=0x6e657477"', '-p tcp -m u32 --u32 "24=1000"', '-p tcp -m u32 --u32 "32>>16&0xff=2"', '-m u32 --u32 "10&0xffff=0:0x7fffffff"'],
    [
      [{ ...FROM_OUTSIDE, proto: 'udp' }, [1, 4], 'open'],
      [FROM_OUTSIDE, [2, 3, 4], 'open'],
    ],
  );
  rules(
    'shifts of 32 and more',
    4,
    ['-m u32 --u32 "12<<31=0"', '-m u32 --u32 "12>>31=0"', '-m u32 --u32 "16>>0=0x0a010001"', '-m u32 --u32 "16<<0=0x0a010001"'],
    [[HELLO, [1, 2, 3, 4]]],
  );
  rules(
    'IPv6: fields of its header',
    6,
    [
      '-m u32 --u32 "0>>28=6"',
      '-m u32 --u32 "4>>8&0xff=17"',
      '-m u32 --u32 "4&0xff=63"',
      '-m u32 --u32 "4>>16=13"',
      '-m u32 --u32 "40>>16=40000"',
      '-m u32 ! --u32 "8=0xfd000008"',
    ],
    [
      [say6('Hello'), [1, 2, 3, 4, 5]],
      [say6('Hell', { src: 'fd00:9::8', sport: 1 }), [1, 2, 3, 6]],
    ],
  );
});

describeRules('ECN', ({ rules, whole }) => {
  const tcp = (flags: string, tos = 0): Shot => ({ ...FROM_OUTSIDE, flags, tos, sport: 41000 });
  for (const family of [4, 6] as const) {
    const from = (shot: Shot): Shot => (family === 4 ? shot : { ...shot, src: FROM_OUTSIDE6.src!, dst: FROM_OUTSIDE6.dst });
    const six = family === 6;
    const rulings: readonly (readonly [Shot, readonly number[]])[] = [
      [tcp('SYN'), [2, 4, 5, 8]],
      [tcp('SYN,ECE'), [1, 4, 5, 8]],
      [tcp('ACK,CWR', 1), [2, 3, 7, 8]],
      [tcp('SYN,ECE,CWR', 2), [1, 3, 6, 8]],
      [tcp('ACK', 3), [2, 4, 9]],
      [tcp('ACK', 0xff), [2, 4, 9]],
      [tcp('ACK', 0xfc), [2, 4, 5, 8]],
      [{ ...FROM_OUTSIDE, proto: 'udp', tos: 1 }, [7, 8]],
    ];
    rules(
      'tcp flags and the IP codepoint',
      family,
      [
        '-p tcp -m ecn --ecn-tcp-ece',
        '-p tcp -m ecn ! --ecn-tcp-ece',
        '-p tcp -m ecn --ecn-tcp-cwr',
        '-p tcp -m ecn ! --ecn-tcp-cwr',
        '-m ecn --ecn-ip-ect 0',
        '-m ecn --ecn-ip-ect 2',
        '-m ecn --ecn-ip-ect 1',
        '-m ecn ! --ecn-ip-ect 3',
        '-m ecn --ecn-ip-ect 3',
      ],
      rulings.map(([shot, numbers]): Ruling => [from(shot), numbers]),
    );
    rules(
      'several at once',
      family,
      [
        '-p tcp -m ecn --ecn-tcp-ece --ecn-tcp-cwr --ecn-ip-ect 2',
        '-p tcp -m ecn ! --ecn-tcp-ece --ecn-tcp-cwr',
        '-p tcp -m ecn ! --ecn-tcp-ece ! --ecn-ip-ect 0',
      ],
      [
        [from(tcp('SYN,ECE,CWR', 2)), [1]],
        [from(tcp('SYN,CWR', 2)), [2, 3]],
        [from(tcp('SYN', 2)), [3]],
        [from(tcp('SYN', 0)), []],
      ],
    );
    if (six) continue;
    const look = ['-p tcp -m ecn --ecn-tcp-ece', '-p tcp -m ecn --ecn-tcp-cwr', ...[0, 1, 2, 3].map((n) => `-m ecn --ecn-ip-ect ${n}`)].map(
      (m) => `-A POSTROUTING ${m}`,
    );
    for (const [target, told] of [
      ['--ecn-tcp-remove', [/POSTROUTING 3 ->/, /POSTROUTING 5 ->/]],
      [
        '--ecn-tcp-ece 1',
        [/FORWARD 1, mangle POSTROUTING 1, mangle POSTROUTING 3 ->/, /POSTROUTING 1, mangle POSTROUTING 2, mangle POSTROUTING 5 ->/],
      ],
      ['--ecn-tcp-cwr 1 --ecn-tcp-ece 0', [/FORWARD 1, mangle POSTROUTING 2, mangle POSTROUTING 3 ->/, /POSTROUTING 2, mangle POSTROUTING 5 ->/]],
      ['--ecn-ip-ect 3', [/FORWARD 1, mangle POSTROUTING 6 ->/, /POSTROUTING 1, mangle POSTROUTING 2, mangle POSTROUTING 6 ->/]],
      // the tool forgets what was said before --ecn-tcp-remove
      ['--ecn-ip-ect 0 --ecn-tcp-remove', [/FORWARD 1, mangle POSTROUTING 3 ->/, /FORWARD 1, mangle POSTROUTING 5 ->/]],
      ['--ecn-tcp-remove --ecn-ip-ect 1', [/FORWARD 1, mangle POSTROUTING 4 ->/, /FORWARD 1, mangle POSTROUTING 4 ->/]],
      ['--ecn-tcp-ece 0 --ecn-tcp-cwr 0', [/FORWARD 1, mangle POSTROUTING 3 ->/, /FORWARD 1, mangle POSTROUTING 5 ->/]],
      ['--ecn-tcp-ece 0', [/FORWARD 1, mangle POSTROUTING 3 ->/, /FORWARD 1, mangle POSTROUTING 2, mangle POSTROUTING 5 ->/]],
    ] as const)
      whole(`-j ECN ${target}`, 4, { mangle: [`-A FORWARD -p tcp -j ECN ${target}`, ...look] }, [
        [tcp('SYN'), told[0]],
        [tcp('SYN,ECE,CWR', 2), told[1]],
      ]);
    whole(
      '-j ECN --ecn-ip-ect of UDP keeps the rest of the byte',
      4,
      { mangle: ['-A FORWARD -j ECN --ecn-ip-ect 1', '-A POSTROUTING -m tos --tos 0xfd/0xff'] },
      [
        [{ ...FROM_OUTSIDE, proto: 'udp', tos: 0xfe }, /POSTROUTING 1 ->/],
        [{ ...FROM_OUTSIDE, proto: 'udp', tos: 0x02 }, /FORWARD 1 ->/],
      ],
    );
  }
});

// Hours and days away from any boundary that a test could run into.
const NOW = Date.now();
const HOUR = 3600e3;
const DAY = 24 * HOUR;
const at = new Date(NOW).toISOString().slice(0, 19);
const clock = (hours: number): string => new Date(NOW + hours * HOUR).toISOString().slice(11, 16);
const date = (days: number): string => new Date(NOW + days * DAY).toISOString().slice(0, 10);
const NAMES = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const weekday = (days: number): string => NAMES[new Date(NOW + days * DAY).getUTCDay()]!;
const monthday = (days: number): number => new Date(NOW + days * DAY).getUTCDate();
const around = <T>(f: (days: number) => T, from = -1, to = 1): string => Array.from({ length: to - from + 1 }, (_, i) => f(from + i)).join(',');

describeRules('time', ({ rules }) => {
  for (const family of [4, 6] as const) {
    const shot: Shot = family === 4 ? { ...HELLO, at } : { ...say6('Hello'), at };
    rules(
      'hours, over midnight or not',
      family,
      [
        `-m time --timestart ${clock(-6)} --timestop ${clock(6)}`,
        `-m time --timestart ${clock(6)} --timestop ${clock(-6)}`,
        `-m time --timestart ${clock(2)} --timestop ${clock(8)}`,
        `-m time --timestart ${clock(-8)} --timestop ${clock(-2)}`,
        '-m time --timestart 00:00 --timestop 23:59:59',
        `-m time --timestart ${clock(-6)} --timestop ${clock(6)} --kerneltz`,
      ],
      [[shot, [1, 5, 6], 'open']],
    );
    rules(
      'dates',
      family,
      [
        `-m time --datestart ${date(-2)} --datestop ${date(2)}`,
        `-m time --datestart ${date(-9)} --datestop ${date(-2)}`,
        `-m time --datestart ${date(2)} --datestop ${date(9)}`,
        `-m time --datestart ${date(-2)}`,
        `-m time --datestop ${date(-2)}`,
        `-m time --datestop ${date(2)}`,
      ],
      [[shot, [1, 4, 6]]],
    );
    rules(
      'days of the week and of the month, and all others',
      family,
      [
        `-m time --weekdays ${around(weekday)}`,
        `-m time ! --weekdays ${around(weekday)}`,
        `-m time --weekdays ${around(weekday, 2, 5)}`,
        `-m time ! --weekdays ${around(weekday, 2, 5)}`,
        `-m time --monthdays ${around(monthday)}`,
        `-m time ! --monthdays ${around(monthday)}`,
        `-m time --monthdays ${around(monthday, 2, 20)}`,
        `-m time ! --monthdays ${around(monthday, 2, 20)}`,
        `-m time --weekdays ${around(weekday)} --monthdays ${around(monthday)} --timestart ${clock(-6)} --timestop ${clock(6)} --datestop ${date(3)}`,
        `-m time --weekdays ${around(weekday)} --monthdays ${around(monthday, 2, 20)}`,
      ],
      [[shot, [1, 4, 5, 8, 9]]],
    );
  }
  rules(
    'a window over midnight is contiguous from its start',
    4,
    [2, -1].map((day) => `-m time --timestart 00:00:02 --timestop 00:00:01 --weekdays ${around(weekday, day, day + 2)} --contiguous`),
    [[{ ...HELLO, at }, [2]]],
  );
  rules('when nobody says when, it is open', 4, [`-m time --datestart ${date(-2)} --datestop ${date(2)}`], [[HELLO, [1], 'open']]);
});
