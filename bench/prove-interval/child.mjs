// One life of the training: from the start of the process until somebody kills it. Says on standard output, in lines of JSON, what it does.
import { setImmediate as turn } from 'node:timers/promises';
import { auto, CheckpointManager, every, keep } from '../../dist/index.js';
import { restoreVariables, saveVariables, stepVariables } from '../../dist/tfjs/index.js';
import { loadTf } from '../lib/tfjs.mjs';
import { Job } from './job.mjs';

/** Every so many steps it says where it is. */
const SIGN_STEPS = 4;

const { spawned_ms, directory, backend, experts, seed, policy, mode, verifyWrites, prepare, trains_s } = JSON.parse(process.argv[2]);

/** Seconds since the parent asked for this process. */
const sinceSpawn_s = () => (performance.timeOrigin + performance.now() - spawned_ms) / 1000;

/** A pipe takes it before the call returns: what was said is not lost with the process. */
function say(event) {
  process.stdout.write(`${JSON.stringify({ ...event, at_s: round(sinceSpawn_s()) })}\n`);
}

function round(value) {
  return Number(value.toFixed(4));
}

function triggerOf({ kind, every_s, prior_s }) {
  if (kind === 'auto') return auto({ prior: { mtbf: { seconds: prior_s } } });
  return kind === 'fixed' ? every.seconds(every_s) : undefined;
}

/** Trains until it is killed, or for `trains_s`. */
async function train(manager, job, from) {
  const ends_s = trains_s === undefined ? Number.POSITIVE_INFINITY : sinceSpawn_s() + trains_s;
  let released_s = sinceSpawn_s();
  let previous = from;
  for (let step = from + 1; sinceSpawn_s() < ends_s; step++) {
    const loss = job.step(step);
    const isSign = step % SIGN_STEPS === 0;
    if (isSign) say({ event: 'step', step, loss });
    if (policy.kind !== 'none') {
      const began_s = sinceSpawn_s();
      const { due, pending } = await stepVariables(manager, job.variables, { step, metrics: { loss } });
      if (due) {
        say({ event: 'saving', step, loss });
        const save = { step, work_s: round(began_s - released_s), steps: step - previous, interval_s: round(manager.interval.interval_s) };
        const durable = pending.committed.then(({ seconds: { total } }) => {
          const cost_s = mode === 'sync' ? sinceSpawn_s() - began_s : pending.stallMs / 1000;
          say({ event: 'saved', ...save, cost_s: round(cost_s), persist_s: round(mode === 'sync' ? 0 : total - cost_s) });
        });
        if (mode === 'sync') await durable;
        released_s = sinceSpawn_s();
        previous = step;
      }
    }
    // A turn for the event loop, so that this process hears of its saves.
    await turn();
  }
}

// The parent is gone: nobody counts these steps.
process.stdout.on('error', () => process.exit(1));

const tf = await loadTf(backend);
const job = new Job(tf, { experts, seed, isNew: prepare });
const options = { keep: keep.last(2), verifyWrites };
const trigger = triggerOf(policy);
const manager = await CheckpointManager.open(directory, trigger === undefined ? options : { ...options, trigger });
if (prepare) {
  await saveVariables(manager, job.variables, { step: 0 });
} else {
  const restored = await restoreVariables(manager, job.variables);
  if (restored === null) throw new Error(`There is no checkpoint in ${directory} to go on from.`);
  say({ event: 'restored', step: restored.step, skipped: restored.skipped.length });
  await train(manager, job, restored.step);
}
await manager.close();
