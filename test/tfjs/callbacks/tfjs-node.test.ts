/** On the real tfjs-node: callbacks in one list, best weights and learning rates, and no tensor that stays. */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, restoreModel, TerminateOnNaN } from '../../../src/tfjs/index.js';
import { freshDirectory } from '../../helpers/directory.js';
import { openManager } from '../../helpers/manager.js';
import { alive, sequentialModel, type Tf, weightsOf } from '../../helpers/tfjs.js';
import { fitScript } from '../../helpers/tfjs-fit.js';
import { loadTfjsNode } from '../../helpers/tfjs-node.js';

const { tf: found, reason } = loadTfjsNode();
if (found === undefined) console.warn(`Tests on tfjs-node are left out: ${reason}.`);
const tf = found as Tf;

describe.runIf(found !== undefined)('on tfjs-node', () => {
  test('the best weights come back, the best checkpoint holds them, and nothing stays', async () => {
    const directory = freshDirectory();
    const model = sequentialModel(tf, tf.train.adam(0.01));
    await fitScript(tf, model, { val_loss: [1] }, []);
    const before = alive(tf);
    const seen: unknown[] = [];
    const { history } = await fitScript(tf, model, { val_loss: [3, 1, 2, 2, 2] }, [
      new ModelCheckpoint(`${directory}/best_model`, { saveBestOnly: true }),
      tf.callbacks.earlyStopping({ monitor: 'loss', patience: 99 }),
      { onEpochEnd: () => void seen.push(weightsOf(model)) },
      new ReduceLROnPlateau({ patience: 1, factor: 0.5 }),
      new EarlyStopping({ patience: 3, restoreBestWeights: true }),
      new TerminateOnNaN(),
    ]);
    expect(alive(tf)).toEqual(before);
    expect(history['lr']).toEqual([0.01, 0.01, 0.01, 0.005, 0.0025]);
    expect(weightsOf(model)).toEqual(seen[1]);
    expect(readdirSync(directory)).toContain('best_model.2');
    const other = sequentialModel(tf, tf.train.adam(0.01));
    await restoreModel(await openManager(directory), other, 'best_model');
    expect(weightsOf(other)).toEqual(seen[1]);
  });
});
