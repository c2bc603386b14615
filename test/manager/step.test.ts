/** Saving as training goes on: `step` asks the trigger. */
import { readdirSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import { keep } from '../../src/policy/keep.js';
import { allOf, anyOf, every, on } from '../../src/policy/trigger.js';
import { freshDirectory } from '../helpers/directory.js';
import { rejection, thrown } from '../helpers/errors.js';
import { openManager, smallRequest } from '../helpers/manager.js';
import { preempt } from '../helpers/preempted.js';
import { replaceInSystem } from '../helpers/system.js';

/** Steps of a training; gives those at which something was saved, when all of it is durable. */
async function train(
  manager: CheckpointManager,
  steps: Iterable<number>,
  metricsOf = (step: number): Record<string, number> => ({ loss: step }),
) {
  const saved: number[] = [];
  for (const step of steps) {
    const { due, pending } = await manager.step({ ...smallRequest(step), metrics: metricsOf(step) });
    if (due && (await pending.committed) !== null) saved.push(step);
  }
  return saved;
}

/** A save that is not done before `held` is. */
function heldRequest(step: number, held: Promise<void>) {
  const data = {
    byteLength: 4,
    fresh: true as const,
    async *[Symbol.asyncIterator]() {
      await held;
      yield new Uint8Array(4);
    },
  };
  return { step, tensors: { x: { dtype: 'U8' as const, shape: [4], data } } };
}

function range(from: number, to: number, by = 1): number[] {
  return Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, i) => from + i * by);
}

describe('step', () => {
  test('saves when the trigger says so, and tells why', async () => {
    const manager = await openManager(freshDirectory(), { trigger: every.steps(10), keep: keep.all() });
    expect(await train(manager, range(1, 35))).toEqual([10, 20, 30]);
    const { due, reason } = await manager.step(smallRequest(40));
    expect([due, reason]).toEqual([true, 'step 40 was reached']);
    expect(await manager.step(smallRequest(41))).toEqual({ due: false, reason: undefined, pending: undefined });
  });

  test('asks for what is costly only when a save is due, and captures it in the call', async () => {
    const manager = await openManager(freshDirectory(), { trigger: every.steps(2), keep: keep.all() });
    const data = new Float32Array(4).fill(7);
    const tensors = vi.fn(() => ({ x: { dtype: 'F32' as const, shape: [4], data } }));
    const state = vi.fn(() => ({ made: tensors.mock.calls.length }));
    const rng = vi.fn(() => [1, 2]);
    expect((await manager.step({ step: 1, tensors, state, rng })).due).toBe(false);
    expect(tensors).not.toHaveBeenCalled();
    const stepping = manager.step({ step: 2, tensors, state, rng });
    data.fill(9);
    await (await stepping).pending?.committed;
    expect([tensors, state, rng].map((each) => each.mock.calls.length)).toEqual([1, 1, 1]);
    const restored = await manager.restore();
    expect([...restored!.tensors.get('x')!.data]).toEqual([7, 7, 7, 7]);
    expect([restored!.state, restored!.rng]).toEqual([{ made: 1 }, [1, 2]]);
  });

  test('goes on after a restore from where it was, and looks at no multiple twice', async () => {
    const directory = freshDirectory();
    const first = await openManager(directory, { trigger: every.steps(10), keep: keep.all() });
    expect(await train(first, range(1, 25))).toEqual([10, 20]);
    await first.close();
    const second = await openManager(directory, { trigger: every.steps(10), keep: keep.all() });
    const restored = await second.restore();
    expect(restored?.step).toBe(20);
    expect(await train(second, range(20, 31))).toEqual([30]);
  });

  test('a restore in the middle, to look at something, is no resume; going back to it is', async () => {
    const manager = await openManager(freshDirectory(), { trigger: every.steps(10), keep: keep.all() });
    expect(await train(manager, range(1, 35))).toEqual([10, 20, 30]);
    await manager.restore({ step: 10 });
    expect(await train(manager, range(36, 41))).toEqual([40]);
    await manager.restore({ step: 20 });
    expect(await train(manager, [25, 29, 31])).toEqual([31]);
  });

  test('after a resume that nobody told of, as after one that was', async () => {
    const manager = await openManager(freshDirectory(), { trigger: every.steps(10), keep: keep.all() });
    expect(await train(manager, [...range(8, 12), ...range(8, 12)])).toEqual([10, 10]);
    expect((await manager.restore({ step: 10 }))?.info.name).toBe('checkpoint_step00000010_loss10.0000.r2');
  });

  test('a save by other means counts for triggers of time, and asking twice about a step gives one save', async () => {
    const manager = await openManager(freshDirectory(), { trigger: anyOf(every.minutes(60), every.steps(5)) });
    expect(manager.shouldSave({ step: 4 })).toBeUndefined();
    expect(manager.shouldSave({ step: 5 })).toBe('step 5 was reached');
    expect(manager.shouldSave({ step: 5 })).toBe('step 5 was reached');
    await manager.save(smallRequest(5));
    expect(manager.shouldSave({ step: 5 })).toBeUndefined();
  });

  test('time counts from the last save, whatever it was for, by a clock that does not jump', async () => {
    let clock = 1_000_000;
    replaceInSystem({ monotonicMs: () => clock });
    const manager = await openManager(freshDirectory(), { trigger: every.minutes(10) });
    clock += 599_999;
    expect(manager.shouldSave({ step: 1 })).toBeUndefined();
    clock += 1;
    expect(manager.shouldSave({ step: 1 })).toContain('10 minutes have gone by');
    await manager.save(smallRequest(1));
    expect(manager.shouldSave({ step: 1 })).toBeUndefined();
    clock += 600_000;
    expect(manager.shouldSave({ step: 1 })).toBeDefined();
  });

  test('without a trigger it says what to do', async () => {
    const manager = await openManager(freshDirectory());
    const error = await rejection(manager.step(smallRequest(1)), 'ERR_INVALID_ARGUMENT');
    expect(error.message).toContain('trigger');
    const reader = await openManager(manager.directory, { readOnly: true });
    await rejection(reader.step(smallRequest(1)), 'ERR_READ_ONLY');
  });

  test('a function may give all that is saved: it is called only when a save is due, and its outcome captured in the call', async () => {
    const manager = await openManager(freshDirectory(), { trigger: every.steps(2), keep: keep.all() });
    const data = new Float32Array(4).fill(7);
    const tensors = { x: { dtype: 'F32' as const, shape: [4], data } };
    const make = vi.fn(() => ({ tensors, rng: [1, 2], tags: ['t'] }));
    expect(await manager.step({ step: 1 }, make)).toEqual({ due: false, reason: undefined, pending: undefined });
    expect(make).not.toHaveBeenCalled();
    const stepping = manager.step({ step: 2, epoch: 1, metrics: { loss: 3 } }, make);
    data.fill(9);
    await (await stepping).pending?.committed;
    expect(make).toHaveBeenCalledOnce();
    const restored = await manager.restore('t');
    expect(restored).toMatchObject({ step: 2, epoch: 1, metrics: { loss: 3 }, rng: [1, 2] });
    expect([...restored!.tensors.get('x')!.data]).toEqual([7, 7, 7, 7]);
    // What the trigger was asked about is what is saved.
    const { pending } = await manager.step({ step: 4 }, () => ({ ...smallRequest(5), epoch: 8 }));
    expect(await pending?.committed).toMatchObject({ name: 'checkpoint_step00000004' });
    expect(await manager.restore({ step: 4 })).toMatchObject({ epoch: undefined, metrics: {} });
  });

  test('refuses a step that is none and misspelled members of a position, also when no save is due', async () => {
    const manager = await openManager(freshDirectory(), { trigger: every.steps(100) });
    const { tensors } = smallRequest(1);
    for (const step of [undefined, '100', -1, 0.5, Number.NaN]) {
      await rejection(manager.step({ step, tensors } as never), 'ERR_INVALID_ARGUMENT');
      await rejection(
        manager.step({ step } as never, () => ({ tensors })),
        'ERR_INVALID_ARGUMENT',
      );
      thrown(() => manager.shouldSave({ step } as never), 'ERR_INVALID_ARGUMENT');
    }
    await rejection(manager.step({ step: 1, epoch: -1, tensors }), 'ERR_INVALID_ARGUMENT');
    await rejection(
      manager.step({ step: 1, tensors } as never, () => ({ tensors })),
      'ERR_UNKNOWN_OPTION',
    );
    await rejection(manager.step({ step: 1 }, { tensors } as never), 'ERR_INVALID_ARGUMENT');
    await rejection(
      manager.step({ step: 100 }, () => ({ tensors, tag: 'a' })),
      'ERR_UNKNOWN_OPTION',
    );
  });

  test('what throws while it is asked for is thrown, and the next step is asked again', async () => {
    const manager = await openManager(freshDirectory(), { trigger: every.steps(2) });
    const broken = { step: 2, tensors: () => expect.fail('no tensors today') };
    await expect(manager.step(broken as never)).rejects.toThrow('no tensors today');
    expect((await manager.step(smallRequest(2))).due).toBe(true);
  });
});

describe('on improvement', () => {
  test('NaN, infinities and missing metrics are none, and block none', async () => {
    const manager = await openManager(freshDirectory(), { monitor: 'val_loss', trigger: on.improvement(), keep: keep.all() });
    const losses = [Number.NaN, undefined, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.5, Number.NaN, 0.6, 0.4, 0.4];
    const metrics = (step: number): Record<string, number> =>
      losses[step] === undefined ? { loss: 1 } : { val_loss: losses[step] as number };
    expect(await train(manager, range(0, losses.length - 1), metrics)).toEqual([4, 7]);
    expect((await manager.restore('best'))?.step).toBe(7);
  });

  test('the best is remembered over a restart, and by how much it has to be better', async () => {
    const directory = freshDirectory();
    const options = { monitor: 'val_acc', minDelta: 0.1, trigger: on.improvement(), keep: keep.last(1) };
    const first = await openManager(directory, options);
    const accuracies = [0.5, 0.55, 0.61, 0.7, 0.705];
    expect(await train(first, range(0, 4), (step) => ({ val_acc: accuracies[step] as number }))).toEqual([0, 2]);
    // Not an improvement, but saved: it must not become what has to be beaten.
    await first.save({ ...smallRequest(5), metrics: { val_acc: 0.7 } });
    await first.close();
    const second = await openManager(directory, options);
    expect(second.shouldSave({ step: 6, metrics: { val_acc: 0.7 } })).toBeUndefined();
    expect(second.shouldSave({ step: 6, metrics: { val_acc: 0.72 } })).toBe('val_acc improved from 0.61 to 0.72');
    expect((await second.restore('best'))?.step).toBe(2);
  });

  test('a manager without a monitor goes on watching what was watched', async () => {
    const directory = freshDirectory();
    const first = await openManager(directory, { monitor: 'f1', mode: 'max', keep: keep.all() });
    await first.save({ ...smallRequest(1), metrics: { f1: 0.5, loss: 9 } });
    await first.close();
    const second = await openManager(directory, { saveBestOnly: true, keep: keep.all() });
    expect(second.shouldSave({ step: 2, metrics: { f1: 0.4, loss: 1 } })).toBeUndefined();
    expect(second.shouldSave({ step: 2, metrics: { f1: 0.6, loss: 10 } })).toBe('f1 improved from 0.5 to 0.6');
  });

  test('goes the way that the metric is watched, unless it says which', async () => {
    const manager = await openManager(freshDirectory(), {
      monitor: 'f1',
      mode: 'max',
      trigger: on.improvement({ monitor: 'f1', minDelta: 0.01 }),
    });
    await manager.save({ ...smallRequest(1), metrics: { f1: 0.5 } });
    expect(manager.shouldSave({ step: 2, metrics: { f1: 0.4 } })).toBeUndefined();
    expect(manager.shouldSave({ step: 3, metrics: { f1: 0.505 } })).toBeUndefined();
    expect(manager.shouldSave({ step: 4, metrics: { f1: 0.6 } })).toBe('f1 improved from 0.5 to 0.6');
  });

  test('where nobody has said, the validation loss decides as soon as there is one', async () => {
    const manager = await openManager(freshDirectory(), { saveBestOnly: true, keep: keep.all() });
    expect(await train(manager, [1], () => ({ loss: 5 }))).toEqual([1]);
    expect(await train(manager, [2], () => ({ loss: 6, val_loss: 3 }))).toEqual([2]);
    expect(await train(manager, [3], () => ({ loss: 1 }))).toEqual([]);
    expect(await train(manager, [4], () => ({ loss: 9, val_loss: 2 }))).toEqual([4]);
  });

  test('a trigger of one’s own may answer with true and false', async () => {
    const trigger = { description: 'mine', due: ({ step }: { step: number }) => (step === 2) as never };
    const manager = await openManager(freshDirectory(), { trigger });
    expect([1, 2, 3].map((step) => manager.shouldSave({ step }))).toEqual([undefined, 'mine', undefined]);
  });

  test('an initial threshold has to be beaten by the first', async () => {
    const manager = await openManager(freshDirectory(), { monitor: 'loss', initialValueThreshold: 0.5, saveBestOnly: true });
    expect(await train(manager, range(0, 3), (step) => ({ loss: [0.9, 0.5, 0.4, 0.45][step] as number }))).toEqual([2]);
    await manager.save({ ...smallRequest(9), metrics: { loss: 0.7 } });
    expect((await manager.restore('best'))?.step).toBe(2);
  });

  test('saveBestOnly goes with a trigger', async () => {
    const manager = await openManager(freshDirectory(), { trigger: every.steps(2), saveBestOnly: true, keep: keep.all() });
    const losses = [9, 8, 7, 6, 6.5, 5, 4];
    expect(await train(manager, range(0, 6), (step) => ({ loss: losses[step] as number }))).toEqual([2, 4, 6]);
    const both = await openManager(freshDirectory(), { trigger: allOf(every.steps(2), on.improvement()), keep: keep.all() });
    expect(await train(both, range(0, 6), (step) => ({ loss: losses[step] as number }))).toEqual([2, 4, 6]);
  });

  test('a save in flight has to be beaten as well, and one that failed has not', async () => {
    const manager = await openManager(freshDirectory(), { monitor: 'loss', saveBestOnly: true, maxInFlight: 3 });
    const first = await manager.step({ ...smallRequest(1), metrics: { loss: 0.5 } });
    expect(manager.shouldSave({ step: 2, metrics: { loss: 0.6 } })).toBeUndefined();
    await first.pending?.committed;
    const second = await manager.step({ ...heldRequest(3, new Promise(() => {})), metrics: { loss: 0.3 } });
    expect(manager.shouldSave({ step: 3, metrics: { loss: 0.4 } })).toBeUndefined();
    await second.pending?.cancel();
    expect(manager.shouldSave({ step: 4, metrics: { loss: 0.4 } })).toBe('loss improved from 0.5 to 0.4');
  });

  test('weights only: the optimizer is left out, and restore("latest") says that training cannot go on', async () => {
    const directory = freshDirectory();
    const manager = await openManager(directory, { monitor: 'loss', saveBestOnly: true, contents: 'weights' });
    const { tensors } = smallRequest(1);
    const { pending } = await manager.step({ ...smallRequest(1), optimizer: tensors });
    const saved = await pending?.committed;
    expect(readdirSync(saved!.path).sort()).toEqual(['manifest.json', 'model.safetensors', 'state.json']);
    await rejection(manager.restore(), 'ERR_WEIGHTS_ONLY');
    expect((await manager.restore('best'))?.info.contents).toBe('weights');
  });
});

describe('signals', () => {
  test('one that this system does not know is refused, and the directory is let go', async () => {
    const directory = freshDirectory();
    await rejection(CheckpointManager.open(directory, { trigger: on.signal('SIGUSR9' as never) }), 'ERR_INVALID_ARGUMENT');
    await openManager(directory);
  });

  test('one is answered by the next step, once', async () => {
    const manager = await openManager(freshDirectory(), { trigger: on.signal('SIGUSR2'), keep: keep.all() });
    expect(manager.shouldSave({ step: 1 })).toBeUndefined();
    process.kill(process.pid, 'SIGUSR2');
    await vi.waitFor(() => expect(manager.shouldSave({ step: 2 })).toBe('SIGUSR2 came'));
    expect(await train(manager, [3, 4])).toEqual([3]);
    await manager.close();
    expect(process.listenerCount('SIGUSR2')).toBe(0);
  });

  test('a signal during a save that is skipped is answered by a later one', async () => {
    const manager = await openManager(freshDirectory(), { trigger: on.signal('SIGUSR2'), whenBusy: 'skip', keep: keep.all() });
    let go = () => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    await manager.saveAsync(heldRequest(1, held));
    process.kill(process.pid, 'SIGUSR2');
    await vi.waitFor(() => expect(manager.shouldSave({ step: 2 })).toBeDefined());
    expect((await manager.step(smallRequest(2))).pending?.status).toBe('skipped');
    go();
    await manager.flush();
    expect(await train(manager, [3, 4])).toEqual([3]);
  });

  test('preemption: a save by other means is the last one as well', async () => {
    const ran = await preempt(`
      const { on } = await import('holdfast');
      const own = await CheckpointManager.open(directory + '/own', { engine, trigger: on.preemption() });
      say('ready');
      for (let step = 1; ; step++) {
        await later(20);
        if (own.shouldSave({ step }) !== undefined) await own.saveAsync(request(step));
      }
    `);
    expect(ran.signal).toBe('SIGTERM');
    expect(readdirSync(`${ran.directory}/own`).filter((name) => name.startsWith('checkpoint_'))).toHaveLength(1);
    expect(ran.log.at(-1)).toContain('done');
  });

  test('preemption: the next step is saved, and then the process ends', async () => {
    const ran = await preempt(`
      const { every, on, anyOf } = await import('holdfast');
      const own = await CheckpointManager.open(directory + '/own', { engine, trigger: anyOf(every.steps(1000), on.preemption()) });
      say('ready');
      for (let step = 1; ; step++) {
        await later(20);
        const { due, reason } = await own.step(request(step));
        if (due) say(reason);
      }
    `);
    expect(ran.signal).toBe('SIGTERM');
    expect(ran.said).toEqual(['the process is about to end']);
    expect(readdirSync(`${ran.directory}/own`).filter((name) => name.startsWith('checkpoint_'))).toHaveLength(1);
    expect(ran.log.at(-1)).toContain('done');
  });

  test('preemption: the last save is made although others are in flight and such a save would be skipped', async () => {
    const ran = await preempt(`
      const { on } = await import('holdfast');
      const own = await CheckpointManager.open(directory + '/own', { engine, trigger: on.preemption(), whenBusy: 'skip' });
      // In flight when the signal comes, and, once that is waited for, again.
      own.on('preempted', () => void own.save(slow(900, 200)));
      own.on('saveCommitted', ({ step }) => step === 900 && void own.save(slow(901, 500)));
      const make = () => ({ tensors: request(1).tensors, whenBusy: 'skip' });
      say('ready');
      for (let step = 1000; ; step++) {
        await later(10);
        const { due, pending } = await own.step({ step }, make);
        if (due) say(pending.status);
      }
    `);
    expect(ran.said).toEqual(['accepted']);
    const steps = readdirSync(`${ran.directory}/own`).filter((name) => name.startsWith('checkpoint_'));
    expect(steps.map((name) => Math.floor(Number(name.replace('checkpoint_step', '')) / 100)).sort((a, b) => a - b)).toEqual([9, 9, 10]);
    expect(ran.log.at(-1)).toContain('done');
  });
});
