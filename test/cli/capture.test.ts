// The capture script: its embedding, its shells, and a node that it reads.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as prettier from 'prettier';
import { describe, expect, it } from 'vitest';
import { readBundle } from '../../src/capture/bundle.ts';
import { captureScript } from '../../src/cli/commands/capture.ts';

const root = join(import.meta.dirname, '../..');
const script = join(root, 'src/cli/capture-script.sh');
const source = readFileSync(script, 'utf8');

async function embedded(): Promise<string> {
  const lines = source.split('\n').map((line) => `  ${JSON.stringify(line)},`);
  const text = [
    '// Made from capture-script.sh, which is the source: `npx vitest run -u test/cli/capture.test.ts` writes this file.',
    '',
    '/** The text of capture-script.sh. */',
    'export const CAPTURE_SCRIPT: string = [',
    ...lines,
    "].join('\\n');",
    '',
  ].join('\n');
  const file = join(root, 'src/cli/capture-script.ts');
  return prettier.format(text, { ...(await prettier.resolveConfig(file)), filepath: file });
}

function has(command: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command]).status === 0;
}

/** The script in a network namespace of its own, where that is possible. */
function canUnshare(): boolean {
  return spawnSync('unshare', ['--net', '--uts', '--pid', '--fork', '--mount-proc', 'true']).status === 0;
}

describe('the capture script', () => {
  it('is embedded as it stands in capture-script.sh', async () => {
    await expect(await embedded()).toMatchFileSnapshot('../../src/cli/capture-script.ts');
    expect(captureScript()).toBe(source);
  });

  it.for(['dash', 'busybox sh', 'bash --posix', 'sh'])('is read by %s without complaint', (shell, context) => {
    const [command = 'sh', ...args] = shell.split(' ');
    if (!has(command)) context.skip(`no ${command} here`);
    const done = spawnSync(command, [...args, '-n', script], { encoding: 'utf8' });
    expect(done.stderr).toBe('');
    expect(done.status).toBe(0);
  });

  it('has nothing for shellcheck to say', (context) => {
    if (!has('shellcheck')) context.skip('no shellcheck here');
    expect(spawnSync('shellcheck', [script], { encoding: 'utf8' }).stdout).toBe('');
  });

  it('never names a command that changes the node', () => {
    const code = source.split('\n').filter((line) => !/^\s*#/.test(line));
    for (const word of [
      /\b(ip|ip6)tables(-\w+)*-restore/,
      /iptables.* -[LAIDFXPN]\b/,
      /\bmodprobe\b/,
      /sysctl -w/,
      /\bip .*\b(add|del|set)\b/,
      /\bipset (add|create|restore)/,
    ])
      expect(code.filter((line) => word.test(line))).toEqual([]);
  });

  it('refuses unknown arguments with a usage line', () => {
    const done = spawnSync('sh', ['-s', '--', '--nonsense'], { input: source, encoding: 'utf8' });
    expect(done.status).toBe(2);
    expect(done.stderr).toContain('usage:');
  });

  it.for(['sh', 'dash', 'busybox sh'])('collects a node and its named namespace under %s, and leaves nothing behind', (shell, context) => {
    const words = shell.split(' ');
    if (!has(words[0] ?? '') || !canUnshare()) context.skip(`no ${shell} here, or no right to make a namespace`);
    const folder = mkdtempSync(join(tmpdir(), 'netwhy-capture-test-'));
    const temporary = mkdtempSync(join(tmpdir(), 'netwhy-capture-tmp-'));
    try {
      // A private /run/netns, so that neither side sees the other's namespaces.
      const inside = [
        'mount -t tmpfs none /run && hostname node-under-test',
        'ip link set lo up && ip link add veth0 type veth peer name veth1',
        'ip netns add pod-a && ip link set veth1 netns pod-a',
        '"$@" -s -- --dir "$FOLDER" < "$SCRIPT"',
      ].join(' && ');
      const done = spawnSync('unshare', ['--net', '--uts', '--mount', '--pid', '--fork', '--mount-proc', 'sh', '-c', inside, 'sh', ...words], {
        encoding: 'utf8',
        env: { ...process.env, FOLDER: folder, SCRIPT: script, TMPDIR: temporary },
      });
      expect(done.stderr).toBe('');
      expect(done.stdout.trim()).toBe(join(folder, 'node-under-test'));
      const files = readdirSync(join(folder, 'node-under-test'));
      expect(files).toEqual(expect.arrayContaining(['uname.txt', 'ip-addr.txt', 'ip-link.txt', 'ip-route.txt', 'ip-rule.txt', 'sysctl.txt']));
      expect(readFileSync(join(folder, 'node-under-test/uname.txt'), 'utf8')).toContain('node-under-test');
      expect(readFileSync(join(folder, 'node-under-test/ip-link.txt'), 'utf8')).toContain('veth0@if');
      expect(readFileSync(join(folder, 'node-under-test/namespaces/pod-a/ss.txt'), 'utf8')).toMatch(/^Netid +State /);
      expect(readdirSync(join(folder, 'node-under-test/namespaces'))).toEqual(['pod-a']);
      expect(readFileSync(join(folder, 'node-under-test/namespaces/pod-a/ip-link.txt'), 'utf8')).toContain('veth1@if');
      expect(readdirSync(temporary)).toEqual([]);
      // And netwhy reads all of it.
      const captured = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((f) => f.isFile());
      const bundle = readBundle(
        captured.map((f) => join(f.parentPath, f.name)).map((f) => ({ path: f.slice(folder.length + 1), text: readFileSync(f, 'utf8') })),
      );
      expect(bundle.findings.filter((f) => f.severity !== 'note')).toEqual([]);
      expect(bundle.files.filter((f) => f.kind === 'unknown')).toEqual([]);
      expect(bundle.namespaces.map((n) => [n.node, n.name])).toEqual([
        ['node-under-test', ''],
        ['node-under-test', 'pod-a'],
      ]);
      expect(Object.keys(bundle.namespaces[0]?.captured ?? {})).toEqual(
        expect.arrayContaining([
          'rules4',
          'rules6',
          'sets',
          'links',
          'addresses',
          'routes4',
          'routes6',
          'rules',
          'sysctls',
          'conntrack',
          'tcpListeners',
          'udpListeners',
        ]),
      );
    } finally {
      rmSync(folder, { recursive: true });
      rmSync(temporary, { recursive: true });
    }
  });

  it("names a pod's namespace as the container runtime does, and an unknown process's by its PID", (context) => {
    if (!canUnshare()) context.skip('no right to make a namespace');
    const folder = mkdtempSync(join(tmpdir(), 'netwhy-capture-test-'));
    try {
      const inside = [
        // named namespaces of the machine are none of this one's
        '[ ! -d /run/netns ] || mount -t tmpfs none /run/netns',
        'mkdir "$FOLDER/bin" "$FOLDER/out" && hostname pods',
        'unshare --net sleep 60 & pod=$!',
        'unshare --net sleep 60 & docker=$!',
        'unshare --net sleep 60 & other=$!',
        'until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done; sleep 0.2',
        'printf \'#!/bin/sh\\ncase $1 in pods) echo abc;; inspectp) printf "%s kube-system_coredns-1";; esac\\n\' $pod > "$FOLDER/bin/crictl"',
        'printf \'#!/bin/sh\\ncase $1 in ps) echo d1 d2;; inspect) [ "$4" = d1 ] && echo "%s /web" || echo "%s /k8s_POD_coredns-1_kube-system_uid_0";; esac\\n\' $docker $pod > "$FOLDER/bin/docker"',
        'printf \'#!/bin/sh\\n\' > "$FOLDER/bin/podman"; chmod +x "$FOLDER"/bin/*',
        'PATH=$FOLDER/bin:$PATH sh -s -- --dir "$FOLDER/out" < "$SCRIPT" >/dev/null',
        'echo pid-$other; kill $pod $docker $other',
      ].join('\n');
      const done = spawnSync('unshare', ['--net', '--uts', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child', 'sh', '-c', inside], {
        encoding: 'utf8',
        env: { ...process.env, FOLDER: folder, SCRIPT: script },
      });
      const names = readdirSync(join(folder, 'out/pods/namespaces')).toSorted();
      expect(names).toEqual(['kube-system_coredns-1', done.stdout.trim(), 'web']);
      const missing = join(folder, 'out/pods/tool-missing.txt');
      expect(existsSync(missing) ? readFileSync(missing, 'utf8') : '').not.toMatch(/crictl|docker|podman/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('leaves the node as it was: no table, no chain, no set comes into being by asking', (context) => {
    if (!canUnshare() || !has('nft')) context.skip('no nft here, or no right to make a namespace');
    const state =
      'nft list ruleset; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null; ipset list -n 2>/dev/null; cut -d" " -f1 /proc/modules 2>/dev/null | sort';
    const inside = `before=$(${state}); sh "$SCRIPT" >/dev/null; after=$(${state}); [ "$before" = "$after" ] || printf '%s\\n---\\n%s\\n' "$before" "$after"`;
    const done = spawnSync('unshare', ['--net', '--pid', '--fork', '--mount-proc', 'sh', '-c', `${inside} | cat`], {
      encoding: 'utf8',
      env: { ...process.env, SCRIPT: script },
    });
    expect(done.stdout).toBe('');
  });

  it('writes a tar whose only folder is the host', (context) => {
    if (!has('tar') || !canUnshare()) context.skip('no tar here, or no right to make a namespace');
    const tar = execFileSync('unshare', ['--net', '--uts', '--pid', '--fork', '--mount-proc', 'sh', '-c', 'hostname tarred; sh -s'], {
      input: source,
    });
    const names = execFileSync('tar', ['-tf', '-'], { input: tar, encoding: 'utf8' }).trim().split('\n');
    expect(names.every((name) => name.startsWith('tarred/'))).toBe(true);
    expect(names).toContain('tarred/ip-addr.txt');
  });
});
