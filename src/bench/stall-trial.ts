/** One row of the scenario `stall`: asynchronous saves of one kind of source and one size, watched from outside. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { CheckpointManager, type EngineName, HoldfastError, keep, type StreamedData, type TensorInput } from '../index.js';
import { loadNative } from '../native.js';
import { EventLoopProbe, type Turn } from './event-loop.js';
import { peakBytes, restartPeak } from './memory.js';
import { randomFloats } from './random.js';
import type { StallSource } from './sources.js';
import { median, percentile } from './stats.js';

/** What is to be measured. */
export interface StallTrial {
  readonly source: StallSource;
  /** Of all tensors together; a multiple of 4. */
  readonly bytes: number;
  readonly tensors: number;
  /** Saves that are persisted and measured. One more comes before them. */
  readonly runs: number;
  /** Calls of `saveAsync` in all; those beyond `runs` are taken back at once. */
  readonly calls: number;
  readonly engine: EngineName | 'auto';
  /** Get the memory for copies ready before the first save. */
  readonly reserve: boolean;
  /** Where checkpoints go. */
  readonly directory: string;
}

/** Times in milliseconds, memory in bytes. What cannot be measured on this system is `null`. */
export interface StallRow {
  readonly source: StallSource;
  readonly bytes: number;
  readonly tensors: number;
  readonly engine: EngineName;
  /** Whether every file went past the page cache. */
  readonly direct: boolean;
  readonly runs: number;
  readonly calls: number;
  /** Around `await manager.saveAsync(…)`: the median of the saves that were persisted. */
  readonly stallMsMedian: number;
  /** Of every save that was persisted, in order. */
  readonly stallsMs?: readonly number[];
  /** The 99th percentile and the longest of all calls but the first, those taken back included. */
  readonly stallMsP99: number;
  readonly stallMsMax: number;
  /** Of the first save in the process: code is cold, memory for copies is new. */
  readonly firstStallMs: number;
  /** Copying the same tensors into warm memory on one thread; the median of the copies before and after every save. */
  readonly memcpyMs: number;
  /** Median over the saves of the stall divided by the mean of the two copies around it. */
  readonly stallToMemcpy: number;
  /** From the return of `saveAsync` to the acknowledgement; a median. */
  readonly persistBytesPerSecond: number;
  /** How late a timer of 1 ms ever was from the return of a `saveAsync` to the acknowledgement, and the median over the saves of each one's worst. */
  readonly eventLoopMaxMs: number;
  readonly eventLoopMsMedian: number;
  /** During one more save: milliseconds since its call, and how late a timer of 1 ms was at worst until the next of these moments. */
  readonly eventLoopDelays?: readonly (readonly [atMs: number, lateMs: number])[];
  /** How late it was while nothing was done: what this machine adds by itself. */
  readonly eventLoopIdleMs: number;
  /** How far resident memory rose above what it was before the first save, and, during the later saves, above what it was after the first. */
  readonly extraRssBytes: number | null;
  readonly laterExtraRssBytes: number | null;
  /** Memory for copies after the last save, and how much of it is newer than the first. */
  readonly arenaBytes: number | null;
  readonly laterArenaBytes: number | null;
}

export interface TrialOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes saved so far and what is going on. */
  readonly onProgress?: ((bytes: number, what: string) => void) | undefined;
}

const IDLE_MS = 300;
const MOST_POINTS = 200;
const CHUNK_BYTES = 4 * 2 ** 20;

/** Measures one row. Leaves its checkpoints for the caller to remove. */
export async function measureStall(trial: StallTrial, { signal, onProgress }: TrialOptions = {}): Promise<StallRow> {
  const { runs, calls, bytes } = trial;
  onProgress?.(0, 'making random data');
  const data = await makeData(trial, signal);
  const copy = warmCopy(data);
  const idle = await watchEventLoop(() => sleep(IDLE_MS));
  const manager = await CheckpointManager.open(trial.directory, { engine: trial.engine, keep: keep.last(1) });
  try {
    const saver = new Saver(manager, toInputs(trial.source, data), signal);
    const before = restartPeak();
    if (trial.reserve && trial.source === 'copied') await manager.reserve(bytes + 64 * trial.tensors);
    const first = await saver.save();
    const firstPeak = peakBytes();
    const firstArena = arenaBytes();
    const afterFirst = restartPeak();
    const rounds: Round[] = [];
    const takenBack: number[] = [];
    for (let run = 1; run <= runs; run++) {
      onProgress?.(run * bytes, `save ${run} of ${runs}`);
      rounds.push(await oneRound(saver, copy));
      // Spread over the rounds, so that what disturbs one does not disturb all.
      for (const goal = Math.round(((calls - runs) * run) / runs); takenBack.length < goal; ) takenBack.push(await saver.takeBack());
    }
    const laterPeak = peakBytes();
    const lastArena = arenaBytes();
    onProgress?.(runs * bytes, 'watching the event loop');
    const eventLoopDelays = await saver.watch();
    return {
      ...summarize(trial, rounds, takenBack),
      engine: manager.engineName,
      direct: first.direct && rounds.every(({ direct }) => direct),
      firstStallMs: first.stallMs,
      eventLoopDelays,
      eventLoopIdleMs: idle,
      extraRssBytes: rise(before, firstPeak === null || laterPeak === null ? null : Math.max(firstPeak, laterPeak)),
      laterExtraRssBytes: rise(afterFirst, laterPeak),
      arenaBytes: lastArena,
      laterArenaBytes: rise(firstArena, lastArena),
    };
  } finally {
    await manager.close();
  }
}

/** A save, and the copies around it. */
interface Round extends Saved {
  readonly copyMs: readonly [number, number];
}

async function oneRound(saver: Saver, copy: () => number): Promise<Round> {
  const before = copy();
  const saved = await saver.save();
  return { ...saved, copyMs: [before, copy()] };
}

function summarize({ source, bytes, tensors, runs, calls }: StallTrial, rounds: readonly Round[], takenBack: readonly number[]) {
  const stalls = rounds.map(({ stallMs }) => stallMs);
  const all = [...stalls, ...takenBack];
  const delays = rounds.map(({ eventLoopMs }) => eventLoopMs);
  return {
    source,
    bytes,
    tensors,
    runs,
    calls,
    stallMsMedian: median(stalls),
    stallsMs: stalls,
    stallMsP99: percentile(all, 0.99),
    stallMsMax: Math.max(...all),
    memcpyMs: median(rounds.flatMap(({ copyMs }) => copyMs)),
    stallToMemcpy: median(rounds.map(({ stallMs, copyMs: [before, after] }) => (2 * stallMs) / (before + after))),
    persistBytesPerSecond: median(rounds.map(({ persistMs }) => (1000 * bytes) / persistMs)),
    eventLoopMaxMs: Math.max(...delays),
    eventLoopMsMedian: median(delays),
  };
}

interface Saved {
  readonly stallMs: number;
  readonly persistMs: number;
  readonly eventLoopMs: number;
  readonly direct: boolean;
}

/** Saves the same tensors again and again. */
class Saver {
  private step = 0;

  constructor(
    private readonly manager: CheckpointManager,
    private readonly tensors: readonly TensorInput[],
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** A save from the call to the acknowledgement. */
  async save(): Promise<Saved> {
    const { stallMs, returnedAt, pending } = await this.call();
    let result: Awaited<typeof pending.committed> = null;
    const eventLoopMs = await watchEventLoop(async () => {
      result = await pending.committed;
    });
    const persistMs = performance.now() - returnedAt;
    // The checkpoint before it is removed behind the acknowledgement: not beside the copy or the call that is measured next.
    await this.manager.flush();
    return { stallMs, persistMs, eventLoopMs, direct: (result as { direct: boolean } | null)?.direct === true };
  }

  /** A save that is watched from before its call to its acknowledgement: the event loop's delays in order. */
  async watch(): Promise<[atMs: number, lateMs: number][]> {
    const probe = new EventLoopProbe(1, true);
    // The probe counts from its first firing.
    await sleep(2);
    const began = performance.now();
    const { pending } = await this.call();
    await pending.committed;
    probe.stop();
    return worstOf(probe.turns, began);
  }

  /** The call alone: the save is cancelled before anything is written. */
  async takeBack(): Promise<number> {
    const { stallMs, pending } = await this.call();
    if (!(await pending.cancel())) throw new HoldfastError('ERR_INTERNAL', 'A save that was cancelled at once was committed.');
    await nextTurn();
    return stallMs;
  }

  private async call() {
    const request = { step: this.step++, tensors: this.tensors, signal: this.signal };
    const began = performance.now();
    const pending = await this.manager.saveAsync(request);
    const returnedAt = performance.now();
    return { pending, returnedAt, stallMs: returnedAt - began };
  }
}

/** As many points as a plot can show: the worst of each piece of time. */
function worstOf(turns: readonly Turn[], began: number): [atMs: number, lateMs: number][] {
  const after = turns.filter(({ at }) => at >= began);
  const pieceMs = Math.max(1, ((after.at(-1)?.at ?? began) - began) / MOST_POINTS);
  const worst = new Map<number, number>();
  for (const { at, late } of after) {
    const piece = Math.floor((at - began) / pieceMs);
    worst.set(piece, Math.max(worst.get(piece) ?? 0, late));
  }
  const short = (ms: number) => Number(ms.toFixed(3));
  return [...worst].map(([piece, late]) => [short(piece * pieceMs), short(late)]);
}

/** The longest delay of the event loop while `work` goes on. */
async function watchEventLoop(work: () => Promise<unknown>): Promise<number> {
  const probe = new EventLoopProbe();
  try {
    await work();
  } finally {
    probe.stop();
  }
  return probe.longestMs;
}

/** Arrays of equal length; the last one takes what is left. */
async function makeData({ bytes, tensors }: StallTrial, signal: AbortSignal | undefined): Promise<Float32Array<ArrayBuffer>[]> {
  const elements = bytes / 4;
  const each = Math.floor(elements / tensors);
  const data: Float32Array<ArrayBuffer>[] = [];
  for (let i = 0; i < tensors; i++) {
    data.push(randomFloats(i === tensors - 1 ? elements - each * i : each, i + 1));
    // Ctrl-C is heard in between.
    await nextTurn();
    if (signal?.aborted) throw new HoldfastError('ERR_ABORTED', 'The measurement was stopped.');
  }
  return data;
}

/** Copies all of `data` to the same place as the last time, on this thread; gives the milliseconds. */
function warmCopy(data: readonly Float32Array<ArrayBuffer>[]): () => number {
  const sources = data.map(({ buffer }) => new Uint8Array(buffer));
  const targets = data.map(({ byteLength }) => new Uint8Array(byteLength));
  const copy = () => {
    const began = performance.now();
    for (const [i, target] of targets.entries()) target.set(sources[i] as Uint8Array);
    return performance.now() - began;
  };
  // The first copy is into cold memory.
  copy();
  return copy;
}

function toInputs(source: StallSource, data: readonly Float32Array<ArrayBuffer>[]): TensorInput[] {
  return data.map((values, i) => ({
    name: `tensor.${i}`,
    dtype: 'F32',
    shape: [values.length],
    ...(source === 'stream' ? { data: streamOf(values) } : { data: values, stable: source === 'pinned' }),
  }));
}

/** Its bytes in chunks, as from a device that only this thread can read. */
function streamOf({ buffer, byteLength }: Float32Array<ArrayBuffer>): StreamedData {
  return {
    byteLength,
    async *[Symbol.asyncIterator]() {
      for (let at = 0; at < byteLength; at += CHUNK_BYTES) yield new Uint8Array(buffer, at, Math.min(CHUNK_BYTES, byteLength - at));
    },
  };
}

function arenaBytes(): number | null {
  return loadNative().addon?.stats().arenaBytes ?? null;
}

function rise(from: number | null, to: number | null): number | null {
  return from === null || to === null ? null : Math.max(0, to - from);
}
