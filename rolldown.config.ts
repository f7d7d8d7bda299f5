// The bin: src/cli and everything it uses in one file, and one lazy file for each package that only some commands need.
import { existsSync, readFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'rolldown';

/** Writes the licences of the packages that were copied into the bundle next to it, as they demand. */
const licences: Plugin = {
  name: 'licences',
  generateBundle(_options, bundle) {
    const modules = Object.values(bundle).flatMap((chunk) => (chunk.type === 'chunk' ? Object.keys(chunk.modules) : []));
    const folders = new Set(modules.flatMap((id) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id) ?? []));
    const notices = [...folders].toSorted().map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as Record<string, string>;
      const file = ['LICENSE', 'LICENSE.md', 'LICENSE.txt'].map((f) => `${folder}/${f}`).find((f) => existsSync(f));
      return `${name} ${version} (${license})\n\n${file ? readFileSync(file, 'utf8').trim() : ''}\n`;
    });
    this.emitFile({ type: 'asset', fileName: 'cli/licences.txt', source: notices.join(`\n${'-'.repeat(80)}\n\n`) });
  },
};

export default defineConfig({
  input: { netwhy: 'src/cli/main.ts' },
  platform: 'node',
  tsconfig: false,
  plugins: [licences],
  output: {
    dir: 'dist',
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'cli/[name].js',
    banner: (chunk) => (chunk.isEntry ? '#!/usr/bin/env node' : ''),
    // Whitespace goes, names stay: a stack trace in a bug report must still name functions.
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
  },
});
