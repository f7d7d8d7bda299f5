// Many small networks on the real kernel: ground.py as a child process, one JSON line there and one back.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A network namespace to build, in the words of `ip -batch` and `bridge -batch`. */
export interface Place {
  /** `node`, or `node/pod`. */
  readonly name: string;
  /** A wire: nothing of it is captured. */
  readonly unseen?: true;
  /** Settings before its devices are there. */
  readonly first?: Readonly<Record<string, number>>;
  readonly ip: readonly string[];
  readonly bridge?: readonly string[];
  readonly sysctls?: Readonly<Record<string, number>>;
  /** Table to its rules, as iptables-save prints them; `:CHAIN -` or `:CHAIN DROP` first where it is not a base chain that accepts. */
  readonly rules?: Readonly<Record<string, readonly string[]>>;
}

/** Namespace, device and ifindex of one end, and of the other. */
export type Veth = readonly [string, string, number, string, string, number];

/** A network: namespaces, pairs between them, and devices that lead out of it. */
export interface Plan {
  readonly places: readonly Place[];
  readonly veths: readonly Veth[];
  /** Namespace, device, link-layer address. */
  readonly taps: readonly (readonly [string, string, string])[];
}

/** A packet that a socket sends, or, with `device`, that comes in by a tap. */
export interface Shot {
  readonly ns: string;
  readonly device?: string;
  readonly src: string;
  readonly dst: string;
  readonly proto: 'tcp' | 'udp' | 'icmp';
  readonly sport?: number;
  readonly dport?: number;
  readonly flags?: string;
  readonly ttl: number;
  readonly tos: number;
  readonly mark: number;
  /** Filled up to this many bytes, not to be cut. */
  readonly length?: number;
}

export interface Header {
  readonly src: string;
  readonly dst: string;
  readonly proto: number;
  readonly ttl: number;
  readonly tos: number;
  readonly sport?: number;
  readonly dport?: number;
  readonly id?: number;
}

/** What one packet met on its way. */
export interface Way {
  readonly walks: readonly {
    readonly ns: string;
    readonly local: boolean;
    readonly tunnel: boolean;
    readonly rules: readonly (readonly [string, string, number])[];
    readonly mark: number;
    readonly by?: readonly [string, string];
  }[];
  /** Delivered in a namespace, left it by a device, or neither. */
  readonly end: readonly [] | readonly [string] | readonly [string, string];
  readonly final?: Header;
  readonly error?: string;
  /** Copies of it went several ways, their rules are among these, and they arrived there; the first one is answered. */
  readonly flooded?: readonly Pick<Way, 'end' | 'final'>[];
}

export interface Sighting {
  readonly request: Way;
  readonly reply?: Way;
}

/** What the tools printed in each namespace: file name to text. */
export type Captures = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface Ground {
  build(plan: Plan): Promise<Captures>;
  packets(plan: Plan, shots: readonly Shot[]): Promise<Sighting[]>;
  run(ns: string, ...command: readonly string[]): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;
  close(): Promise<void>;
}

const BASES: Readonly<Record<string, readonly string[]>> = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
};

function saved(tables: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(tables)
    .map(([table, lines]) => {
      const heads = lines.filter((l) => l.startsWith(':'));
      const bases = BASES[table]!.map((c) => heads.find((h) => h.startsWith(`:${c} `)) ?? `:${c} ACCEPT`);
      const own = heads.filter((h) => !bases.includes(h));
      return [`*${table}`, ...[...bases, ...own].map((h) => `${h} [0:0]`), ...lines.filter((l) => !l.startsWith(':')), 'COMMIT', ''].join('\n');
    })
    .join('');
}

/** Starts a ground. Its namespaces have no names and die with the child process, however that ends. */
export function openGround(): Ground {
  const child = spawn('python3', ['-B', join(import.meta.dirname, 'ground.py')], { stdio: ['pipe', 'pipe', 'pipe'] });
  const waiting: { resolve: (line: string) => void; reject: (problem: Error) => void }[] = [];
  let complaint = '';
  let ended = false;
  child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.resolve(line));
  const gone = new Promise<void>((resolve) => {
    const end = (problem: string): void => {
      ended = true;
      for (const w of waiting.splice(0)) w.reject(new Error(`ground.py ${problem}: ${complaint.trim()}`));
      resolve();
    };
    child.on('error', (error) => end(error.message));
    child.on('close', (code) => end(`ended with ${String(code)}`));
  });
  child.stdin.on('error', () => {}); // told by 'close'

  async function call<T>(message: object): Promise<T> {
    if (ended) throw new Error(`ground.py is gone: ${complaint.trim()}`);
    const line = await new Promise<string>((resolve, reject) => {
      waiting.push({ resolve, reject });
      child.stdin.write(`${JSON.stringify(message)}\n`);
    });
    const reply = JSON.parse(line) as T & { readonly error?: string };
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply;
  }

  return {
    build: ({ places, veths, taps }) =>
      call({
        op: 'build',
        namespaces: places.map(({ unseen, rules, ...p }) => ({ ...p, ...(unseen && { seen: false }), ...(rules && { rules: saved(rules) }) })),
        veths,
        taps: taps.map(([ns, device]) => [ns, device]),
      }),
    packets: (plan, shots) => {
      const macs = Object.fromEntries(plan.taps.map(([ns, device, mac]) => [`${ns} ${device}`, mac]));
      return call({
        op: 'packets',
        packets: shots.map((s) => ({ ...s, macs, ...(s.device !== undefined && { mac: macs[`${s.ns} ${s.device}`] }) })),
      });
    },
    run: (ns, ...command) => call({ op: 'run', ns, command }),
    close: async () => {
      if (!ended) child.stdin.end();
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await gone;
      clearTimeout(timer);
    },
  };
}
