/** mulberry32: a generator whose whole state is one number, so that a checkpoint can hold it. */
export class Random {
  constructor(state) {
    this.state = state >>> 0;
  }

  /** A whole number from 0 to below `limit`. */
  below(limit) {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  /** The numbers 0 … count − 1 in random order. */
  permutation(count) {
    const order = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}
