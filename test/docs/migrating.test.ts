/** The lines of docs/MIGRATING.md run: each with a model, a manager and a checkpoint of its own; callbacks in a fit, options in an `open`. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';

/** What stands on the right side of the tables: the first code of the last column. */
function linesOf(document: string): string[] {
  const text = readFileSync(fileURLToPath(new URL(`../../${document}`, import.meta.url)), 'utf8');
  const rows = [...text.matchAll(/^\| (.*) \| (.*) \|$/gm)].map(([, , right = '']) => right);
  return rows.flatMap((right) => /^`([^`]+)`/.exec(right)?.[1] ?? []);
}

const PROGRAM = `
  import { spawnSync } from 'node:child_process';
  import { mkdirSync } from 'node:fs';
  import * as tf from '@tensorflow/tfjs';
  import * as holdfast from 'holdfast';
  import * as tfjs from 'holdfast/tfjs';
  const AsyncFunction = (async () => {}).constructor;
  const [directory, cli, ...lines] = process.argv.slice(1);
  tf.enableProdMode();
  await tf.setBackend('cpu');

  class Scale extends tf.layers.Layer {
    static className = 'Scale';
  }

  function buildModel() {
    const layers = [tf.layers.dense({ name: 'first', inputShape: [4], units: 4 }), tf.layers.dense({ name: 'second', units: 4 })];
    const model = tf.sequential({ layers });
    model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError', metrics: ['accuracy'] });
    return model;
  }

  /** What the document leaves to its reader. */
  async function makeScope() {
    const model = buildModel();
    const [x, y] = [tf.ones([8, 4]), tf.ones([8, 4])];
    await model.fit(x, y, { epochs: 1, verbose: 0 });
    const metrics = { loss: 2, val_loss: 1, val_accuracy: 0.5 };
    const manager = await holdfast.CheckpointManager.open('run', { trigger: holdfast.every.steps(1), keep: holdfast.keep.all() });
    const variables = { 'first/kernel': model.weights[0].read() };
    const optimizer = line().includes('Variables') ? undefined : model.optimizer;
    if (line().startsWith('await restoreVariables')) await tfjs.saveVariables(manager, variables, { step: 500, metrics });
    else await tfjs.saveModel(manager, model, { step: 500, epoch: 1, metrics });
    return { Scale, tf, model, optimizer, manager, variables, metrics, step: 501, epoch: 2, x, y, scheduler: { state: () => ({ epoch: 1 }) } };
  }

  let current = 0;
  const line = () => lines[current];
  for (; current < lines.length; current++) {
    const place = directory + '/' + current;
    mkdirSync(place);
    process.chdir(place);
    const scope = { ...holdfast, ...tfjs, ...(await makeScope()) };
    try {
      const { manager, model, x, y } = scope;
      if (line().startsWith('npx holdfast ')) {
        const args = line().split(' ').slice(2);
        const { status, stderr } = spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' });
        if (status !== 0) throw new Error(stderr);
        continue;
      }
      const isExpression = /^(new |\\{)/.test(line());
      const run = new AsyncFunction('scope', 'with (scope) { ' + (isExpression ? 'return (' + line() + ')' : line()) + ' }');
      const value = await run(scope);
      if (line().startsWith('{')) await (await holdfast.CheckpointManager.open('options', value)).close();
      if (line().startsWith('new ')) {
        const args = { epochs: 2, batchSize: 2, validationData: [x, y], verbose: 0, callbacks: [value] };
        await manager.close();
        await model.fit(x, y, args);
      }
      await manager.close();
    } catch (error) {
      console.log(line() + '  →  ' + error.message);
    }
  }
  process.exit();
`;

test('every line runs', { timeout: 120_000 }, async () => {
  const lines = linesOf('docs/MIGRATING.md');
  expect(lines.length).toBeGreaterThan(70);
  const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  const { stdout, stderr, code } = await ended(startNode(PROGRAM, [freshDirectory(), cli, ...lines]));
  expect({ failed: stdout.split('\n').filter((each) => each.includes('  →  ')), code }).toEqual({ failed: [], code: 0 });
  expect(stderr.replaceAll(/.*HoldfastWarning.*\n|\(Use `node --trace-warnings.*\n/g, '')).toBe('');
});
