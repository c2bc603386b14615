/**
 * Training in a process that is killed goes on in another one, bit by bit: twelve of the 54 cases of test/resume-matrix, which `npm run test:resume` has all
 * of. HOLDFAST_RESUME_SEED has them die elsewhere.
 */
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import * as holdfast from '../../../src/tfjs/index.js';
import { NAMES, PAIRWISE } from '../../resume-matrix/cases.mjs';
import { planOf, runCase } from '../../resume-matrix/one-case.mjs';

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
  test.each(PAIRWISE)('%s', async (name) => {
    const plan = planOf(name, SEED);
    expect(await runCase({ tf, holdfast, backend: 'cpu', name, plan }), JSON.stringify(plan)).toMatchObject({ different: [] });
  });
});
