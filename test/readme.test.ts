// What the README shows is what the program prints.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { matchesMarkdown, nftMarkdown } from '../src/cli/commands/matches.ts';
import { netwhy } from './cli/bin.ts';

const root = join(import.meta.dirname, '..');

it("the README's trace is the emblem case's answer, line by line", () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const block = /<!-- trace -->\s*```[a-z]*\n(?:\$ [^\n]*\n)?([\s\S]*?)\n```/.exec(readme)?.[1];
  const golden = readFileSync(join(root, 'scenarios/ippool-overlaps-host/expected/pod-to-the-api-server.detailed.txt'), 'utf8');
  expect(block?.trim()).toBe(golden.trim());
});

it("the README's list of matches is the registry's", () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  expect(/<!-- matches -->\n([\s\S]*?)\n<!-- \/matches -->/.exec(readme)?.[1]).toBe(matchesMarkdown().trim());
});

it("the README's list of nft's statements and expressions is the one of the lowering", () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  expect(/<!-- nft -->\n([\s\S]*?)\n<!-- \/nft -->/.exec(readme)?.[1]).toBe(nftMarkdown().trim());
});

it("the README's example of a match is the source's", () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const example = /```ts\n(export const length[\s\S]*?)```/.exec(readme)?.[1];
  expect(example).toBeTruthy();
  expect(readFileSync(join(root, 'src/iptables-parser/packetfield.ts'), 'utf8')).toContain(example!);
});

it.each(['why', 'whatif', 'diff', 'check', 'reach', 'lint'])("the README's netwhy %s prints what it shows", (verb) => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, command = '', shown] = new RegExp(`<!-- ${verb} -->\\s*\`\`\`\\n\\$ netwhy ([^\\n]*)\\n([\\s\\S]*?)\\n\`\`\``).exec(readme) ?? [];
  const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map((m) => m[1] ?? m[2]!);
  expect(words[0]).toBe(verb);
  expect(netwhy(words).out.trimEnd()).toBe(shown);
});
