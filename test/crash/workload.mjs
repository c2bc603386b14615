// The process whose saves are recorded: `node workload.mjs '{"protocol":…}'`, started by record.mjs.
//
// After each acknowledgement it notes how long the block log is. All that the save waited for had been
// answered, and so logged, before the acknowledgement; hence every crash state that holds at least the
// entries begun within that length must hold the checkpoint. The notes lie outside the recorded file system.
import { appendFileSync, mkdirSync, statSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { metricsOf, stateOf, tensorsOf } from './contents.mjs';
import { makeRandom, mix } from './prng.mjs';

const options = JSON.parse(process.argv[2]);
const { seed, steps, dir, acks, log } = options;
const { open } = await import(options.protocol === 'library' ? './adapter.mjs' : './protocol.mjs');
const random = makeRandom(mix(seed, 20));
const parent = process.ppid;

let syncer;
let session = await open(dir, options);
note('engine', 0, { name: session.engine });
for (let step = 1; step <= steps; ) {
  // Whoever started the recording was killed: hold its mount no longer.
  if (process.ppid !== parent) process.exit(1);
  // A new manager in the middle: its opening (lock, sweep) is recorded too, and then buffered writing, beside
  // somebody who syncs. His flushes cut saves and deletions into parts that the file system would otherwise
  // commit at once; they would also hide a missing flush, so he is not there in the first half.
  if (step > steps / 2 && !options.buffered) {
    syncer = startSyncer();
    await session.close();
    options.buffered = true;
    session = await open(dir, options);
  }
  writeNoise(step);
  // Now and then two saves are under way at once.
  const together = step < steps && random.chance(0.2) ? 2 : 1;
  await Promise.all(Array.from({ length: together }, (_, index) => save(step + index)));
  step += together;
  await sleep(random.below(25));
}
await session.close();
await syncer.stop();

async function save(step) {
  const tensors = tensorsOf(seed, step);
  note('begin', step);
  const saved = session.save({ step, tensors, state: stateOf(seed, step), metrics: metricsOf(seed, step) });
  // Training goes on at once: what it does to the memory must not reach the checkpoint.
  for (const { data } of tensors) data.fill(77);
  const { direct } = await saved;
  note('ack', step, { direct });
}

function note(kind, step, more = {}) {
  appendFileSync(acks, `${JSON.stringify({ kind, step, ...more, logBytes: statSync(log).size })}\n`);
}

/** Writes and syncs a file of its own, over and over. */
function startSyncer() {
  let stopped = false;
  const running = (async () => {
    const file = await openFile(path.join(path.dirname(dir), 'other.log'), 'a');
    while (!stopped) {
      await file.write('.');
      await file.sync();
      await sleep(1);
    }
    await file.close();
  })();
  return {
    stop: () => {
      stopped = true;
      return running;
    },
  };
}

/** Unsynced writes of somebody else: more transactions, and writes in flight around the saves' own. */
function writeNoise(step) {
  const root = path.dirname(dir);
  appendFileSync(path.join(root, 'train.log'), `step ${step} `.repeat(1 + random.below(400)));
  if (random.chance(0.3)) mkdirSync(path.join(root, `events-${step}`));
}
