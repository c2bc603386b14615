/** The place in the data of a training loop of one's own. */
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';
import { assertKnown } from '../../known-options.js';
import { count, oneOf } from '../../manager/options.js';
import { assertSameFacts, type FitFacts } from './facts.js';
import { shuffle } from './order.js';
import { Alea, toSeed } from './random.js';

/** Options of {@link DataCursor}. */
export interface DataCursorOptions {
  /** How many samples there are. */
  readonly samples: number;
  /** Samples of a batch; the last one of an epoch may have fewer. */
  readonly batchSize: number;
  /** What the order of every epoch follows from. */
  readonly seed: string | number;
  /** Whether every epoch has an order of its own. Default true. */
  readonly shuffle?: boolean | undefined;
  /** Whether the rest of an epoch that fills no batch is left out. Default false. */
  readonly dropRemainder?: boolean | undefined;
}

/** One batch of an epoch. */
export interface CursorBatch {
  /** From 0. */
  readonly epoch: number;
  /** Its number within the epoch, from 0. */
  readonly batch: number;
  /** Which samples it consists of: for `tf.gather(x, tf.tensor1d(indices, 'int32'))`. */
  readonly indices: Int32Array;
  /** Whether the epoch ends with it. */
  readonly isLast: boolean;
}

const KEYS = ['samples', 'batchSize', 'seed', 'shuffle', 'dropRemainder'] as const satisfies readonly (keyof DataCursorOptions)[];

/**
 * Goes through samples in batches, epoch after epoch, each in an order that follows from the seed and the epoch alone; its `position` is a few numbers of JSON, to
 * be saved with a checkpoint (`dataPosition`) and restored.
 */
export class DataCursor {
  /** How many batches an epoch has. */
  readonly batchesPerEpoch: number;
  private readonly facts: FitFacts;
  private readonly options: { readonly samples: number; readonly batchSize: number; readonly shuffle: boolean };
  private readonly seed: string;
  private at = { epoch: 0, batch: 0 };
  private order: { readonly epoch: number; readonly indices: Int32Array } | undefined;

  /** Throws `ERR_INVALID_ARGUMENT`, `ERR_UNKNOWN_OPTION`. */
  constructor(given: DataCursorOptions) {
    assertKnown('DataCursor', given, KEYS);
    const { samples, batchSize, shuffle: shuffles = true, dropRemainder = false } = given;
    count('samples', samples, 1, 2 ** 31 - 1);
    count('batchSize', batchSize, 1);
    oneOf('shuffle', shuffles, [true, false]);
    oneOf('dropRemainder', dropRemainder, [true, false]);
    this.seed = toSeed('DataCursor', given.seed);
    this.options = { samples, batchSize, shuffle: shuffles };
    this.facts = { samples, batchSize, shuffle: shuffles, dropRemainder, seed: this.seed };
    this.batchesPerEpoch = dropRemainder ? Math.floor(samples / batchSize) : Math.ceil(samples / batchSize);
    if (this.batchesPerEpoch === 0) {
      throw new HoldfastError(
        'ERR_INVALID_ARGUMENT',
        `${samples} samples fill no batch of ${batchSize}, and dropRemainder leaves them out.`,
      );
    }
  }

  /** The epoch of the batch that comes next. */
  get epoch(): number {
    return this.at.epoch;
  }

  /** How many batches of that epoch are done. */
  get batch(): number {
    return this.at.batch;
  }

  /** The next batch; after the last one of an epoch comes the first one of the next. */
  nextBatch(): CursorBatch {
    const { epoch, batch } = this.at;
    const { batchSize } = this.options;
    const indices = this.orderOf(epoch).slice(batch * batchSize, (batch + 1) * batchSize);
    const isLast = batch + 1 === this.batchesPerEpoch;
    this.at = isLast ? { epoch: epoch + 1, batch: 0 } : { epoch, batch: batch + 1 };
    return { epoch, batch, indices, isLast };
  }

  /** Where it is, as JSON. */
  get position(): Json {
    return { ...this.at, of: this.facts };
  }

  /**
   * Goes to where `position` was read. Throws `ERR_RUN_MISMATCH` if that was of other data or in other batches, `ERR_STATE` for what is no position.
   */
  restore(position: Json): void {
    const { epoch, batch, of } = (position ?? {}) as { readonly epoch?: number; readonly batch?: number; readonly of?: FitFacts };
    const isPlace = [epoch, batch].every((each) => Number.isSafeInteger(each) && (each as number) >= 0);
    if (!isPlace || typeof of !== 'object' || of === null) {
      throw new HoldfastError('ERR_STATE', `This is no position of a DataCursor: ${JSON.stringify(position)}. Give what "position" gave.`);
    }
    assertSameFacts('The cursor', of, this.facts);
    if ((batch as number) >= this.batchesPerEpoch) throw new HoldfastError('ERR_STATE', `An epoch has no batch ${batch}.`);
    this.at = { epoch: epoch as number, batch: batch as number };
  }

  private orderOf(epoch: number): Int32Array {
    if (this.order?.epoch === epoch) return this.order.indices;
    const indices = Int32Array.from({ length: this.options.samples }, (_, i) => i);
    const alea = new Alea(`${this.seed}/epoch ${epoch}`);
    if (this.options.shuffle) shuffle(indices, () => alea.next());
    this.order = { epoch, indices };
    return indices;
  }
}
