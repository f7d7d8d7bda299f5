// Chance that can be had again: everything random comes from a seed.
/** A reproducible source of choices. */
export class Dice {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** mulberry32: 0 to n - 1. */
  below(n: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 0x100000000) * n);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** Between lo and hi of what `make` gives. */
  some<T>(lo: number, hi: number, make: (i: number) => T): T[] {
    return Array.from({ length: lo + this.below(hi - lo + 1) }, (_, i) => make(i));
  }
}
