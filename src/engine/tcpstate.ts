// The TCP states of a connection: tcp_conntracks[], net/netfilter/nf_conntrack_proto_tcp.c. Sequence numbers are not part of a
// question: every segment is taken to be in its window.
import type { Truth } from '../model/ruleset.ts';
import type { Direction } from './conntrack.ts';

/** As `conntrack -L` prints them. */
const STATES = ['NONE', 'SYN_SENT', 'SYN_RECV', 'ESTABLISHED', 'FIN_WAIT', 'CLOSE_WAIT', 'LAST_ACK', 'TIME_WAIT', 'CLOSE', 'SYN_SENT2'] as const;
export type TcpState = (typeof STATES)[number];

// One letter a state, in the order of STATES; `!` is an invalid packet, `=` one that is let pass and changes nothing.
const LETTERS = 'NSREFCLTXs';
const NEXT: Readonly<Record<Direction, Readonly<Record<Kind, string>>>> = {
  //         N S R E F C L T X s
  original: {
    syn: 'SS=====SSs',
    synack: '!!=!!!!!!R',
    fin: '!!FFLLLTX!',
    ack: 'E!EECCTTX!',
    rst: '!XXXXXXXXX',
    none: '!!!!!!!!!!',
  },
  reply: {
    syn: '!s!!!!!!!s',
    synack: '!R=======R',
    fin: '!!FFLLLTX!',
    ack: '!=RECCTTX=',
    rst: '!XXXXXXXXX',
    none: '!!!!!!!!!!',
  },
};

type Kind = 'syn' | 'synack' | 'fin' | 'ack' | 'rst' | 'none';

/** get_conntrack_index() */
function kindOf(flags: number): Kind {
  if (flags & 4) return 'rst';
  if (flags & 2) return flags & 16 ? 'synack' : 'syn';
  if (flags & 1) return 'fin';
  return flags & 16 ? 'ack' : 'none';
}

/** The state after a segment with these flags; 'invalid' when the segment cannot come in this state. */
export function tcpNext(state: TcpState, flags: number, direction: Direction): TcpState | 'invalid' {
  const letter = NEXT[direction][kindOf(flags)][STATES.indexOf(state)]!;
  return letter === '!' ? 'invalid' : letter === '=' ? state : STATES[LETTERS.indexOf(letter)]!;
}

/**
 * A SYN that begins a connection anew where the old one was closed (NF_REPEAT in nf_conntrack_tcp_packet()). In CLOSE it depends
 * on a FIN seen before, or on who sent the last RST: neither is listed.
 */
export function reopens(state: TcpState, flags: number, direction: Direction): Truth {
  if (direction !== 'original' || kindOf(flags) !== 'syn') return false;
  return state === 'CLOSE' ? 'unknown' : state === 'TIME_WAIT';
}

export function isTcpState(text: string): text is TcpState {
  return (STATES as readonly string[]).includes(text);
}
