/** What saving and restoring variables must do on every backend. */
import { readdirSync } from 'node:fs';
import type * as tensorflow from '@tensorflow/tfjs';
import { describe, expect, test } from 'vitest';
import { keep } from '../../src/policy/keep.js';
import { every } from '../../src/policy/trigger.js';
import { restoreVariables, saveVariables, saveVariablesAsync, stepVariables } from '../../src/tfjs/index.js';
import { freshDirectory } from './directory.js';
import { openManager } from './manager.js';
import { alive, fieldsOf, numbers, OPTIMIZERS, type Tf } from './tfjs.js';
import type { LoadedBackend } from './tfjs-backends.js';

const SHAPES = { embedding: [5, 4], 'block/0/w': [4, 3], 'block/0/b': [3], frozen: [2] } as const;

export type Named = Record<string, tensorflow.Variable>;

/** The variables of a small net; `frozen` is not trained, and `order` is that in which they are made. */
export function makeVariables(tf: Tf, seed = 1, order = Object.keys(SHAPES)): Named {
  const made = Object.fromEntries(
    order.map((name) => {
      const shape = SHAPES[name as keyof typeof SHAPES] as unknown as number[];
      const value = tf.tensor(numbers(tf.util.sizeFromShape(shape), seed + name.length), shape);
      const variable = tf.variable(value, name !== 'frozen');
      value.dispose();
      return [name, variable];
    }),
  );
  return Object.fromEntries(Object.keys(SHAPES).map((name) => [name, made[name] as tensorflow.Variable]));
}

/** Trains for the steps `from` to `to`, as a loop of core operations does. */
export function trainVariables(
  tf: Tf,
  variables: Named,
  optimizer: tensorflow.Optimizer,
  from: number,
  to: number,
  list = trained(variables),
) {
  const [embedding, w, b] = [variables['embedding'], variables['block/0/w'], variables['block/0/b']] as tensorflow.Variable[];
  for (let step = from; step < to; step++) {
    optimizer.minimize(
      () => {
        const rows = tf.oneHot([step % 5, (step + 2) % 5], 5).toFloat();
        const out = rows
          .matMul(embedding as tensorflow.Tensor2D)
          .matMul(w as tensorflow.Tensor2D)
          .add(b as tensorflow.Variable);
        return out
          .tanh()
          .sub(0.1 * (step % 7))
          .square()
          .mean()
          .asScalar();
      },
      false,
      list,
    );
  }
}

function trained({ frozen, ...rest }: Named): tensorflow.Variable[] {
  return Object.values(rest);
}

export function valuesOf(variables: Named): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).map(([name, variable]) => {
      const data = variable.dataSync();
      return [
        name,
        variable.dtype === 'string'
          ? [...(data as unknown as string[])].join('|')
          : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex'),
      ];
    }),
  );
}

export function variablesSuite({ tf, hasComplex }: LoadedBackend): void {
  const dispose = (variables: Named) => {
    for (const variable of Object.values(variables)) variable.dispose();
  };

  describe.each(Object.entries(OPTIMIZERS))('%s', (_, makeOptimizer) => {
    test('goes on exactly in variables made anew, with an optimizer that has not taken a step, and no tensor stays', async () => {
      const manager = await openManager(freshDirectory());
      const [variables, optimizer] = [makeVariables(tf), makeOptimizer(tf)];
      trainVariables(tf, variables, optimizer, 0, 5);
      const atSave = { values: valuesOf(variables), optimizer: fieldsOf(optimizer) };
      const before = alive(tf);
      const saving = saveVariables(manager, variables, { step: 5, optimizer, state: { a: 1 }, dataPosition: [3] });
      trainVariables(tf, variables, optimizer, 5, 12);
      const { path } = await saving;
      expect(alive(tf)).toEqual(before);
      expect(readdirSync(path)).not.toContain('model.json');
      const [others, other] = [makeVariables(tf, 9), makeOptimizer(tf)];
      const restored = await restoreVariables(manager, others, 'latest', { optimizer: other });
      expect(restored).toMatchObject({ step: 5, optimizerRestored: true, state: { a: 1 }, dataPosition: [3] });
      expect({ values: valuesOf(others), optimizer: fieldsOf(other) }).toEqual(atSave);
      const slots = alive(tf);
      await restoreVariables(manager, others, 'latest', { optimizer: other });
      expect(alive(tf)).toEqual(slots);
      trainVariables(tf, others, other, 5, 12);
      expect({ values: valuesOf(others), optimizer: fieldsOf(other) }).toEqual({
        values: valuesOf(variables),
        optimizer: fieldsOf(optimizer),
      });
      for (const each of [optimizer, other]) each.dispose();
      for (const each of [variables, others]) dispose(each);
    });
  });

  test.each([
    ['listed', (variables: Named) => trained(variables).reverse()],
    ['made', () => undefined],
  ] as const)('state follows its variables where they are %s in another order', async (_, toList) => {
    const manager = await openManager(freshDirectory());
    const [variables, optimizer] = [makeVariables(tf), tf.train.adam(0.01)];
    trainVariables(tf, variables, optimizer, 0, 5);
    await saveVariables(manager, variables, { step: 5, optimizer });
    const reversed = makeVariables(tf, 9, Object.keys(SHAPES).reverse());
    const other = tf.train.adam(0.5);
    await restoreVariables(manager, reversed, 'latest', { optimizer: other });
    trainVariables(tf, variables, optimizer, 5, 9);
    trainVariables(tf, reversed, other, 5, 9, toList(reversed) as tensorflow.Variable[]);
    expect(valuesOf(reversed)).toEqual(valuesOf(variables));
    // And the next checkpoint has it under the right names.
    await saveVariables(manager, reversed, { step: 9, optimizer: other });
    const [third, fresh] = [makeVariables(tf, 3), tf.train.adam(0.1)];
    await restoreVariables(manager, third, 'latest', { optimizer: fresh });
    for (const [each, by] of [
      [variables, optimizer],
      [third, fresh],
    ] as const)
      trainVariables(tf, each, by, 9, 12);
    expect(valuesOf(third)).toEqual(valuesOf(variables));
    for (const each of [optimizer, other, fresh]) each.dispose();
    for (const each of [variables, reversed, third]) dispose(each);
  });

  test('in the background, from a trigger, and from a Map or a list', async () => {
    const manager = await openManager(freshDirectory(), { trigger: every.steps(2), keep: keep.all() });
    const [variables, optimizer] = [makeVariables(tf), tf.train.adam(0.01)];
    trainVariables(tf, variables, optimizer, 0, 2);
    const before = alive(tf);
    const atTwo = valuesOf(variables);
    expect((await stepVariables(manager, variables, { step: 1, optimizer })).due).toBe(false);
    const { pending } = await stepVariables(manager, new Map(Object.entries(variables)), { step: 2, optimizer, rng: () => [7] });
    trainVariables(tf, variables, optimizer, 2, 4);
    await pending?.committed;
    const { committed } = await saveVariablesAsync(manager, variables, { step: 5, optimizer });
    await committed;
    expect(alive(tf)).toEqual(before);
    const target = new Map(Object.entries(makeVariables(tf, 9)));
    const other = tf.train.adam(0.01);
    expect(await restoreVariables(manager, target, { step: 2 }, { optimizer: other })).toMatchObject({ rng: [7], step: 2 });
    expect(valuesOf(Object.fromEntries(target))).toEqual(atTwo);
    const named = tf.variable(tf.tensor1d([1, 2]), true, 'named');
    await saveVariables(manager, [named], { step: 6 });
    named.assign(tf.tensor1d([5, 6]));
    expect(await restoreVariables(manager, [named])).toMatchObject({ step: 6, optimizerRestored: false });
    expect([...named.dataSync()]).toEqual([1, 2]);
    named.dispose();
    for (const each of [optimizer, other]) each.dispose();
    for (const each of [variables, Object.fromEntries(target)]) dispose(each);
  });

  test('all dtypes', async () => {
    const manager = await openManager(freshDirectory());
    const make = (fill: number) =>
      tf.tidy(
        (): Named =>
          ({
            f: tf.variable(tf.tensor1d([fill, Number.NaN, -0])),
            i: tf.variable(tf.tensor1d([fill, -5], 'int32')),
            b: tf.variable(tf.tensor1d([true, fill === 0, false], 'bool')),
            s: tf.variable(tf.tensor2d([['ü', `${fill}`]], [1, 2], 'string')),
            empty: tf.variable(tf.zeros([0, 3])),
            ...(hasComplex ? { c: tf.variable(tf.complex([fill, 2], [3, -fill])) } : {}),
          }) as never,
      ) as Named;
    const [variables, others] = [make(7), make(0)];
    const before = alive(tf);
    await saveVariables(manager, variables, { step: 1 });
    await restoreVariables(manager, others);
    expect(alive(tf)).toEqual(before);
    expect(valuesOf(others)).toEqual(valuesOf(variables));
    expect([...(others['s'] as tensorflow.Variable).dataSync()]).toEqual(['ü', '7']);
    for (const each of [variables, others]) dispose(each);
  });
}
