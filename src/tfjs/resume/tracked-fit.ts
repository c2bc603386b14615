/**
 * One call of TensorFlow.js' own `fit` or `fitDataset` that knows at every batch where it is, and can begin at any: it starts at the epoch, is given the order
 * that the epoch had, and goes through the batches that are done once more without training, with the outputs they had. So everything that TensorFlow.js
 * does around training stays as it is.
 */
import type { History, LayersModel, Tensor } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import type { Json } from '../../format/state.js';
import { runTensorName } from '../../tfjs-record/run-tensors.js';
import type { StatefulCallback } from '../callbacks/stateful.js';
import type { Checkpoints, Moment } from './checkpoints.js';
import type { FitFacts } from './facts.js';
import { fingerprintOf, tensorsIn } from './fingerprint.js';
import { type CallbackHooks, type Gatekeeper, gate, inOrder, type Logs, statefulOf } from './gates.js';
import { HistoryRecord } from './history.js';
import { drawsFor, orderFrom, packState, unpackState } from './order.js';
import { BatchOutputs } from './outputs.js';
import type { Pipeline } from './pipeline.js';
import {
  encodePosition,
  encodeRandom,
  encodeRun,
  type Fingerprint,
  type RunPosition,
  type RunRecord,
  type SavedHistory,
} from './position.js';
import type { InstalledRandom } from './random.js';
import type { RunTensors } from './run-tensors.js';
import { warn } from './warnings.js';

export interface TrackedFitOptions {
  readonly model: LayersModel;
  /** Which fit of the run. */
  readonly number: number;
  readonly facts: FitFacts;
  readonly epochs: number;
  /** Those of the caller. */
  readonly callbacks: readonly object[];
  readonly random: InstalledRandom;
  /** What the run's random numbers follow from. */
  readonly seed: string;
  /** Batches trained so far in the run. */
  readonly step: number;
  /** Of the fits before. */
  readonly earlier: readonly SavedHistory[];
  /** Where the fit was interrupted. */
  readonly from: RunRecord | undefined;
  /** Tensors that its callbacks had then, by their state names. Taken out as they are given back. */
  readonly kept: RunTensors;
  readonly checkpoints: Checkpoints;
}

/** Of the model that TensorFlow.js trains, which for a Sequential is one that it keeps inside. */
interface TrainedModel {
  makeTrainFunction(): TrainFunction;
  stopTraining: boolean;
  history: History;
}

type TrainFunction = (data: Tensor[]) => Tensor[];

/** Calls `fit` or `fitDataset` with other callbacks and another first epoch. */
export type StartFit = (changed: { callbacks: object[]; initialEpoch: number }) => Promise<History>;

export class TrackedFit implements Gatekeeper {
  step: number;
  /** The pipeline that feeds it, if it is not arrays. */
  pipeline: Pipeline | undefined;
  private readonly inner: TrainedModel;
  private readonly stateful: Map<unknown, StatefulCallback>;
  private readonly history: HistoryRecord;
  private readonly begins: (readonly number[])[];
  private epoch: number;
  private batch = 0;
  /** Batches of this epoch that have gone through the training function. */
  private passed = 0;
  /** The epoch in the middle of which it begins, and how many of its batches are done. */
  private readonly resumed: { readonly epoch: number; readonly batch: number } | undefined;
  private outputs: BatchOutputs;
  private fingerprint: Fingerprint | null;
  private isFirstEpoch = true;

  constructor(private readonly options: TrackedFitOptions) {
    const { model, callbacks, step, from, facts, earlier, number } = options;
    this.inner = innerModel(model);
    this.step = step;
    this.stateful = statefulOf(callbacks);
    const position = from?.position;
    this.history = new HistoryRecord(from?.run.histories[number - 1] ?? earlier[number - 1]);
    this.begins = [...(position?.begins ?? [])];
    this.epoch = position?.epoch ?? (facts['initialEpoch'] as number);
    this.fingerprint = position?.fingerprint ?? null;
    this.resumed = position === undefined || position.batch === 0 ? undefined : position;
    this.outputs = new BatchOutputs(this.resumed === undefined ? '' : position?.outputs, this.resumed?.batch);
    this.tellOfLostStates();
  }

  /** Trains from where it was to the end; resolves to what `fit` gives, of all epochs. */
  async run(start: StartFit): Promise<History> {
    const { callbacks, epochs, from } = this.options;
    const isOver = from?.position.stopped === true && this.resumed === undefined;
    const putBack = this.replaceTrainFunction();
    try {
      const gates = inOrder(callbacks).map((callback) => gate(callback, this, callbacks));
      const history = await start({ callbacks: [...gates, this.hooks()], initialEpoch: isOver ? epochs : this.epoch });
      this.history.insertInto(history);
      await this.options.checkpoints.afterFit(this.moment({ done: true }));
      return history;
    } finally {
      putBack();
      this.outputs.dispose();
    }
  }

  /** Of this fit so far. */
  get saved(): SavedHistory {
    return this.history.saved;
  }

  isReplayed(batch: number): boolean {
    return this.isResumedEpoch && batch < (this.resumed?.batch ?? 0);
  }

  trainBegun(callback: unknown): void {
    if (this.resumed === undefined) this.restoreState(callback);
  }

  epochBegun(callback: unknown): void {
    // What it keeps of an epoch it has just thrown away.
    if (this.resumed !== undefined && this.isFirstEpoch) this.restoreState(callback);
  }

  private get isResumedEpoch(): boolean {
    return this.resumed !== undefined && this.epoch === this.resumed.epoch;
  }

  private restoreState(callback: unknown): void {
    const stateful = this.stateful.get(callback);
    const state = stateful === undefined ? undefined : this.options.from?.run.callbacks[stateful.stateName];
    if (stateful === undefined || state === undefined) return;
    stateful.setState(state);
    const tensors = this.options.kept.take(stateful.stateName);
    if (tensors.size > 0) stateful.setTensors?.(tensors);
  }

  private tellOfLostStates(): void {
    const names = new Set([...this.stateful.values()].map(({ stateName }) => stateName));
    const lost = Object.keys(this.options.from?.run.callbacks ?? {}).filter((name) => !names.has(name));
    if (lost.length === 0 || this.options.from?.position.done === true) return;
    warn(`The fit was interrupted with callbacks that it does not have now, so it does not go on as it would have: ${lost.join(', ')}.`);
  }

  /** The last callback of the fit: it hears of everything when the caller's have. */
  private hooks(): CallbackHooks {
    const { from, random } = this.options;
    return {
      setParams: () => {},
      setModel: () => {},
      onTrainBegin: async () => {
        // What was drawn until now was drawn before the interruption, too.
        if (from !== undefined) random.restore(from.rng);
      },
      onTrainEnd: async () => {},
      onEpochBegin: async (epoch) => this.beginEpoch(epoch),
      onEpochEnd: async (epoch, logs) => this.endEpoch(epoch, logs),
      onBatchBegin: async () => {},
      onBatchEnd: async (batch) => this.endBatch(batch),
    };
  }

  private beginEpoch(epoch: number): void {
    this.epoch = epoch;
    this.passed = 0;
    this.batch = 0;
    if (this.isFirstEpoch) this.history.insertInto(this.inner.history);
    else this.newOutputs();
    this.chooseOrder();
    this.isFirstEpoch = false;
  }

  /** Sees to it that fit shuffles into the order that the epoch has, or had, and that training then draws what it would have drawn. */
  private chooseOrder(): void {
    const { facts, random, from } = this.options;
    const { begins } = this;
    if (facts['method'] === 'fit' && facts['shuffle'] === true) {
      const isMidway = this.isFirstEpoch && this.resumed !== undefined;
      if (!isMidway) begins.push(packState(random.state));
      if (!this.isFirstEpoch || from === undefined) return;
      const { order, after } = orderFrom(facts['samples'] as number, begins.map(unpackState));
      random.play(drawsFor(order), isMidway ? from.rng : after);
    } else if (from !== undefined && this.isFirstEpoch && this.resumed !== undefined) random.restore(from.rng);
  }

  private async endBatch(batch: number): Promise<void> {
    this.batch = batch + 1;
    if (!this.isReplayed(batch)) {
      this.step++;
      await this.options.checkpoints.afterBatch(this.moment({}));
    } else if (this.batch === this.resumed?.batch && this.options.from?.position.stopped === true) {
      this.inner.stopTraining = true;
    }
  }

  private async endEpoch(epoch: number, logs: Logs): Promise<void> {
    if (this.isResumedEpoch && this.batch < (this.resumed?.batch ?? 0)) {
      throw new HoldfastError(
        'ERR_RUN_MISMATCH',
        `Epoch ${epoch} has ${this.batch} batches now; when the run was interrupted ${this.resumed?.batch} of it were done. Give it the data that it was started with.`,
      );
    }
    const metrics = await this.history.add(epoch, logs);
    this.epoch = epoch + 1;
    this.batch = 0;
    this.newOutputs();
    const isLast = this.epoch >= this.options.epochs || this.inner.stopTraining;
    await this.options.checkpoints.afterEpoch(this.moment({ metrics }), isLast);
  }

  private newOutputs(): void {
    this.outputs.dispose();
    this.outputs = new BatchOutputs();
  }

  /** This moment, to be saved. */
  private moment({ metrics, done = false }: { metrics?: Readonly<Record<string, number>>; done?: boolean }): Moment {
    const { random, seed } = this.options;
    return {
      step: this.step,
      epoch: this.epoch,
      metrics: metrics ?? (done ? this.history.lastMetrics : {}),
      rng: () => {
        if (!random.isInPlace) {
          warn(
            'Math.random was replaced while a resumable run trains, so what it draws cannot be repeated: the run is not exact when it is resumed.',
          );
        }
        return encodeRandom(seed, random.state);
      },
      dataPosition: () => encodePosition(this.position(done)),
      state: () => this.state(),
      tensors: () => this.tensors(),
    };
  }

  private position(done: boolean): RunPosition {
    const { number, facts, epochs } = this.options;
    const { epoch, batch, begins, pipeline } = this;
    const stopped = this.inner.stopTraining === true;
    const fingerprint = pipeline === undefined ? this.fingerprint : pipeline.fingerprint;
    return { fit: number, epoch, batch, stopped, done, epochs, facts, begins, outputs: this.outputs.encoded, fingerprint };
  }

  private tensors(): ReadonlyMap<string, Tensor> {
    return new Map(
      [...this.stateful.values()].flatMap((each) =>
        Object.entries(each.getTensors?.() ?? {}).map(([name, tensor]) => [runTensorName(each.stateName, name), tensor] as const),
      ),
    );
  }

  private state(): Json {
    const callbacks = Object.fromEntries([...this.stateful.values()].map((each) => [each.stateName, each.getState()]));
    return encodeRun({ callbacks, histories: [...this.options.earlier, this.history.saved] });
  }

  /** The training function that fit asks for next is followed; others, as of trainOnBatch in a callback, are not. Gives what takes it back. */
  private replaceTrainFunction(): () => void {
    const { inner } = this;
    const own = Object.getOwnPropertyDescriptor(inner, 'makeTrainFunction');
    const putBack = () => {
      if (own === undefined) Reflect.deleteProperty(inner, 'makeTrainFunction');
      else Object.defineProperty(inner, 'makeTrainFunction', own);
    };
    const make = inner.makeTrainFunction;
    inner.makeTrainFunction = () => {
      putBack();
      const train = make.call(inner);
      return (data) => this.train(train, data);
    };
    return putBack;
  }

  private train(train: TrainFunction, data: Tensor[]): Tensor[] {
    const batch = this.passed++;
    if (this.options.random.unplayed > 0) {
      throw new HoldfastError(
        'ERR_UNSUPPORTED',
        'This TensorFlow.js did not shuffle as expected, or something else drew from Math.random meanwhile, so the order of the interrupted epoch cannot be restored.',
      );
    }
    if (batch === 0 && this.pipeline === undefined) this.lookAt(data);
    if (this.isReplayed(batch)) return this.outputs.replay(batch);
    const outputs = train(data);
    this.outputs.record(outputs);
    return outputs;
  }

  private lookAt(data: readonly Tensor[]): void {
    // Where there are no sample weights, there is null.
    const crc = fingerprintOf(tensorsIn(data));
    if (crc === undefined) return;
    const { epoch } = this;
    if (this.isResumedEpoch && this.fingerprint?.epoch === epoch && this.fingerprint.crc !== crc) warnOfOtherData(epoch);
    this.fingerprint = { epoch, crc };
  }
}

export function warnOfOtherData(epoch: number): void {
  warn(
    `The first batch of epoch ${epoch} is not what it was when the run was interrupted, so training does not go on exactly. Give the same data; shuffle a tf.data pipeline with a seed, or give fitDataset a function that makes the pipeline of an epoch: ({ seed }) => dataset.shuffle(1000, seed).`,
  );
}

/** The model that trains. */
function innerModel(model: LayersModel): TrainedModel {
  const { model: inner } = model as unknown as { readonly model?: TrainedModel };
  return inner ?? (model as unknown as TrainedModel);
}
