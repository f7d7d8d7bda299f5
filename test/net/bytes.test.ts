// Bytes as people write them.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeUtf8, formatBytes, parseBytes } from '../../src/net/bytes.ts';

it('what is printed reads back as the same bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(255)), (bytes) => {
      expect(parseBytes(formatBytes(bytes))).toEqual(bytes);
    }),
  );
});

it('a text is its UTF-8', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(encodeUtf8(text)).toEqual([...Buffer.from(text, 'utf8')]);
    }),
  );
});

it.each([
  ['GET /|0d0a|', [71, 69, 84, 32, 47, 13, 10]],
  ['|00 ff|', [0, 255]],
  ['|0|', undefined],
  ['a|41', undefined],
  ['||', undefined],
])('%s', (text, bytes) => {
  expect(parseBytes(text)).toEqual(bytes);
});
