/**
 * Training in a process that is killed goes on in another one, bit by bit: twelve of the 54 cases of test/resume-matrix, which `npm run test:resume` has all
 * of. HOLDFAST_RESUME_SEED has them die elsewhere.
 */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import * as holdfast from '../../../src/tfjs/index.js';
import { NAMES, PAIRWISE } from '../../resume-matrix/cases.mjs';
import { type GoOn, killCase, planOf } from '../../resume-matrix/one-case.mjs';

const SEED = Number(process.env['HOLDFAST_RESUME_SEED'] ?? 1);

beforeAll(async () => {
  await tf.setBackend('cpu');
});

test('twelve cases have as many pairs of what they are made of as twelve can', () => {
  const pairs = PAIRWISE.flatMap((name) => {
    const [optimizer, model, data] = name.split(' ');
    return [`${optimizer} ${model}`, `${optimizer} ${data}`, `${model} ${data}`];
  });
  expect(PAIRWISE.filter((name) => !NAMES.includes(name))).toEqual([]);
  expect(NAMES.length).toBe(54);
  expect(new Set(pairs).size).toBe(12 + 12 + 6);
  expect(new Set(PAIRWISE.map((name) => name.split(' ')[0])).size).toBe(9);
});

describe('killed and gone on, everything is as if nothing had been', () => {
  const killed = new Map<string, Promise<GoOn>>();

  beforeAll(() => {
    // Two at a time, while this process trains what has died already.
    const lanes: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()];
    for (const [i, name] of PAIRWISE.entries()) {
      const dead = (lanes[i % 2] as Promise<unknown>).then(() => killCase({ backend: 'cpu', name, plan: planOf(name, SEED) }));
      killed.set(name, dead);
      lanes[i % 2] = dead.catch(() => {});
    }
  });

  test.each(PAIRWISE)('%s', async (name) => {
    const goOn = await (killed.get(name) as Promise<GoOn>);
    expect(await goOn({ tf, holdfast }), JSON.stringify(planOf(name, SEED))).toMatchObject({ different: [] });
  });
});

describe('killed while a checkpoint is half written', () => {
  test.each([1, 18])('from step %i on', async (step) => {
    const plan = { saveFreq: 1, kills: [{ step, at: 'saving' }], seed: 'saves' };
    const goOn = await killCase({ backend: 'cpu', name: 'Adam dense array', plan });
    expect(await goOn({ tf, holdfast })).toMatchObject({ different: [] });
  });
});
