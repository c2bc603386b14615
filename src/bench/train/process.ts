/** Runs in a process of its own: trains while checkpoints are written behind the training. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { CheckpointManager, keep, type Priority, type TensorInput } from '../../index.js';
import { makeTensors, type Tensor } from '../host/data.js';
import { writeDurably } from '../host/file-jobs.js';
import { postFailure } from '../messages.js';
import { seededRandom, shuffled } from '../seeded.js';
import { settle } from '../settle.js';
import { bytesOf } from '../workload.js';
import { makeLoop } from './loop.js';
import { type FromTrain, type ToTrain, type TrainRound, type TrainRun, type TrainTrial, VARIANTS, type Variant } from './messages.js';

/** How long the speed alone is measured: as well as that of the longest saves, and not much better than that of the shortest. */
const MOST_ALONE_MS = 2000;
const LEAST_ALONE_MS = 300;
const MANY_BYTES = 64 * 2 ** 20;
const WARM_STEPS = 20;
const ORDER_SEED = 7;

// Ctrl-C reaches every process of a terminal; the one that started this one ends it, or is gone.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => {});
process.on('disconnect', () => process.exit(0));
process.on('message', ({ trial }: ToTrain) => {
  void train(trial)
    .then(() => tell({ type: 'done' }))
    .catch((error: unknown) => tell({ type: 'failure', failure: postFailure(error) }));
});

async function train({ tensors: shapes, runs, engine, directory }: TrainTrial): Promise<void> {
  const { name, step } = await makeLoop();
  tell({ type: 'loop', loop: name });
  const tensors = await makeTensors(shapes);
  const inputs = tensors.map(({ name: tensor, shape, data }): TensorInput => ({ name: tensor, dtype: 'F32', shape, data, stable: true }));
  const open = (priority: Priority) => CheckpointManager.open(path.join(directory, priority), { priority, keep: keep.last(1), engine });
  const managers = { normal: await open('normal'), low: await open('low') };
  const aloneMs = Math.max(LEAST_ALONE_MS, MOST_ALONE_MS * Math.min(1, bytesOf(shapes) / MANY_BYTES));
  const beside: Readonly<Record<Variant, (round: number) => Promise<unknown>>> = {
    alone: () => sleep(aloneMs),
    again: () => sleep(aloneMs),
    holdfast: (round) => save(managers.normal, inputs, round),
    'holdfast-low': (round) => save(managers.low, inputs, round),
    buffered: () => writeDurably(path.join(directory, 'buffered.bin'), tensors as Tensor[]),
  };
  for (let i = 0; i < WARM_STEPS; i++) await step();
  const random = seededRandom(ORDER_SEED);
  // The first round starts workers and compiles code, and does not count.
  for (let round = 0; round <= runs; round++) {
    const results: Partial<Record<Variant, TrainRun>> = {};
    for (const variant of shuffled(VARIANTS, random)) {
      tell({ type: 'turn', round, variant });
      results[variant] = await trainBeside(step, () => beside[variant](round));
      await rm(path.join(directory, 'buffered.bin'), { force: true });
      // The checkpoint before the last one is removed behind the save: not beside the next variant.
      for (const manager of Object.values(managers)) await manager.flush();
      await settle(directory, bytesOf(shapes));
    }
    if (round > 0) tell({ type: 'round', round: results as TrainRound });
  }
  for (const manager of Object.values(managers)) await manager.close();
}

async function save(manager: CheckpointManager, tensors: readonly TensorInput[], step: number): Promise<void> {
  const pending = await manager.saveAsync({ step, tensors });
  await pending.committed;
}

/** Trains until `work` is done. */
async function trainBeside(step: () => Promise<unknown>, work: () => Promise<unknown>): Promise<TrainRun> {
  let done = false;
  let steps = 0;
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const working = work().finally(() => {
    done = true;
  });
  // It is awaited below; until then its failure is nobody's surprise.
  working.catch(() => {});
  while (!done) {
    await step();
    steps++;
    // As model.fit does: others get the event loop between steps.
    await nextTurn();
  }
  const seconds = (performance.now() - began) / 1000;
  await working;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { stepsPerSecond: steps / seconds, seconds, cpuSeconds: (user + system) / 1e6 };
}

function tell(message: FromTrain): void {
  // Whoever is gone need not be told.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
