// SipHash, as the kernel's hash tables use it: lib/siphash.c.

const INITIAL = [0x736f6d6570736575n, 0x646f72616e646f6dn, 0x6c7967656e657261n, 0x7465646279746573n] as const;

const add = (a: bigint, b: bigint): bigint => BigInt.asUintN(64, a + b);
const rotate = (a: bigint, by: bigint): bigint => BigInt.asUintN(64, a << by) | (a >> (64n - by));

/** hsiphash_1u32(): SipHash-1-3 of one word, of which 32 bits are left. So where a `long` has 64 bits; 32-bit kernels have another function here. */
export function hsiphash(word: number, key: readonly [bigint, bigint]): number {
  let [v0, v1, v2, v3] = INITIAL.map((v, i) => v ^ key[i & 1]!) as [bigint, bigint, bigint, bigint];
  const round = (): void => {
    v0 = add(v0, v1);
    v1 = rotate(v1, 13n) ^ v0;
    v0 = rotate(v0, 32n);
    v2 = add(v2, v3);
    v3 = rotate(v3, 16n) ^ v2;
    v0 = add(v0, v3);
    v3 = rotate(v3, 21n) ^ v0;
    v2 = add(v2, v1);
    v1 = rotate(v1, 17n) ^ v2;
    v2 = rotate(v2, 32n);
  };
  const last = (4n << 56n) | BigInt(word); // four bytes, and how many they are
  v3 ^= last;
  round();
  v0 ^= last;
  v2 ^= 0xffn;
  round();
  round();
  round();
  return Number(BigInt.asUintN(32, v0 ^ v1 ^ v2 ^ v3));
}
