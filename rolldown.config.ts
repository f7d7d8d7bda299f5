// The bin: src/cli and everything it uses in one file, and one lazy file for each package that only some commands need.
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'rolldown';

const PACKAGE = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/;

/** Writes the licences of the packages that were copied into the bundle next to it, as they demand. */
const licences: Plugin = {
  name: 'licences',
  generateBundle(_options, bundle) {
    const modules = Object.values(bundle).flatMap((chunk) => (chunk.type === 'chunk' ? Object.keys(chunk.modules) : []));
    const folders = new Set(modules.flatMap((id) => PACKAGE.exec(id)?.[0] ?? []));
    const notices = [...folders].toSorted().map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as Record<string, string>;
      const file = ['LICENSE', 'LICENSE.md', 'LICENSE.txt'].map((f) => `${folder}/${f}`).find((f) => existsSync(f));
      return `${name} ${version} (${license})\n\n${file ? readFileSync(file, 'utf8').trim() : ''}\n`;
    });
    this.emitFile({ type: 'asset', fileName: 'cli/licences.txt', source: notices.join(`\n${'-'.repeat(80)}\n\n`) });
  },
};

/** The types of dist/load.js, which the library's own describe. */
const loadTypes: Plugin = {
  name: 'load-types',
  generateBundle() {
    const source = `import type { Scenario, World } from './index.js';

/** Reads a scenario's folder, a folder of captures, a tar or a single dump. Throws an Error that says what cannot be read. */
export declare function load(path: string): Promise<{ readonly world: World; readonly scenario?: Scenario }>;
`;
    this.emitFile({ type: 'asset', fileName: 'load.d.ts', source });
  },
};

const executable: Plugin = {
  name: 'executable',
  writeBundle({ dir }) {
    chmodSync(`${dir}/netwhy.js`, 0o755);
  },
};

export default defineConfig({
  // `load` is for tests of people's own: how the command line reads a scenario
  input: { netwhy: 'src/cli/main.ts', load: 'src/cli/load.ts' },
  platform: 'node',
  tsconfig: false,
  plugins: [licences, loadTypes, executable],
  output: {
    dir: 'dist',
    format: 'esm',
    entryFileNames: '[name].js',
    // Beside tsc's folders of the library, in the one that it does not write.
    chunkFileNames: ({ name, facadeModuleId }) => `cli/${PACKAGE.exec(facadeModuleId ?? '')?.[1]?.replace('/', '-') ?? name}.js`,
    banner: (chunk) => (chunk.isEntry && chunk.name === 'netwhy' ? '#!/usr/bin/env node' : ''),
    // Dead code goes; names and lines stay, so that the stack trace in a bug report says something.
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: false } },
  },
});
