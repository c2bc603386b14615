/** PeriodicCheckpoint, BestNCheckpoints and manager.callback: when they save, what stays, and one checkpoint where several want the same. */
import { readdirSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { keep } from '../../../src/policy/keep.js';
import { anyOf, every, on } from '../../../src/policy/trigger.js';
import {
  BestNCheckpoints,
  EarlyStopping,
  ModelCheckpoint,
  PeriodicCheckpoint,
  ReduceLROnPlateau,
  restoreModel,
} from '../../../src/tfjs/index.js';
import { freshDirectory } from '../../helpers/directory.js';
import { rejection, thrown } from '../../helpers/errors.js';
import { openManager } from '../../helpers/manager.js';
import { sequentialModel, weightsOf } from '../../helpers/tfjs.js';
import { fitScript } from '../../helpers/tfjs-fit.js';
import { stateOf } from '../../helpers/tfjs-saving.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const make = () => sequentialModel(tf, 'adam');
const script = (epochs: number) => ({ val_loss: Array.from({ length: epochs }, (_, i) => epochs - i) });

/** Step and epochs done of every checkpoint, oldest first. */
async function saved(directory: string): Promise<[number | null, number | null][]> {
  const manager = await openManager(directory, { readOnly: true });
  const places: [number | null, number | null][] = [];
  for await (const { step, epoch, status } of manager.list()) if (status === 'good') places.push([step, epoch]);
  await manager.close();
  return places;
}

describe('PeriodicCheckpoint', () => {
  test.each([
    [
      'steps',
      { everySteps: 2 },
      [
        [2, 0],
        [4, 1],
        [6, 1],
      ],
    ],
    ['epochs', { everyEpochs: 2 }, [[6, 2]]],
    [
      'both',
      { everySteps: 4, everyEpochs: 1 },
      [
        [3, 1],
        [4, 1],
        [6, 2],
        [8, 2],
        [9, 3],
      ],
    ],
    ['a trigger', { trigger: every.steps(5) }, [[5, 1]]],
    [
      'a trigger that has to know the best',
      { trigger: on.improvement({ monitor: 'val_loss' }) },
      [
        [3, 1],
        [6, 2],
        [9, 3],
      ],
    ],
  ] as const)('%s', async (_, when, places) => {
    const directory = freshDirectory();
    const epochs = 'everySteps' in when && !('everyEpochs' in when) ? 2 : 3;
    await fitScript(tf, make(), script(epochs), new PeriodicCheckpoint({ directory, keep: keep.all(), ...when }));
    expect(await saved(directory)).toEqual(places);
  });

  test('minutes', async () => {
    const directory = freshDirectory();
    await fitScript(tf, make(), script(2), new PeriodicCheckpoint({ directory, keep: keep.all(), everyMinutes: 1e-9 }));
    // Behind every batch, and at the end of an epoch once more.
    expect((await saved(directory)).map(([step]) => step)).toEqual([1, 2, 3, 3, 4, 5, 6, 6]);
    const other = freshDirectory();
    await fitScript(tf, make(), script(2), new PeriodicCheckpoint({ directory: other, everyMinutes: 1000 }));
    expect(await saved(other)).toEqual([]);
  });

  test('a second fit goes on counting, and of what it makes the five newest stay and the best', async () => {
    const directory = freshDirectory();
    const model = make();
    const callback = new PeriodicCheckpoint({ directory, everySteps: 2 });
    await fitScript(tf, model, script(3), callback);
    await fitScript(tf, model, script(4), callback);
    expect((await saved(directory)).slice(-5).map(([step]) => step)).toEqual([12, 14, 16, 18, 20]);
    expect((await saved(directory)).length).toBeLessThanOrEqual(6);
  });

  test.each([
    ['counts itself', every.steps(4)],
    ['asks its manager', anyOf(every.steps(4), on.signal('SIGUSR2'))],
  ])('what was before the fit counts for nothing: one that %s', async (_, trigger) => {
    const directory = freshDirectory();
    const model = make();
    await fitScript(tf, model, script(3), []);
    await fitScript(tf, model, script(2), new PeriodicCheckpoint({ directory, trigger }));
    expect((await saved(directory)).map(([step]) => step)).toEqual([12]);
  });

  test('what is saved in the middle of an epoch is what training was then', async () => {
    const directory = freshDirectory();
    const model = make();
    const states: unknown[] = [];
    const look = { onBatchEnd: () => void states.push(stateOf(model)) };
    await fitScript(tf, model, script(1), [new PeriodicCheckpoint({ directory, everySteps: 2 }), look]);
    const other = make();
    await restoreModel(await openManager(directory), other);
    expect(stateOf(other)).toEqual(states[1]);
  });

  test('what cannot be meant is refused', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory);
    expect(thrown(() => new PeriodicCheckpoint({ directory, everyStep: 3 } as object), 'ERR_UNKNOWN_OPTION').message).toContain(
      'Did you mean "everySteps"?',
    );
    for (const options of [
      { directory },
      { everySteps: 3 },
      { directory, everySteps: 0 },
      { directory, manager, everySteps: 3 },
      { manager, everySteps: 3, keep: keep.all() },
      { manager, trigger: on.improvement() },
      { directory, everySteps: 3, async: 'no' as unknown as boolean },
      { directory, everySteps: 3, rng: 4 as never },
      { directory, everySteps: 3, state: [] as never },
      { directory, everySteps: 3, trainingState: {} as never },
    ]) {
      thrown(() => new PeriodicCheckpoint(options), 'ERR_INVALID_ARGUMENT');
    }
  });
});

describe('BestNCheckpoints', () => {
  test('keeps the n best, over processes, the earlier of equals', async () => {
    const directory = freshDirectory();
    const values = { val_loss: [5, 3, Number.NaN, 4, 3, 9, 1] };
    await fitScript(tf, make(), values, new BestNCheckpoints({ directory, n: 3 }));
    expect(await saved(directory)).toEqual([
      [6, 2],
      [15, 5],
      [21, 7],
    ]);
    await fitScript(tf, make(), { val_loss: [3, 2.5, 7] }, new BestNCheckpoints({ directory, n: 3 }));
    expect(await saved(directory)).toEqual([
      [6, 2],
      [21, 7],
      [6, 2],
    ]);
  });

  test('max, and a name of its own', async () => {
    const directory = freshDirectory();
    const callback = new BestNCheckpoints({ directory, n: 1, monitor: 'val_accuracy', name: 'acc-{val_accuracy:.2f}' });
    await fitScript(tf, make(), { val_acc: [0.5, 0.9, 0.7] }, callback);
    expect(readdirSync(directory)).toContain('acc-0.90');
    expect(await saved(directory)).toEqual([[6, 2]]);
    thrown(() => new BestNCheckpoints({ directory, n: 0 }), 'ERR_INVALID_ARGUMENT');
    thrown(() => new BestNCheckpoints({ directory, n: 1, name: 'fixed' }), 'ERR_INVALID_ARGUMENT');
    thrown(() => new BestNCheckpoints({ directory, n: 1, keep: keep.all() } as never), 'ERR_UNKNOWN_OPTION');
  });
});

describe('several callbacks and one directory', () => {
  test('make one checkpoint of a moment, and what any of them wants stays', async () => {
    const directory = freshDirectory();
    await fitScript(tf, make(), { val_loss: [5, 1, 4, 3, 2, 2, 2, 2] }, [
      new PeriodicCheckpoint({ directory, everyEpochs: 2, keep: keep.last(1) }),
      new BestNCheckpoints({ directory, n: 2 }),
      new ReduceLROnPlateau(),
      new PeriodicCheckpoint({ directory, everyEpochs: 4, keep: keep.last(1) }),
    ]);
    // The two best, and the newest, which three of them have asked for.
    expect(await saved(directory)).toEqual([
      [6, 2],
      [15, 5],
      [24, 8],
    ]);
  });

  test('make two where what is saved differs: the weights, the learning rate, the contents', async () => {
    const directory = freshDirectory();
    const model = make();
    const change = {
      onEpochEnd() {
        const zeros = model.getWeights().map((weight) => tf.zerosLike(weight));
        model.setWeights(zeros);
        tf.dispose(zeros);
      },
    };
    const two = () => new PeriodicCheckpoint({ directory, everyEpochs: 1, keep: keep.all() });
    await fitScript(tf, model, script(1), [two(), change, two(), two()]);
    expect(await saved(directory)).toEqual([
      [3, 1],
      [3, 1],
    ]);
    await fitScript(tf, model, script(1), [
      two(),
      new PeriodicCheckpoint({ directory, everyEpochs: 1, keep: keep.all(), saveWeightsOnly: true }),
    ]);
    expect((await saved(directory)).length).toBe(4);
    const plateau = new ReduceLROnPlateau({ patience: 0, monitor: 'val_loss', minDelta: 100 });
    await fitScript(tf, model, { val_loss: [1, 1] }, [two(), plateau, two()]);
    // The rate is reduced at the end of the second epoch only.
    expect((await saved(directory)).length).toBe(7);
  });

  test('a callback with names of its own does not remove what is not its own', async () => {
    const directory = freshDirectory();
    await fitScript(tf, make(), script(4), [
      new ModelCheckpoint(`${directory}/mine-{epoch}`, { keep: keep.last(1) }),
      new ModelCheckpoint(`${directory}/other-{epoch}`),
      new ModelCheckpoint(`${directory}/newest`),
    ]);
    const names = readdirSync(directory).filter((name) => /^(mine|other|newest)/.test(name));
    expect(names.sort()).toEqual(['mine-4', 'newest', 'newest.12', 'other-1', 'other-2', 'other-3', 'other-4']);
  });
});

describe('manager.callback', () => {
  test("saves by the manager's own trigger, and leaves the manager open", async () => {
    const manager = await openManager(freshDirectory(), { trigger: every.steps(2), keep: keep.all(), name: 's{step}' });
    const model = make();
    await fitScript(tf, model, script(2), manager.callback(model, { state: { mine: 1 } }));
    expect(await saved(manager.directory)).toEqual([
      [2, 0],
      [4, 1],
      [6, 1],
    ]);
    const other = make();
    expect((await restoreModel(manager, other))?.state).toEqual({ mine: 1 });
    expect(weightsOf(other)).toEqual(weightsOf(model));
  });

  test('with saveBestOnly saves what is better', async () => {
    const manager = await openManager(freshDirectory(), { saveBestOnly: true, monitor: 'val_loss', keep: keep.all() });
    const model = make();
    await fitScript(tf, model, { val_loss: [2, 3, 1] }, [manager.callback(model), new EarlyStopping({ patience: 5 })]);
    expect(await saved(manager.directory)).toEqual([
      [3, 1],
      [9, 3],
    ]);
  });

  test('without a trigger the fit is refused, and so is a typo', async () => {
    const manager = await openManager(freshDirectory());
    const model = make();
    await rejection(fitScript(tf, model, script(1), manager.callback(model)), 'ERR_INVALID_ARGUMENT');
    thrown(() => manager.callback(model, { keep: keep.all() } as object), 'ERR_UNKNOWN_OPTION');
  });
});
