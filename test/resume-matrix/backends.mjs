// TensorFlow.js with one backend active.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import util from 'node:util';

export const BACKENDS = ['cpu', 'wasm', 'node'];

const PLACE = fileURLToPath(new URL('../../.cache/tfjs-node/node_modules/@tensorflow/tfjs-node', import.meta.url));

export async function loadTf(backend) {
  const tf = backend === 'node' ? loadNode() : await import('@tensorflow/tfjs');
  if (backend === 'wasm') await import('@tensorflow/tfjs-backend-wasm');
  if (!(await tf.setBackend(backend === 'node' ? 'tensorflow' : backend))) throw new Error(`the backend ${backend} cannot be made active`);
  return tf;
}

function loadNode() {
  if (!existsSync(`${PLACE}/../../../ready.json`)) throw new Error('tfjs-node is not set up; run "npm run setup:tfjs-node"');
  // tfjs-node 4.22 uses what Node.js 24 has removed.
  util.isNullOrUndefined ??= (value) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  return createRequire(import.meta.url)(PLACE);
}
