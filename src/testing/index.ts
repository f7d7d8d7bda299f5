// For tests of one's own, with vitest and fast-check: random packets and rules, properties, matchers.
export { expectProperty, matchers, type ClaimText, type ExpectOptions } from './expectation.ts';
export { packets } from './packets.ts';
export { ruleSets, rules, type RuleVocabulary } from './rulesets.ts';
export { searchProperty, type SearchOptions } from './search.ts';
