// How far resident memory rises in one save of a TensorFlow.js model, in a process of its own: what earlier saves left to the allocator hides it.
//   node bench/lib/tfjs-memory.mjs BACKEND PARAMS ours|stock|training DIRECTORY
// prints { extraBytes }: the peak above what the trained model takes; `training`: a save of ours while training goes on, above the peak of training alone.
import { setImmediate as turn } from 'node:timers/promises';
import { peakBytes, restartPeak } from '../../dist/bench/memory.js';
import { CheckpointManager } from '../../dist/index.js';
import { saveModelAsync } from '../../dist/tfjs/index.js';
import { exposeGarbageCollection } from './resources.mjs';
import { denseModel, loadTf, trainStep } from './tfjs.mjs';

const [backend, params, what, directory] = process.argv.slice(2);
const tf = await loadTf(backend);
const model = denseModel(tf, Number(params));
for (let i = 0; i < 2; i++) await trainStep(tf, model);
exposeGarbageCollection();
const manager = await CheckpointManager.open(`${directory}/${what}`);
const extraBytes = await measure();
await manager.close();
process.stdout.write(JSON.stringify({ extraBytes }));

async function measure() {
  if (what === 'stock') {
    const target = backend === 'cpu' ? tf.io.withSaveHandler(async () => ({ modelArtifactsInfo: {} })) : `file://${directory}/file`;
    return rise(() => model.save(target, { includeOptimizer: true }));
  }
  if (what === 'ours') return rise(save);
  const alone = await rise(() => train(() => false));
  const beside = await rise(async () => {
    let over = false;
    const saved = save().finally(() => {
      over = true;
    });
    await train(() => !over);
    await saved;
  });
  return alone === null || beside === null ? null : Math.max(0, beside - alone);
}

async function save() {
  const pending = await saveModelAsync(manager, model, { step: 1 });
  await pending.committed;
}

/** At least five steps. */
async function train(goOn) {
  for (let steps = 0; steps < 5 || goOn(); steps++) {
    await trainStep(tf, model);
    await turn();
  }
}

async function rise(work) {
  const before = restartPeak();
  await work();
  const peak = peakBytes();
  return before === null || peak === null ? null : Math.max(0, peak - before);
}
