/** Situations that histories have found, each by itself: their seeds mean something else as soon as the library does other operations. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CheckpointManager } from '../../src/manager/manager.js';
import type { OpenOptions } from '../../src/manager/options.js';
import { keep } from '../../src/policy/keep.js';
import { rejection } from '../helpers/errors.js';
import { smallRequest } from '../helpers/manager.js';
import type { SimulatedProcess } from './process.js';
import { World } from './world.js';

const OPTIONS = { engine: 'portable', keep: keep.last(1), memoryBudgetBytes: 2 ** 26 } as const;

let world: World;

beforeEach(() => {
  world = new World(1, { isCalm: true });
});

afterEach(() => world.uninstall());

let started = 0;

/** A process of the machine, later than all before. */
function start(): SimulatedProcess {
  started++;
  world.files.startTime = started;
  return world.start(`${started}`);
}

function open(process: SimulatedProcess, options: OpenOptions = {}): Promise<CheckpointManager> {
  return CheckpointManager.open(world.pathFor(process), { ...OPTIONS, ...options });
}

/** What is left of a process is put away. */
async function bury(process: SimulatedProcess, manager?: CheckpointManager): Promise<void> {
  process.end();
  await manager?.close().catch(() => {});
  world.files.reap(process);
}

describe('directories', () => {
  test.each([0, 1, 2, 3, 4, 5, 6])(
    'that a process made which died at operation %i are durable once another one has saved',
    async (operations) => {
      const first = start();
      first.dieAfter(operations + 1);
      await open(first).catch(() => {});
      await bury(first);
      const second = start();
      const manager = await open(second);
      await manager.save(smallRequest(1, 10));
      await bury(second, manager);
      world.disk.losePower({ chance: 0, asJournal: false });
      const last = start();
      const survivor = await open(last);
      expect((await survivor.restore())?.info.step).toBe(1);
      await survivor.close();
    },
  );
});

describe('a checkpoint that was renamed away is removed only when that is durable', () => {
  /** What is done to the directory of checkpoints and to what is renamed away in it. */
  function watch(process: SimulatedProcess): string[] {
    const seen: string[] = [];
    process.fails = (operation, file) => {
      if (operation === 'fsync' && file === `/${world.directory}`) seen.push('fsync');
      if (operation === 'unlink' && file.includes('/.tmp-delete-')) seen.push('unlink');
      return undefined;
    };
    return seen;
  }

  test('by whoever sweeps after a writer that died', async () => {
    const first = start();
    const manager = await open(first);
    await manager.save(smallRequest(1, 10));
    let isRenamed = false;
    first.endsBefore = (operation, file) => {
      const isDue = isRenamed && operation === 'fsync';
      isRenamed ||= operation === 'rename' && file.endsWith('step00000001_loss0.5000');
      return isDue;
    };
    await manager.save(smallRequest(2, 10)).catch(() => {});
    await manager.flush().catch(() => {});
    await bury(first, manager);
    const second = start();
    const seen = watch(second);
    const next = await open(second);
    expect(next.swept).toEqual([expect.stringMatching(/^\.tmp-delete-/)]);
    expect(seen.indexOf('fsync')).toBeGreaterThan(-1);
    expect(seen.indexOf('fsync')).toBeLessThan(seen.indexOf('unlink'));
    await next.close();
  });

  test('by a save that takes back a name which it could not make durable', async () => {
    const process = start();
    const manager = await open(process);
    let isNamed = false;
    let failures = 1;
    const seen = watch(process);
    const { fails } = process;
    process.fails = (operation, file) => {
      if (operation === 'open' && isNamed && file === `/${world.directory}` && failures-- > 0) return 'EMFILE';
      if (operation === 'rename' && file.includes('/.tmp-') && !file.includes('delete')) isNamed = true;
      return fails?.(operation, file);
    };
    await rejection(manager.save(smallRequest(1, 10)), 'ERR_RESOURCES');
    expect(seen.indexOf('fsync')).toBeGreaterThan(-1);
    expect(seen.indexOf('fsync')).toBeLessThan(seen.indexOf('unlink'));
    await manager.close();
  });
});

describe('the lock', () => {
  test('is not left in place for ever because a file beside it could not be removed', async () => {
    const process = start();
    let failures = 1;
    process.fails = (operation, file) => (operation === 'unlink' && file.includes('.tmp-lock-') && failures-- > 0 ? 'EIO' : undefined);
    const manager = await open(process);
    await manager.close();
    await (await open(process)).close();
  });

  test('of a living process is not broken because the boot or the process could not be looked up', async () => {
    const holder = start();
    const manager = await open(holder);
    for (const unreadable of ['/proc/sys/kernel/random/boot_id', '/proc/4242/stat']) {
      for (const at of [1, 2, 3]) {
        const rival = world.start(`rival-${unreadable.length}-${at}`);
        let count = 0;
        rival.fails = (_, file) => (file === unreadable && ++count >= at ? 'EMFILE' : undefined);
        const second = await open(rival).catch((error: { code: string }) => error.code);
        expect(['ERR_LOCKED', 'ERR_RESOURCES']).toContain(second);
      }
    }
    await manager.save(smallRequest(1, 10));
    await manager.close();
  });

  test('of a take-over that died at whichever operation leaves nothing', async () => {
    for (let operations = 1; operations <= 60; operations++) {
      const first = start();
      await bury(first, await open(first));
      const second = start();
      second.dieAfter(operations);
      const late = await open(second).catch(() => undefined);
      await bury(second, late);
      const manager = await open(start());
      expect(world.ledger.strangers(), `after ${operations} operations`).toEqual([]);
      await manager.close();
    }
  });
});

describe('having no descriptors left says nothing about a checkpoint', () => {
  test('one with a tag that cannot be read stays', async () => {
    const process = start();
    const manager = await open(process);
    const { name } = await manager.save(smallRequest(1, 10));
    await manager.tag('precious', name);
    process.fails = (operation) => (operation === 'readlink' ? 'EMFILE' : undefined);
    const outcome = await manager.save(smallRequest(2, 10)).catch((error: { code: string }) => error.code);
    process.fails = undefined;
    expect(outcome).toBe('ERR_RESOURCES');
    expect((await manager.restore(name))?.info.step).toBe(1);
    await manager.close();
  });

  test('an older one is not restored in its place', async () => {
    const process = start();
    const manager = await open(process, { keep: keep.all() });
    await manager.save(smallRequest(1, 10));
    const { name } = await manager.save(smallRequest(2, 10));
    // With it, nothing would be read of the checkpoint before it is chosen.
    world.ledger.node?.erase('registry.json');
    process.fails = (operation, file) => (operation === 'open' && file.includes(name) ? 'EMFILE' : undefined);
    await rejection(manager.restore(), 'ERR_RESOURCES');
    process.fails = undefined;
    expect((await manager.restore())?.info.step).toBe(2);
    await manager.close();
  });

  test('an operation that fails at the end of a restore does not make it fail', async () => {
    const process = start();
    const manager = await open(process);
    await manager.save(smallRequest(1, 10));
    process.fails = (operation, file) => (operation === 'close' && file.endsWith('model.safetensors') ? 'EIO' : undefined);
    expect((await manager.restore())?.info.step).toBe(1);
    process.fails = undefined;
    await manager.close();
  });
});
