// The x_tables language by itself: `netwhy/iptables-parser`.
export { readSave, type ReadOptions, type ReadResult } from './lower.ts';
export { parseSave, printSave, type ChainSyntax, type SaveTree, type TableSyntax } from './save.ts';
export { printRule, type RuleSyntax, type UsedMatch, type UsedTarget } from './syntax.ts';
export { extensions, findMatch, findTarget } from './registry.ts';
export type { Context, Extension, Given, MatchExtension, Option, Options, Status, TargetExtension } from './extension.ts';
export { quote, splitWords, type Token, type Tokens } from './words.ts';
