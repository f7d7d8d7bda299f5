// One node on the real kernel: probe.py as a child process, one JSON line there and one back.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A TAP whose far end is the harness, unless `kind` names another sort of device. */
export interface Device {
  readonly name: string;
  readonly addrs?: readonly string[];
  readonly kind?: string;
  readonly mac?: string;
  readonly mtu?: number;
  /** false: it stays down, as kube-ipvs0 does. */
  readonly up?: false;
}

/** Rules and sets, as the tools print them. */
export interface Ruleset {
  readonly ipset?: string;
  readonly legacy?: string;
  readonly nft?: string;
  readonly legacy6?: string;
  readonly nft6?: string;
  /** A script of `nft -f`: tables that iptables knows nothing of. */
  readonly ruleset?: string;
  /** Lines of `ipvsadm -R`; a guest's kernel has it. */
  readonly ipvs?: string;
  /** What is loaded before the others (legacy). */
  readonly first?: 'legacy' | 'nft' | 'ruleset';
}

export interface Load extends Ruleset {
  readonly devs: readonly Device[];
  /** Lines of `ip -batch`. */
  readonly ip?: readonly string[];
  readonly sysctls?: Readonly<Record<string, number>>;
}

/** A packet: it arrives by `iif`, or a socket of the node sends it. */
export interface Shot {
  readonly iif?: string;
  readonly local?: true;
  readonly src?: string;
  readonly dst: string;
  /** Default tcp. */
  readonly proto?: string;
  readonly sport?: number;
  readonly dport?: number;
  /** Default SYN. */
  readonly flags?: string;
  readonly type?: number;
  readonly code?: number;
  readonly id?: number;
  /** The numbers of a TCP packet: acknowledged, and its own (1000). */
  readonly ack?: number;
  readonly seq?: number;
  readonly ttl?: number;
  readonly tos?: number;
  readonly mark?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mac?: string;
  /** UDP that arrives: so many bytes of payload, and not to be fragmented. */
  readonly pad?: number;
  /** Behind the layer-4 header, as `--payload` writes it; TCP, UDP and echo messages. */
  readonly payload?: string;
  /** What follows the IP header, in hexadecimal: netwhy is told of `proto` alone. */
  readonly body?: string;
  /** When it is there, as `--at` writes it; the kernel has its own clock. */
  readonly at?: string;
  /** Sent with a header of our making, so with any flags. */
  readonly raw?: true;
  /** The packet that an ICMP error is about. */
  readonly inner?: Shot;
  /** Lines of `ipvsadm -R` that are run before it. */
  readonly edit?: string;
}

export interface Header {
  readonly src: string;
  readonly dst: string;
  readonly proto: number;
  readonly ttl: number;
  readonly sport?: number;
  readonly dport?: number;
  readonly type?: number;
  readonly code?: number;
  readonly id?: number;
  readonly seq?: number;
  /** TCP flag bits. */
  readonly flags?: number;
  /** The packet that an ICMP error is about. */
  readonly inner?: Header;
}

/** What the kernel did with a packet. */
export interface Sighting {
  readonly fate: 'sent' | 'local' | 'gone';
  readonly device?: string;
  /** The rules that matched, in the kernel's order. */
  readonly path: readonly {
    readonly by: 'legacy' | 'nft';
    readonly family: number;
    readonly table: string;
    readonly chain: string;
    readonly number: number;
    readonly mark: number;
  }[];
  /** As it began, and as it ended where it did not vanish. */
  readonly first?: Header & { readonly length: number };
  readonly last?: Header;
  readonly mark: number;
  /** The packets that the kernel made in answer (REJECT, ICMP errors), as they entered OUTPUT on their first way out. */
  readonly answers: readonly (Header & { readonly oif?: string })[];
  /** What came out besides the packet. */
  readonly frames: readonly (Header & { readonly device: string })[];
  /** Why a socket could not send: ENETUNREACH, ... */
  readonly error?: string;
  /** `conntrack -L` just before. */
  readonly conntrack?: string;
  /** /proc/net/ip_vs and ip_vs_conn just before, where the node has them. */
  readonly servers?: string;
  readonly connections?: string;
  /** What `ipvsadm` prints, by file, where the packet's edit had changed it. */
  readonly saved?: Readonly<Record<string, string>>;
}

/** How packets are sent. */
export interface How {
  /** Connections are forgotten before each. */
  readonly fresh?: boolean;
  /** They are listed before each, by the kernel's file or `conntrack -L`. */
  readonly list?: boolean | 'tool';
  /** `ipset restore` text that is run before each. */
  readonly renew?: string;
  /** A script of `nft -f` that is run before each. */
  readonly renewNft?: string;
  /** `conntrack -I` makes this one before the first. */
  readonly insert?: readonly string[];
}

export interface Node {
  load(load: Load): Promise<void>;
  rules(rules: Ruleset): Promise<void>;
  /** Replaces the rules and sets that are there; sets sysctls, in a guest. */
  swap(rules: Ruleset & Pick<Load, 'sysctls'>): Promise<void>;
  packets(shots: readonly Shot[], how?: How): Promise<readonly Sighting[]>;
  /** What the tools print now, by file name. */
  capture(only?: readonly string[]): Promise<Readonly<Record<string, string>>>;
  forget(): Promise<void>;
  run(command: readonly string[], given?: string): Promise<string>;
  close(): Promise<void>;
}

/** Starts a node without anything. It has no name and dies with the child process, however that ends. */
export function openNode(): Node {
  const child = spawn('python3', ['-B', join(import.meta.dirname, 'probe.py')], { stdio: ['pipe', 'pipe', 'pipe'] });
  const waiting: { resolve: (line: string) => void; reject: (problem: Error) => void }[] = [];
  let complaint = '';
  let ended = false;
  child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.resolve(line));
  const gone = new Promise<void>((resolve) => {
    const end = (problem: string): void => {
      ended = true;
      for (const w of waiting.splice(0)) w.reject(new Error(`probe.py ${problem}: ${complaint.trim()}`));
      resolve();
    };
    child.on('error', (error) => end(error.message));
    child.on('close', (code) => end(`ended with ${String(code)}`));
  });
  child.stdin.on('error', () => {}); // told by 'close'

  const exchange = (message: object): Promise<string> =>
    new Promise((resolve, reject) => {
      if (ended) {
        reject(new Error(`probe.py is gone: ${complaint.trim()}`));
        return;
      }
      waiting.push({ resolve, reject });
      child.stdin.write(`${JSON.stringify(message)}\n`);
    });

  return nodeOf(exchange, async () => {
    if (!ended) child.stdin.end(`${JSON.stringify({ op: 'quit' })}\n`);
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(timer);
  });
}

/** A node behind whatever carries messages to probe.py, and its answers back. */
export function nodeOf(exchange: (message: object) => Promise<string>, close: () => Promise<void>): Node {
  async function call<T>(message: object): Promise<T> {
    const reply = JSON.parse(await exchange(message)) as { readonly answer: T; readonly error?: string };
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply.answer;
  }
  return {
    load: (load) => call({ op: 'load', ...load }),
    rules: (rules) => call({ op: 'rules', ...rules }),
    swap: (rules) => call({ op: 'swap', ...rules }),
    packets: (packets, how) => call({ op: 'packets', packets, ...how }),
    capture: (only) => call({ op: 'capture', ...(only && { only }) }),
    forget: () => call({ op: 'forget' }),
    run: (command, given) => call({ op: 'run', command, given }),
    close,
  };
}
