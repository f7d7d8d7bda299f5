// A small network on the real kernel: network.py as a child process, one JSON line there and one back.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** One end of a veth pair or a wire. */
export interface End {
  readonly namespace: string;
  readonly device: string;
}

/** A network namespace to build. Lists are arguments of `ip`; rules are texts as the tools print them. */
export interface NamespacePlan {
  readonly name: string;
  readonly links: readonly {
    readonly name: string;
    readonly kind?: string;
    readonly mac?: string;
    readonly mtu?: number;
    readonly up: boolean;
    readonly master?: string;
  }[];
  readonly addresses?: readonly {
    readonly device: string;
    readonly address: string;
    readonly peer?: string;
    readonly broadcast?: string;
    readonly scope?: string;
  }[];
  /** `ip route add` arguments, `-6` first for IPv6. */
  readonly routes?: readonly string[];
  readonly rules?: readonly string[];
  readonly rules6?: readonly string[];
  readonly neighbours?: readonly string[];
  /** Paths below /proc/sys. */
  readonly sysctls?: readonly (readonly [string, string])[];
  readonly ipset?: string;
  readonly legacy?: string;
  readonly legacy6?: string;
  readonly nft?: string;
  readonly nft6?: string;
  readonly nftables?: string;
}

export interface NetworkPlan {
  readonly namespaces: readonly NamespacePlan[];
  readonly veths?: readonly (readonly [End, End])[];
  readonly wires?: readonly { readonly name: string; readonly ends: readonly End[] }[];
}

/** A packet to send: by a socket of the namespace, or, with `device`, as if it came in there. */
export interface Shot {
  readonly namespace: string;
  readonly dst: string;
  readonly src?: string;
  /** Default tcp. */
  readonly proto?: string | number;
  readonly sport?: number;
  readonly dport?: number;
  /** TCP flags, `SYN` by default; other ones come from a raw socket. */
  readonly flags?: string | number;
  readonly type?: number;
  readonly code?: number;
  readonly ttl?: number;
  readonly tos?: number;
  readonly mark?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly device?: string;
  /** Ports on which every namespace answers. */
  readonly listen?: Readonly<Partial<Record<'tcp' | 'udp' | 'sctp', readonly number[]>>>;
  /** Connections of earlier packets stay known. */
  readonly keep?: boolean;
}

export interface Header {
  readonly src: string;
  readonly dst: string;
  readonly proto: number;
  readonly ttl: number;
  readonly tos: number;
  readonly sport?: number;
  readonly dport?: number;
  readonly flags?: number;
  readonly type?: number;
  readonly code?: number;
  readonly id?: number;
}

/** A rule that matched, or, without a number, a chain's policy. */
export interface Place {
  readonly backend: 'legacy' | 'nft';
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly number?: number;
}

/** One walk of a packet through one namespace. */
export interface Pass {
  readonly namespace: string;
  /** Sent by a socket here. */
  readonly local: boolean;
  readonly iif?: string;
  readonly oif?: string;
  readonly entered: Header;
  /** As the trace showed it last. */
  readonly seen: Header;
  /** As it went out. */
  readonly left?: Header;
  /** As a socket here gets it. */
  readonly arrived?: Header;
  readonly mark: number;
  /** The rules that matched, in the kernel's order, of both backends. */
  readonly rules: readonly Place[];
  readonly end: 'delivered' | 'left' | 'dropped' | 'gone';
  /** What dropped it. */
  readonly by?: Place;
  /** The UDP packet in which a VXLAN device carries the packet. */
  readonly outer?: boolean;
}

/** What the kernel did with a packet: the walks of the packet itself, of what answered it, and of ICMP errors about it. */
export interface Observation {
  readonly requests: readonly Pass[];
  readonly replies: readonly Pass[];
  readonly errors: readonly Pass[];
  /** connected, answered, silence, sent (raw), or the name of an error. */
  readonly socket?: string;
  /** Of an adopted network: which counters of thrown away packets grew in which namespace. */
  readonly counters?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export interface Network {
  /** Takes the namespaces that a scenario's build.sh makes; NODE.POD is NODE/POD here. */
  adopt(script: string): Promise<{ readonly namespaces: readonly string[] }>;
  build(plan: NetworkPlan): Promise<{ readonly notes: readonly string[] }>;
  send(shot: Shot): Promise<Observation>;
  run(namespace: string, ...command: readonly string[]): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;
  close(): Promise<void>;
}

/** Starts an empty network. Its namespaces have no names and die with the child process, however that ends. */
export function openNetwork(): Network {
  const child = spawn('python3', ['-B', join(import.meta.dirname, 'network.py')], { stdio: ['pipe', 'pipe', 'pipe'] });
  const waiting: { resolve: (line: string) => void; reject: (problem: Error) => void }[] = [];
  let complaint = '';
  let ended = false;
  child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.resolve(line));
  const gone = new Promise<void>((resolve) => {
    const end = (problem: string): void => {
      ended = true;
      for (const w of waiting.splice(0)) w.reject(new Error(`network.py ${problem}: ${complaint.trim()}`));
      resolve();
    };
    child.on('error', (error) => end(error.message));
    child.on('close', (code) => end(`ended with ${String(code)}`));
  });
  child.stdin.on('error', () => {}); // told by 'close'

  async function call<T>(message: object): Promise<T> {
    if (ended) throw new Error(`network.py is gone: ${complaint.trim()}`);
    const line = await new Promise<string>((resolve, reject) => {
      waiting.push({ resolve, reject });
      child.stdin.write(`${JSON.stringify(message)}\n`);
    });
    const reply = JSON.parse(line) as T & { readonly error?: string };
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply;
  }

  return {
    adopt: (script) => call({ op: 'adopt', script }),
    build: (plan) => call({ op: 'build', ...plan }),
    send: (shot) => call({ op: 'send', ...shot }),
    run: (namespace, ...command) => call({ op: 'run', namespace, command }),
    close: async () => {
      if (!ended) child.stdin.end(`${JSON.stringify({ op: 'quit' })}\n`);
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await gone;
      clearTimeout(timer);
    },
  };
}
