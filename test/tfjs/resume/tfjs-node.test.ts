/** Exact resume on the real tfjs-node, where it is set up. */
import { beforeAll, describe, expect, test } from 'vitest';
import * as holdfast from '../../../src/tfjs/index.js';
import type { Tf } from '../../helpers/tfjs.js';
import { loadTfjsNode } from '../../helpers/tfjs-node.js';
import { killCase, planOf } from '../../resume-matrix/one-case.mjs';

const { tf, reason } = loadTfjsNode();
if (tf === undefined) console.warn(`Exact resume on tfjs-node is left out: ${reason}`);

describe.runIf(tf !== undefined)('tfjs-node', () => {
  beforeAll(async () => {
    await (tf as Tf).setBackend('tensorflow');
  });

  test.each(['Adam conv tf.data', 'Adamax lstm array', 'RMSProp-centered dense array'])('%s', async (name) => {
    const plan = planOf(name, 1);
    const goOn = await killCase({ backend: 'node', name, plan });
    expect(await goOn({ tf: tf as Tf, holdfast }), JSON.stringify(plan)).toMatchObject({ different: [] });
  });

  test('a model of a size that several threads share gives the same bits when it is trained again', async () => {
    const weights = [];
    for (let time = 0; time < 2; time++) {
      const random = holdfast.installRandom('threads');
      const model = conv(tf as Tf);
      const [x, y] = [(tf as Tf).randomUniform([64, 24, 24, 3]), (tf as Tf).randomUniform([64, 10])];
      await model.fit(x, y, { epochs: 2, batchSize: 32, verbose: 0 });
      random.uninstall();
      weights.push(Buffer.concat(model.getWeights().map((weight) => Buffer.from(weight.dataSync().buffer))).toString('base64'));
      (tf as Tf).dispose([x, y]);
      model.dispose();
    }
    expect(weights[0]).toBe(weights[1]);
  });
});

function conv(tf: Tf) {
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [24, 24, 3], filters: 32, kernelSize: 3, activation: 'relu' }),
      tf.layers.batchNormalization(),
      tf.layers.conv2d({ filters: 32, kernelSize: 3, activation: 'relu' }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 128, activation: 'relu' }),
      tf.layers.dropout({ rate: 0.5 }),
      tf.layers.dense({ units: 10, activation: 'softmax' }),
    ],
  });
  model.compile({ optimizer: 'adam', loss: 'categoricalCrossentropy' });
  return model;
}
