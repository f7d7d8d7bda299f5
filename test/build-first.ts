// Before the tests: dist/netwhy.js is built again when a source is newer, so that tests of the bin never see an old one.
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = join(root, 'dist/netwhy.js');

function modified(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function newestSource(): number {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).map((f) => join(root, 'src', f));
  return Math.max(...[...sources, join(root, 'rolldown.config.ts'), join(root, 'package.json')].map(modified));
}

export function setup(): void {
  if (modified(bin) > newestSource()) return;
  try {
    // the library too: a test in scenarios/ uses it as a package
    execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', '.'], { cwd: root, stdio: 'pipe' });
    execFileSync(process.execPath, [join(root, 'node_modules/rolldown/bin/cli.mjs'), '-c', 'rolldown.config.ts'], { cwd: root, stdio: 'pipe' });
  } catch (error) {
    // Only the tests of the bin need it; they find no file, and this says why.
    rmSync(bin, { force: true });
    const { stdout, stderr } = error as { stdout?: Buffer; stderr?: Buffer };
    console.error(`dist/netwhy.js could not be built:\n${stdout?.toString() ?? ''}${stderr?.toString() ?? String(error)}`);
  }
}
