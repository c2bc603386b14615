/**
 * Serves the best model to a browser: the checkpoint directory as static files, and a page that loads `best/model.json` with stock
 * TensorFlow.js and reads digits that you draw. Trains first where there is nothing to serve yet.
 *
 *   node examples/serving/serve.mjs --help
 */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { parseOptions, runMain, UsageError, wholeNumber } from '../command-line.mjs';
import { serveStatic } from './static-files.mjs';
import { openDirectory, trainDigits } from './train.mjs';

const HELP = `Serves the best model of a checkpoint directory to a browser, as static files, with a page that reads digits drawn on it.
Where there is no checkpoint yet, it trains: the page then shows each better model as soon as it is saved.

Usage: node examples/serving/serve.mjs [options]

  --dir DIR        directory of the checkpoints (default: serving-run)
  --port N         port to listen at, 0 for any free one (default: 8080)
  --host NAME      address to listen at (default: 127.0.0.1, which only this computer reaches)
  --epochs N       epochs to train where there is no checkpoint yet (default: 4)
  --samples N      train with no more than N digits (default: all)
  --no-serve       only train
  --help           this text

Examples:
  node examples/serving/serve.mjs
  node examples/serving/serve.mjs --dir /tmp/digits --port 0 --epochs 2 --samples 1000`;

function readOptions(args) {
  const { dir, port, host, epochs, samples, ...values } = parseOptions(args, HELP, {
    dir: { type: 'string', default: 'serving-run' },
    port: { type: 'string', default: '8080' },
    host: { type: 'string', default: '127.0.0.1' },
    epochs: { type: 'string', default: '4' },
    samples: { type: 'string' },
    'no-serve': { type: 'boolean', default: false },
  });
  return {
    ...{ dir, host, serve: !values['no-serve'] },
    port: wholeNumber('--port', port, { min: 0, max: 65535 }),
    epochs: wholeNumber('--epochs', epochs),
    samples: wholeNumber('--samples', samples),
  };
}

/** Listens; gives the server. */
async function listen({ dir, host, port }) {
  const server = serveStatic({
    '/': fileURLToPath(new URL('page/', import.meta.url)),
    '/tf.min.js': createRequire(import.meta.url).resolve('@tensorflow/tfjs/dist/tf.min.js'),
    '/checkpoints/': dir,
  });
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (error) {
    throw new UsageError(`Cannot listen at ${host}:${port}: ${error.message}. Give another --port, or 0 for any free one.`);
  }
  const { address, port: actual, family } = server.address();
  console.log(`Serving ${dir} at http://${family === 'IPv6' ? `[${address}]` : address}:${actual}/  (Ctrl+C ends it)`);
  return server;
}

/** Trains until there is something to serve: not at all where there is. */
async function trainWhereEmpty(manager, { dir, epochs, samples }) {
  for await (const { name } of manager.list()) {
    console.log(`${dir} has a model already, such as ${name}: nothing to train.`);
    return;
  }
  await trainDigits(manager, {
    epochs,
    samples,
    onEpoch: ({ epoch, metrics, saved }) => {
      const accuracy = `${(100 * metrics.val_accuracy).toFixed(1)} %`;
      console.log(`epoch ${epoch}/${epochs}  loss ${metrics.loss.toFixed(4)}  val_accuracy ${accuracy}${saved ? '  saved: the best' : ''}`);
    },
  });
}

await runMain(async (args) => {
  const options = readOptions(args);
  // Without the advice to install tfjs-node.
  tf.enableProdMode();
  await tf.setBackend('cpu');
  const manager = await openDirectory(options.dir);
  let server;
  try {
    if (options.serve) server = await listen(options);
    await trainWhereEmpty(manager, options);
  } catch (error) {
    server?.close();
    throw error;
  } finally {
    // One process writes to a directory, and serving needs no lock.
    await manager.close();
  }
});
