/**
 * Random numbers of a run that can be saved and restored. TensorFlow.js has no seed for all of it: shuffling, unseeded initializers, dropout, noise and
 * multinomial draw from Math.random, so that is what a generator with state takes the place of.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import seedrandom from 'seedrandom';
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';

/** The random numbers of a whole process, as `installRandom` has put them into the place of `Math.random`. */
export interface RunRandom {
  /** The next number, in [0, 1): what `Math.random()` gives now. */
  next(): number;
  /** Where the sequence is, as JSON of about 100 bytes. */
  readonly state: Json;
  /** Goes on from where `state` was read. Throws `ERR_STATE` for what it cannot have given. */
  restore(state: Json): void;
  /**
   * Puts the former `Math.random` back; doing it again does nothing. Throws `ERR_RANDOM` if something else has taken its place since: take that
   * away first.
   */
  uninstall(): void;
}

/** Names the generator in what is saved. */
const KIND = 'alea';

/** Its state: three fractions and a carry. */
interface AleaState {
  readonly c: number;
  readonly s0: number;
  readonly s1: number;
  readonly s2: number;
}

/** seedrandom's alea, which begins anew at any state that it had. */
export class Alea {
  private generator: seedrandom.prng;

  constructor(seed: string) {
    this.generator = seedrandom.alea(seed, { state: true });
  }

  next(): number {
    return this.generator();
  }

  get state(): Json {
    return { kind: KIND, ...(this.generator.state() as AleaState) };
  }

  /** Throws `ERR_STATE`. */
  restore(state: Json): void {
    const { kind, c, s0, s1, s2 } = (typeof state === 'object' ? (state ?? {}) : {}) as Readonly<Record<string, Json | undefined>>;
    if (kind !== KIND || !Number.isSafeInteger(c) || ![s0, s1, s2].every((part) => typeof part === 'number' && part >= 0 && part < 1)) {
      throw new HoldfastError(
        'ERR_STATE',
        `This is no state of the generator of random numbers: ${JSON.stringify(state)}. Give what "state" gave.`,
      );
    }
    this.generator = seedrandom.alea('', { state: { c, s0, s1, s2 } });
  }
}

/** A seed as text. Throws `ERR_INVALID_ARGUMENT`. */
export function toSeed(where: string, seed: unknown): string {
  if (typeof seed === 'number' && Number.isFinite(seed)) return String(seed);
  if (typeof seed === 'string' && seed !== '') return seed;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `${where} needs a seed, a number or a text that is not empty, not ${String(seed)}.`);
}

/** What of the process draws from a stream of its own. */
const OWN_STREAM = new AsyncLocalStorage<Alea>();

/** Lets `call`, and everything asynchronous that it starts, draw from `stream` instead of the run's sequence, while one is installed. */
export function drawFrom<T>(stream: Alea, call: () => T): T {
  return OWN_STREAM.run(stream, call);
}

/** Those that are in the place of Math.random, each over the one before. */
const INSTALLED: InstalledRandom[] = [];

/**
 * Lets `Math.random` give a sequence that follows from `seed` alone, in the whole process, until `uninstall`. Everything that TensorFlow.js draws without a
 * seed of its own comes from it, in the order in which it is asked for: so build and initialize the model after this call, and restore a state
 * after a model was built or loaded, since that draws numbers too.
 *
 * May be called again while one is installed; the last one counts, and they are uninstalled in the opposite order. Throws `ERR_INVALID_ARGUMENT` for no seed.
 */
export function installRandom(seed: string | number): RunRandom {
  return InstalledRandom.install(toSeed('installRandom', seed));
}

/** The one that counts now, if there is one and nothing else has taken its place. */
export function installedRandom(): InstalledRandom | undefined {
  const last = INSTALLED.at(-1);
  return last?.isInPlace === true ? last : undefined;
}

/** A generator in the place of Math.random. */
export class InstalledRandom implements RunRandom {
  private readonly former = Math.random;
  private readonly alea: Alea;
  private readonly draw = () => (OWN_STREAM.getStore() ?? this).next();
  private installed = true;
  private script: Float64Array | undefined;
  private played = 0;

  private constructor(readonly seed: string) {
    this.alea = new Alea(seed);
    Math.random = this.draw;
  }

  static install(seed: string): InstalledRandom {
    const random = new InstalledRandom(seed);
    INSTALLED.push(random);
    return random;
  }

  next(): number {
    if (this.script !== undefined) {
      const value = this.script[this.played++];
      if (value !== undefined) return value;
      this.script = undefined;
    }
    return this.alea.next();
  }

  get state(): Json {
    return this.alea.state;
  }

  restore(state: Json): void {
    this.alea.restore(state);
    this.script = undefined;
  }

  /** Gives these numbers next, and then goes on from `then`. */
  play(numbers: Float64Array, then: Json): void {
    this.restore(then);
    this.script = numbers;
    this.played = 0;
  }

  /** How many numbers are left of what is played. */
  get unplayed(): number {
    return this.script === undefined ? 0 : this.script.length - this.played;
  }

  /** Whether Math.random is this one. */
  get isInPlace(): boolean {
    return Math.random === this.draw;
  }

  uninstall(): void {
    if (!this.installed) return;
    if (!this.isInPlace) {
      throw new HoldfastError(
        'ERR_RANDOM',
        'Math.random is no longer the one that installRandom has put there, so the former one cannot be put back. Uninstall in the opposite order, and let nothing else replace it meanwhile.',
      );
    }
    this.installed = false;
    INSTALLED.splice(INSTALLED.indexOf(this), 1);
    Math.random = this.former;
  }
}
