/** What the examples compute with: TensorFlow.js as it is, or the native tfjs-node where it is set up. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import util from 'node:util';
import { UsageError } from './command-line.mjs';

/** Where `npm run setup:tfjs-node` puts it. */
const SET_UP = fileURLToPath(new URL('../.cache/tfjs-node/node_modules/@tensorflow/tfjs-node', import.meta.url));

/** Lets `tf`, the package @tensorflow/tfjs, compute with `name`: cpu or node. Throws UsageError where that is not there. */
export async function useBackend(tf, name) {
  // Without the advice to install tfjs-node.
  tf.enableProdMode();
  if (name === 'cpu') await tf.setBackend('cpu');
  else if (name === 'node') await useNode(tf);
  else throw new UsageError(`--backend must be cpu or node, not ${JSON.stringify(name)}.`);
}

/** All packages of TensorFlow.js in a process share one engine: to load tfjs-node is enough. */
async function useNode(tf) {
  // tfjs-node 4.22 uses what Node.js 24 has removed.
  util.isNullOrUndefined ??= (value) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  // Quicker kernels whose results depend on the machine; it says so at every start.
  process.env['TF_ENABLE_ONEDNN_OPTS'] ??= '0';
  // What finds its binding takes the options of this program for its own.
  const { argv } = process;
  process.argv = argv.slice(0, 2);
  try {
    createRequire(import.meta.url)(existsSync(SET_UP) ? SET_UP : '@tensorflow/tfjs-node');
  } catch (error) {
    throw new UsageError(`--backend node needs tfjs-node (npm run setup:tfjs-node): ${error.message.split('\n', 1)[0]}`);
  } finally {
    process.argv = argv;
  }
  await tf.setBackend('tensorflow');
}
