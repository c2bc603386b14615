/**
 * `import 'holdfast/tfjs/register'` after TensorFlow.js: registers `holdfast://` with every copy of it that is loaded. Throws `ERR_UNSUPPORTED` where there is none.
 */
import { createRequire } from 'node:module';
import { HoldfastError } from '../errors.js';
import type { Tf } from './engine.js';
import { registerHoldfast } from './io/register.js';

/** Their main modules, which are CommonJS however they are imported. */
const MAIN = /[\\/]@tensorflow[\\/]tfjs(-node|-node-gpu)?[\\/]dist[\\/](index|tf\.node)\.js$/;

const { cache } = createRequire(import.meta.url);
const loaded = Object.entries(cache).flatMap(([file, module]) =>
  MAIN.test(file) && module?.loaded === true ? [module.exports as Tf] : [],
);
if (loaded.length === 0) {
  throw new HoldfastError(
    'ERR_UNSUPPORTED',
    'holdfast/tfjs/register found no TensorFlow.js. Import @tensorflow/tfjs-node-gpu, @tensorflow/tfjs-node or @tensorflow/tfjs before it, or call registerHoldfast(tf) yourself.',
  );
}
for (const tf of loaded) registerHoldfast(tf);
