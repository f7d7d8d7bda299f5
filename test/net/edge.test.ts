import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAddr, prefixRange, type Word } from '../../src/net/addr.ts';
import { describeBlock, readCidr } from '../../src/net/edge.ts';
import { prefix } from '../arbitrary/addr.ts';

function big(w: Word): bigint {
  return typeof w === 'number' ? BigInt(w) : w.reduce((sum, part) => (sum << 32n) | BigInt(part), 0n);
}

describe('a block that somebody typed', () => {
  it('is read as the prefix it spells', async () => {
    await fc.assert(
      fc.asyncProperty(prefix, async (p) => {
        expect(await readCidr(`${formatAddr(p.addr)}/${p.length}`)).toEqual(p);
      }),
    );
  });

  it.each([
    ['10.1.2.3/8', '10.0.0.0', 8],
    ['10.1.2.3', '10.1.2.3', 32],
    ['10.0.0.0/255.255.0.0', '10.0.0.0', 16],
    ['fd00::1/64', 'fd00::', 64],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1', 128],
  ])('%s is the block %s of length %i', async (text, first, length) => {
    const block = await readCidr(text);
    expect('addr' in block && [formatAddr(block.addr), block.length]).toEqual([first, length]);
  });

  it.each([
    ['010.0.0.1', 'a leading zero (write 10.0.0.1)'],
    ['1.2.3', '3 parts instead of four'],
    ['10', '1 part instead of four'],
    ['0x10.0.0.1', "unexpected 'x'"],
    ['10.0.0.0/-1', 'is not a prefix length'],
    ['10.0.0.0/33', 'is longer than the 32 bits'],
    ['1.2.3.4/08', 'no leading zero'],
    ['10.0.0.0/255.0.255.0', 'a mask with holes'],
    ['fe80::1%eth0/64', 'a zone does not belong here'],
    ['', 'an empty part'],
  ])('%j is refused, although netmask or ip-num may take it', async (text, why) => {
    expect(await readCidr(text)).toMatchObject({ error: expect.stringContaining(why) as string });
  });

  it('is refused with the plain spelling where the two readers differ', async () => {
    expect(await readCidr('10.0.0.0/0.0.0.0')).toEqual({
      error: "'10.0.0.0/0.0.0.0' does not mean the same to every tool; write 0.0.0.0/0",
      column: 0,
    });
  });
});

describe('a block in a report', () => {
  it('has the ends and the size that our own words give it', async () => {
    await fc.assert(
      fc.asyncProperty(prefix, async (p) => {
        const [first, last] = prefixRange(p);
        expect(await describeBlock(p)).toEqual({ first: formatAddr(first), last: formatAddr(last), size: big(last) - big(first) + 1n });
      }),
    );
  });
});
