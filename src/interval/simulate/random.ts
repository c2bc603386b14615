/**
 * Chance that can be repeated: sfc32 (Chris Doty-Humphrey, PractRand: 128 bits of state, of which 32 count), seeded by SplitMix32. Every run has
 * a stream of its own, which the seed and the run's number alone decide.
 */

/** A stream of numbers. Its state is three words and a counter; 2³² numbers at least go by before it repeats. */
export class RandomStream {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  constructor(seed: number, run: number) {
    this.restart(seed, run);
  }

  /** Begins the stream of a run: `seed` and `run` are whole numbers from 0 to 2⁵³. */
  restart(seed: number, run: number): void {
    let state = 0;
    const absorb = (word: number) => {
      state = mixed((state + 0x9e3779b9) ^ word);
      return state;
    };
    for (const value of [seed, run]) {
      absorb(value >>> 0);
      absorb(Math.floor(value / 2 ** 32) >>> 0);
    }
    this.#a = absorb(1);
    this.#b = absorb(2);
    this.#c = absorb(3);
    this.#counter = 1;
    // What the generator's author asks for, so that seeds that are near one another have parted.
    for (let i = 0; i < 12; i++) this.next();
  }

  /** A whole number from 0 to 2³² − 1. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A number above 0 and up to 1, with all 53 bits that a number has. */
  uniform(): number {
    const high = this.next() >>> 5;
    return (high * 2 ** 26 + (this.next() >>> 6) + 1) * 2 ** -53;
  }

  /** Exponentially distributed with mean 1. */
  exponential(): number {
    return -Math.log(this.uniform());
  }
}

/** The finaliser of MurmurHash3 (Austin Appleby), as SplitMix32 has it: every bit of the word decides on every other. */
function mixed(word: number): number {
  let x = word >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
