// How long until a node with kube-proxy in nftables mode can be asked: 100,000 rules and a map of 50,000 elements, in words and in JSON.
// Each reading has a process of its own, so that its memory is its own; they take turns. Beside them: JSON.parse of the same rules, which
// gives no model yet. With NFT=1 also nft itself, which checks the words (`nft -c`, as root): that takes minutes.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ask, isMisunderstood, trace } from '../src/index.ts';
import { load } from '../src/cli/load.ts';

const SERVICES = Number(process.env['SERVICES'] ?? 25_000);
const ROUNDS = 5;

const numbers = Array.from({ length: SERVICES }, (_, i) => i);
const vip = (i: number): string => `10.${96 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
const pod = (i: number): string => `10.${200 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
const name = (i: number): string => `${(i * 2654435761).toString(36).toUpperCase()}-ns/svc${i}/tcp/http`;

/** Two ports of a service, which lead to one chain; a chain of two rules for it, and one of two for its endpoint. */
function words(): string {
  const elements = numbers.flatMap((i) => [80, 443].map((port) => `${vip(i)} . tcp . ${port} : goto service-${name(i)}`));
  const chains = numbers.flatMap((i) => [
    `\tchain service-${name(i)} {\n\t\tip daddr ${vip(i)} tcp dport 80 ip saddr != 10.200.0.0/14 jump mark-for-masquerade\n\t\tnumgen random mod 1 vmap { 0 : goto endpoint-${name(i)} }\n\t}\n`,
    `\tchain endpoint-${name(i)} {\n\t\tip saddr ${pod(i)} jump mark-for-masquerade\n\t\tmeta l4proto tcp dnat to ${pod(i)}:8080\n\t}\n`,
  ]);
  return `table ip kube-proxy {
\tmap service-ips {
\t\ttype ipv4_addr . inet_proto . inet_service : verdict
\t\telements = { ${elements.join(',\n\t\t\t     ')} }
\t}

\tchain nat-prerouting {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\tip daddr . meta l4proto . th dport vmap @service-ips
\t}

\tchain mark-for-masquerade {
\t\tmeta mark set meta mark | 0x00004000
\t}

${chains.join('\n')}}
`;
}

function json(): string {
  const table = { family: 'ip', table: 'kube-proxy' };
  const field = (protocol: string, of: string): unknown => ({ payload: { protocol, field: of } });
  const match = (left: unknown, right: unknown, op = '=='): unknown => ({ match: { op, left, right } });
  const mark = { meta: { key: 'mark' } };
  let handle = 10;
  const rule = (chain: string, ...expr: unknown[]): unknown => ({ rule: { ...table, chain, handle: handle++, expr } });
  const items: unknown[] = [
    { metainfo: { version: '1.0.6', release_name: 'Lester Gooch #5', json_schema_version: 1 } },
    { table: { family: 'ip', name: 'kube-proxy', handle: 1 } },
    {
      map: {
        ...table,
        name: 'service-ips',
        type: ['ipv4_addr', 'inet_proto', 'inet_service'],
        handle: 2,
        map: 'verdict',
        elem: numbers.flatMap((i) => [80, 443].map((port) => [{ concat: [vip(i), 'tcp', port] }, { goto: { target: `service-${name(i)}` } }])),
      },
    },
    { chain: { ...table, name: 'nat-prerouting', handle: 3, type: 'nat', hook: 'prerouting', prio: -100, policy: 'accept' } },
    { chain: { ...table, name: 'mark-for-masquerade', handle: 4 } },
    ...numbers.flatMap((i) => ['service', 'endpoint'].map((kind) => ({ chain: { ...table, name: `${kind}-${name(i)}`, handle: handle++ } }))),
    rule('nat-prerouting', {
      vmap: { key: { concat: [field('ip', 'daddr'), { meta: { key: 'l4proto' } }, field('th', 'dport')] }, data: '@service-ips' },
    }),
    rule('mark-for-masquerade', { mangle: { key: mark, value: { '|': [mark, 0x4000] } } }),
    ...numbers.flatMap((i) => [
      rule(
        `service-${name(i)}`,
        match(field('ip', 'daddr'), vip(i)),
        match(field('tcp', 'dport'), 80),
        match(field('ip', 'saddr'), { prefix: { addr: '10.200.0.0', len: 14 } }, '!='),
        { jump: { target: 'mark-for-masquerade' } },
      ),
      rule(`service-${name(i)}`, {
        vmap: { key: { numgen: { mode: 'random', mod: 1, offset: 0 } }, data: { set: [[0, { goto: { target: `endpoint-${name(i)}` } }]] } },
      }),
      rule(`endpoint-${name(i)}`, match(field('ip', 'saddr'), pod(i)), { jump: { target: 'mark-for-masquerade' } }),
      rule(`endpoint-${name(i)}`, match({ meta: { key: 'l4proto' } }, 'tcp'), { dnat: { addr: pod(i), port: 8080 } }),
    ]),
  ];
  return JSON.stringify({ nftables: items });
}

interface Taken {
  /** Milliseconds until the rules are read, and until the first question is answered. */
  readonly read: number;
  readonly answer: number;
  /** Megabytes. */
  readonly rss: number;
}

/** In a process of its own: reads a folder and answers a question about its last service. */
async function once(folder: string): Promise<Taken> {
  const start = performance.now();
  const { world } = await load(folder);
  const rules = world.namespaces[0]!.tables.reduce((n, t) => n + Object.values(t.chains).reduce((m, c) => m + c.rules.length, 0), 0);
  const read = performance.now() - start;
  if (rules !== SERVICES * 4 + 2) throw new Error(`${rules} rules were read of ${SERVICES * 4 + 2}`);
  const asked = ask(world, { from: '192.0.2.9', in: 'eth0', to: `${vip(SERVICES - 1)}:443` });
  if (isMisunderstood(asked)) throw new Error(asked.error);
  const to = trace(world, asked).courses[0]?.trace.translated.dst?.to;
  if (to !== `${pod(SERVICES - 1)}:8080`) throw new Error(`the service leads to ${to}`);
  return { read, answer: performance.now() - start - read, rss: process.resourceUsage().maxRSS / 1024 };
}

const [, , folder] = process.argv;
if (folder !== undefined) {
  console.log(JSON.stringify(await once(folder)));
} else {
  const root = mkdtempSync(join(tmpdir(), 'nft-bench-'));
  try {
    const link =
      '1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN\n    inet 127.0.0.1/8 scope host lo\n2: eth0: <BROADCAST,UP,LOWER_UP> mtu 1500 qdisc fq state UP\n    inet 192.0.2.1/24 scope global eth0\n';
    const forms = { words: ['nft-ruleset.txt', words()], JSON: ['nft.json', json()] } as const;
    for (const [form, [file, text]] of Object.entries(forms)) {
      const dir = join(root, form, 'node');
      spawnSync('mkdir', ['-p', dir]);
      writeFileSync(join(dir, file), text);
      writeFileSync(join(dir, 'ip-addr.txt'), link);
      writeFileSync(join(dir, 'ip-route.txt'), 'default via 192.0.2.254 dev eth0\n192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.1\n');
      writeFileSync(join(dir, 'sysctl.txt'), 'net.ipv4.ip_forward = 1\n');
    }
    const taken: Record<string, Taken[]> = {};
    const parse: number[] = [];
    const check: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (const [form, [file]] of Object.entries(forms)) {
        const run = spawnSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), join(root, form, 'node')], {
          encoding: 'utf8',
        });
        if (run.status !== 0) throw new Error(run.stderr);
        (taken[form] ??= []).push(JSON.parse(run.stdout) as Taken);
        if (form === 'JSON') {
          const start = performance.now();
          JSON.parse(forms.JSON[1]);
          parse.push(performance.now() - start);
        } else if (round === 0 && process.env['NFT'] !== undefined) {
          const start = performance.now();
          if (spawnSync('unshare', ['-n', 'nft', '-c', '-f', join(root, form, 'node', file)]).status === 0) check.push(performance.now() - start);
        }
      }
    }
    const tell = (what: string, list: readonly number[], unit: string): void => {
      const sorted = list.toSorted((a, b) => a - b);
      const at = (i: number): string => sorted[i]!.toFixed(0).padStart(6);
      if (sorted.length > 0)
        console.log(`  ${what.padEnd(34)}${at(0)} to ${at(sorted.length - 1)} ${unit}, median ${at(sorted.length >> 1)}  (${sorted.length} runs)`);
    };
    console.log(`${SERVICES * 4 + 2} rules, ${SERVICES * 2} elements in one map, ${ROUNDS} rounds`);
    for (const [form, [file]] of Object.entries(forms)) {
      console.log(` ${form}: ${(statSync(join(root, form, 'node', file)).size / 1e6).toFixed(1)} MB`);
      tell(
        'reading',
        taken[form]!.map((t) => t.read),
        'ms',
      );
      tell(
        'first answer after that',
        taken[form]!.map((t) => t.answer),
        'ms',
      );
      tell(
        'memory of the process',
        taken[form]!.map((t) => t.rss),
        'MB',
      );
    }
    tell('JSON.parse alone', parse, 'ms');
    tell('nft -c of the words', check, 'ms');
  } finally {
    rmSync(root, { recursive: true });
  }
}
