/** A disk that is full: the save fails, unless retention may run first. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { keep } from '../../src/policy/keep.js';
import type { RetentionRule } from '../../src/policy/retention.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';
import { openManager } from '../helpers/manager.js';
import { CAN_MOUNT, mountTmpfs } from '../helpers/mounts.js';

const MIB = 2 ** 20;

/** One of a MiB. */
function request(step: number, metrics: Readonly<Record<string, number>> = {}) {
  return { step, metrics, tensors: { x: { dtype: 'U8' as const, shape: [MIB], data: new Uint8Array(MIB).fill(step) } } };
}

function stepsOf(directory: string): number[] {
  const names = readdirSync(directory).filter((name) => name.startsWith('checkpoint_'));
  return names.map((name) => Number(/step(\d+)/.exec(name)?.[1])).sort((a, b) => a - b);
}

describe.skipIf(!CAN_MOUNT).each(ENGINES)('a disk with room for three, %s engine', (engine) => {
  const SIZE = 4 * MIB;

  test('without makeRoom the save fails, and says what would help', async () => {
    const manager = await openManager(mountTmpfs(SIZE), { engine, keep: keep.last(3) });
    for (const step of [1, 2, 3]) await manager.save(request(step));
    const error = await rejection(manager.save(request(4)), 'ERR_NO_SPACE');
    expect(error.message).toContain('makeRoom: true');
    expect(stepsOf(manager.directory)).toEqual([1, 2, 3]);
  });

  test('with it, what retention lets go anyway goes first', async () => {
    const manager = await openManager(mountTmpfs(SIZE), { engine, keep: keep.last(3), makeRoom: true });
    for (const step of [1, 2, 3]) await manager.save(request(step));
    const { removed, warnings } = await manager.save(request(4));
    expect([removed, warnings, stepsOf(manager.directory)]).toEqual([['checkpoint_step00000001'], [], [2, 3, 4]]);
    expect([...new Set((await manager.restore())!.tensors.get('x')!.data as Uint8Array)]).toEqual([4]);
  });

  test('nothing goes before it must: while there is room retention is asked once for a save, and twice where there is none', async () => {
    let asked = 0;
    const rule: RetentionRule = {
      description: 'the last three',
      keeps: (entries) => {
        asked++;
        return entries.slice(-3);
      },
    };
    const manager = await openManager(mountTmpfs(SIZE), { engine, keep: rule, makeRoom: true });
    for (const step of [1, 2, 3]) await manager.save(request(step));
    expect(asked).toBe(3);
    await manager.save(request(4));
    expect(asked).toBe(5);
  });

  test('the newest, the best and the tagged stay, also where that means that the save fails', async () => {
    const manager = await openManager(mountTmpfs(SIZE), { engine, monitor: 'loss', keep: keep.last(1), makeRoom: true });
    await manager.save(request(1, { loss: 0.1 }));
    await manager.save({ ...request(2, { loss: 0.5 }), tags: ['paper'] });
    await manager.save(request(3, { loss: 0.4 }));
    await manager.flush();
    expect(stepsOf(manager.directory)).toEqual([1, 2, 3]);
    await rejection(manager.save(request(4, { loss: 0.3 })), 'ERR_NO_SPACE');
    expect(stepsOf(manager.directory)).toEqual([1, 2, 3]);
    await manager.untag('paper');
    await manager.save(request(5, { loss: 0.2 }));
    await manager.flush();
    expect(stepsOf(manager.directory)).toEqual([1, 5]);
  });

  test('a save that becomes the best lets the old best go only when it is there', async () => {
    const manager = await openManager(mountTmpfs(3 * MIB), { engine, monitor: 'loss', keep: keep.last(1), makeRoom: true });
    await manager.save(request(1, { loss: 0.5 }));
    await manager.save(request(2, { loss: 0.9 }));
    // Both have to stay until the third is there, and there is no room for three.
    await rejection(manager.save(request(3, { loss: 0.1 })), 'ERR_NO_SPACE');
    expect(stepsOf(manager.directory)).toEqual([1, 2]);
  });

  test('where the room does not suffice all the same, the save fails, and nothing but that is lost', async () => {
    const mount = mountTmpfs(SIZE);
    const manager = await openManager(path.join(mount, 'c'), { engine, keep: keep.last(2), makeRoom: true });
    for (const step of [1, 2]) await manager.save(request(step));
    writeFileSync(path.join(mount, 'others'), new Uint8Array(1.5 * MIB));
    const error = await rejection(
      manager.save({ step: 3, tensors: { x: { dtype: 'U8', shape: [3 * MIB], data: new Uint8Array(3 * MIB) } } }),
      'ERR_NO_SPACE',
    );
    expect(error.message).toMatch(/does not fit.*retention had removed checkpoint_step00000001\./s);
    expect(error.path).toBe(manager.directory);
    expect(stepsOf(manager.directory)).toEqual([2]);
    expect(readdirSync(manager.directory).filter((name) => name.startsWith('.tmp-'))).toEqual([]);
    rmSync(path.join(mount, 'others'));
    await manager.save(request(4));
    expect((await manager.restore())?.step).toBe(4);
  });

  test('a rule that throws costs no checkpoint, only the save', async () => {
    const rule: RetentionRule = {
      description: 'broken',
      keeps: () => {
        throw new Error('broken rule');
      },
    };
    const manager = await openManager(mountTmpfs(SIZE), { engine, keep: rule, makeRoom: true });
    for (const step of [1, 2, 3]) await manager.save(request(step));
    await rejection(manager.save(request(4)), 'ERR_NO_SPACE');
    expect(stepsOf(manager.directory)).toEqual([1, 2, 3]);
  });
});
