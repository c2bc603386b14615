/**
 * A tf.data pipeline that can be gone through again to where a run was interrupted. It draws from a stream of random numbers of its own, so that what it
 * draws, and how far ahead of training, does not change what training draws.
 */
import { HoldfastError } from '../../errors.js';
import { fingerprintOf, tensorsIn } from './fingerprint.js';
import type { Fingerprint } from './position.js';
import { Alea, drawFrom } from './random.js';

/** What is used of a `tf.data.Dataset`. */
export interface DatasetLike {
  readonly size?: number | null;
  iterator(): Promise<BatchIterator>;
}

export interface BatchIterator {
  next(): Promise<{ readonly value: unknown; readonly done?: boolean }>;
}

/** Where a pipeline is opened. */
export interface EpochOfData {
  /** The epoch, from 0. */
  readonly epoch: number;
  /** Follows from the run's seed and the epoch, the same whenever the run is resumed: `shuffle(1000, seed)`. */
  readonly seed: string;
}

/** Makes the pipeline of one epoch. */
export type DatasetFactory<Data extends DatasetLike = DatasetLike> = (at: EpochOfData) => Data | Promise<Data>;

export interface PipelineOptions {
  readonly source: DatasetLike | DatasetFactory;
  /** What its random numbers follow from. */
  readonly seed: string;
  /** The epoch at which the fit began when it was first called. */
  readonly first: number;
  /** The epoch to begin with now. */
  readonly epoch: number;
  /** Batches of that epoch that are done; the fit goes through them again itself. */
  readonly batch: number;
  /** Where one iterator goes on over all epochs. */
  readonly batchesPerEpoch: number | undefined;
  /** What a batch was when the run was interrupted. */
  readonly expected: Fingerprint | null;
  /** Called if it is another one now. */
  readonly onOtherData: (epoch: number) => void;
}

/** Stands in for the dataset of one fit. */
export class Pipeline implements DatasetLike {
  /** Of the epoch that was begun last. */
  fingerprint: Fingerprint | null;
  /** Iterators that fit has asked for; the first one is asked for before the first epoch. */
  private asked = 0;
  /** Iterators that the source was asked for. */
  private opened = 0;

  private constructor(
    private readonly options: PipelineOptions,
    /** In batches, if it is known. */
    readonly size: number | null,
    private prepared: DatasetLike | undefined,
  ) {
    this.fingerprint = options.expected;
  }

  static async open(options: PipelineOptions): Promise<Pipeline> {
    const { source, epoch } = options;
    if (typeof source !== 'function') return new Pipeline(options, source.size ?? null, undefined);
    const dataset = await makeDataset(source, options, epoch);
    return new Pipeline(options, dataset.size ?? null, dataset);
  }

  async iterator(): Promise<BatchIterator> {
    const { source, first, epoch, batchesPerEpoch } = this.options;
    const asked = this.asked++;
    if (typeof source === 'function') return this.fromFactory(source, asked);
    if (batchesPerEpoch !== undefined) return this.goOn(await this.openIterator(source, 0), batchesPerEpoch);
    // fit asks for one that it does not use, and seeded shuffles count them.
    if (asked === 0) return this.openIterator(source, 0);
    const current = epoch + asked - 1;
    const number = current - first + 1;
    // At the begin of an epoch nothing is gone through again: a look at the one before tells whether the data is the same.
    if (asked === 1 && this.comparesBefore) await this.compareFirst(await this.openIterator(source, number - 1), epoch - 1);
    return this.watched(await this.openIterator(source, number), current);
  }

  /** The iterator of that number; those before it are asked for, too, as they were when the run began. */
  private async openIterator(source: DatasetLike, number: number): Promise<BatchIterator> {
    while (this.opened < number) await this.nextIterator(source);
    return this.nextIterator(source);
  }

  private nextIterator(source: DatasetLike): Promise<BatchIterator> {
    return iterate(source, `${this.options.seed}/iterator ${this.opened++}`);
  }

  private async fromFactory(factory: DatasetFactory, asked: number): Promise<BatchIterator> {
    const { epoch, batchesPerEpoch } = this.options;
    if (asked === 0 && this.comparesBefore) await this.compareFirst(await this.ofEpoch(factory, epoch - 1), epoch - 1);
    if (batchesPerEpoch !== undefined) return this.epochByEpoch(factory, batchesPerEpoch);
    // The first one is not used.
    if (asked === 0) return { next: async () => ({ value: null, done: true }) };
    return this.watched(await this.ofEpoch(factory, epoch + asked - 1), epoch + asked - 1);
  }

  private async ofEpoch(factory: DatasetFactory, epoch: number): Promise<BatchIterator> {
    const { prepared } = this;
    if (epoch === this.options.epoch) this.prepared = undefined;
    const dataset = (epoch === this.options.epoch ? prepared : undefined) ?? (await makeDataset(factory, this.options, epoch));
    return iterate(dataset, `${this.options.seed}/epoch ${epoch}`);
  }

  /** With a factory every epoch has a pipeline of its own. */
  private epochByEpoch(factory: DatasetFactory, batchesPerEpoch: number): BatchIterator {
    let pulled = 0;
    let current: BatchIterator | undefined;
    return {
      next: async () => {
        const epoch = this.options.epoch + Math.floor(pulled / batchesPerEpoch);
        if (pulled % batchesPerEpoch === 0) current = this.watched(await this.ofEpoch(factory, epoch), epoch);
        pulled++;
        return (current as BatchIterator).next();
      },
    };
  }

  /** One iterator for all epochs: what earlier epochs have had is gone through and thrown away. */
  private async goOn(iterator: BatchIterator, batchesPerEpoch: number): Promise<BatchIterator> {
    const { first, epoch } = this.options;
    let pulled = 0;
    const next = async () => {
      const result = await iterator.next();
      if (pulled % batchesPerEpoch === 0) this.look(result.value, first + pulled / batchesPerEpoch);
      pulled++;
      return result;
    };
    while (pulled < (epoch - first) * batchesPerEpoch) {
      const { value, done } = await next();
      dispose(value);
      if (done === true) break;
    }
    return { next };
  }

  /** Takes the fingerprint of its first batch. */
  private watched(iterator: BatchIterator, epoch: number): BatchIterator {
    let isFirst = true;
    return {
      next: async () => {
        const result = await iterator.next();
        if (isFirst) this.look(result.value, epoch);
        isFirst = false;
        return result;
      },
    };
  }

  private get comparesBefore(): boolean {
    const { expected, epoch, batch } = this.options;
    return batch === 0 && expected !== null && expected.epoch === epoch - 1;
  }

  private async compareFirst(iterator: BatchIterator, epoch: number): Promise<void> {
    const { value } = await iterator.next();
    this.look(value, epoch);
    dispose(value);
  }

  private look(value: unknown, epoch: number): void {
    const { expected, onOtherData } = this.options;
    const crc = fingerprintOf(tensorsIn(value));
    if (crc === undefined) return;
    if (expected?.epoch === epoch && expected.crc !== crc) onOtherData(epoch);
    this.fingerprint = { epoch, crc };
  }
}

/** Validation data: of a run that is resumed after `done` validations, with its random numbers from there. */
export function replayedValidation(source: DatasetLike, seed: string, done: number): DatasetLike {
  let opened = 0;
  const next = () => iterate(source, `${seed}/validation ${opened++}`);
  return {
    ...(source.size === undefined ? {} : { size: source.size }),
    iterator: async () => {
      while (opened < done) await next();
      return next();
    },
  };
}

async function iterate(source: DatasetLike, seed: string): Promise<BatchIterator> {
  const stream = new Alea(seed);
  const iterator = await drawFrom(stream, () => source.iterator());
  return { next: () => drawFrom(stream, () => iterator.next()) };
}

async function makeDataset(factory: DatasetFactory, { seed }: PipelineOptions, epoch: number): Promise<DatasetLike> {
  const own = `${seed}/epoch ${epoch}`;
  const dataset = await drawFrom(new Alea(`${own}/making`), () => factory({ epoch, seed: own }));
  if (typeof (dataset as DatasetLike | undefined)?.iterator === 'function') return dataset;
  throw new HoldfastError('ERR_INVALID_ARGUMENT', `The function of fitDataset must give a tf.data.Dataset; for epoch ${epoch} it did not.`);
}

function dispose(value: unknown): void {
  for (const tensor of tensorsIn(value)) tensor.dispose();
}
