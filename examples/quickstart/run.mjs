/**
 * What holdfast promises, shown on a real network: a training run that is killed in the middle of a save and resumed
 * ends with exactly the bits of one that never stopped. `npm run quickstart` sets up and runs this.
 */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CheckpointManager } from 'holdfast';
import { heading, megabytes, milliseconds, note, progress, result, verdict } from './report.mjs';
import { runTraining } from './training-process.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const home = path.join(root, 'quickstart-run');
const reference = path.join(home, 'reference');
const checkpoints = path.join(home, 'checkpoints');

const STEPS = 240;
const EVERY = 20;
/** After how many saves the process is killed during the next, and how often to try again where it was too quick. */
const KILL_AFTER_SAVES = 5;
const MAX_ATTEMPTS = 5;

const shown = (name) => path.relative(root, name);
const relative = (directory, name) => shown(path.join(directory, name));
const failures = [];

function check(what, fine) {
  verdict(what, fine);
  if (!fine) failures.push(what);
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

/** 1: how it should end. */
async function trainUninterrupted() {
  heading(1, `Train ${STEPS} steps without interruption, a checkpoint every ${EVERY}`);
  const began = performance.now();
  const run = await runTraining(reference, STEPS, EVERY, { onStep: progress(STEPS) });
  if (run.done === undefined) throw new Error(`The training process failed:\n${run.stderr}`);
  const { saves, done } = run;
  const durable = median(saves.map((save) => save.durable));
  const [{ bytes, direct }] = saves;
  result(
    'Trained',
    `${PERCENT(done.accuracy)} of ${done.testDigits} unseen digits recognized, after ${((performance.now() - began) / 1000).toFixed(0)} s`,
  );
  result(
    'Saved',
    `${saves.length} checkpoints of ${megabytes(bytes)}, the newest 5 kept: weights, Adam's state, data position, random generator`,
  );
  result('Durable after', `${milliseconds(durable)} each (median): ${megabytes((bytes / durable) * 1000)}/s, fsync and checksums included`);
  result('Stall', `${milliseconds(median(saves.map((save) => save.stall)))} each (median): after that training could go on`);
  result('Engine', `${run.started.engine}${direct ? ', direct I/O' : ', buffered I/O (this file system has no direct I/O)'}`);
  return done;
}

const PERCENT = (share) => `${(share * 100).toFixed(1)} %`;

/** 2: SIGKILL while a checkpoint is half written; what it leaves proves that it was. */
async function killDuringSave() {
  heading(2, 'Train again, and kill the process (SIGKILL) in the middle of a save');
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const run = await runTraining(checkpoints, STEPS, EVERY, {
      onStep: progress(STEPS),
      killAfterSaves: attempt === 0 ? KILL_AFTER_SAVES : 1,
    });
    const leftovers = readdirSync(checkpoints).filter(
      (name) => name.startsWith('.tmp-') && lstatSync(path.join(checkpoints, name)).isDirectory(),
    );
    const lastStep = run.steps.at(-1);
    if (run.signal === 'SIGKILL' && leftovers.length === 1) {
      const durable = run.saves.at(-1)?.step;
      result('Killed', `at step ${lastStep}, while its checkpoint was being written; ${durable} was the last durable step`);
      result('It left', `${relative(checkpoints, leftovers[0])} (${describeLeftover(leftovers[0])})`);
      return { leftover: leftovers[0], durable };
    }
    if (run.done !== undefined) break;
    if (run.signal !== 'SIGKILL') throw new Error(`The training process failed:\n${run.stderr}`);
    note(`The save at step ${run.saves.at(-1)?.step ?? lastStep} was done before the kill arrived; trying the next one.`);
  }
  throw new Error('No save could be hit; this machine saves faster than it kills.');
}

function describeLeftover(name) {
  const directory = path.join(checkpoints, name);
  const files = readdirSync(directory).map((file) => `${file}, ${megabytes(statSync(path.join(directory, file)).size)}`);
  return `${files.length === 0 ? 'still empty' : files.join('; ')}; ${existsSync(path.join(directory, 'manifest.json')) ? 'not yet committed' : 'no manifest'}`;
}

/** 3: the same command again. */
async function resume({ leftover, durable }) {
  heading(3, 'Start the same command again: it resumes by itself');
  const run = await runTraining(checkpoints, STEPS, EVERY, { onStep: progress(STEPS) });
  if (run.done === undefined) throw new Error(`The resumed training process failed:\n${run.stderr}`);
  const { from, swept, skipped } = run.started;
  result('Resumed', `from step ${from}; ${skipped.length === 0 ? 'no checkpoint was damaged' : `passed over ${skipped.length} damaged`}`);
  result('Swept', swept.length === 0 ? 'nothing' : swept.join(', '));
  result('Finished', `${PERCENT(run.done.accuracy)} of ${run.done.testDigits} unseen digits recognized`);
  check(`resumed from step ${durable}, the last one that was acknowledged`, from === durable);
  check('the half-written checkpoint was swept away', swept.includes(leftover) && !existsSync(path.join(checkpoints, leftover)));
  return run.done;
}

/** 4: every byte of every checkpoint, and the two final ones against each other. */
async function compare(uninterrupted, resumed) {
  heading(4, 'Check');
  for (const directory of [reference, checkpoints]) {
    const manager = await CheckpointManager.open(directory, { readOnly: true });
    const report = await manager.verify();
    await manager.close();
    const { checkpoints: count, bytes } = report.checked;
    check(
      `every byte of the ${count} checkpoints in ${shown(directory)} matches its checksums (${megabytes(bytes)})`,
      report.ok && count > 0,
    );
  }
  for (const file of ['model.safetensors', 'optimizer.safetensors', 'state.json', 'model.json']) {
    const [a, b] = [reference, checkpoints].map((directory) => readFileSync(path.join(directory, 'latest', file)));
    check(
      `${file.padEnd(21)} is the same, bit by bit: ${megabytes(a.length).padStart(7)}, SHA-256 ${digest(b)}`,
      a.equals(b) && a.length > 0,
    );
  }
  check('the accuracy is the same', uninterrupted.accuracy === resumed.accuracy && uninterrupted.accuracy > 0.8);
}

function digest(bytes) {
  return `${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}…`;
}

function suggest() {
  const best = relative(checkpoints, 'latest');
  console.log(`\nTry next:
  npx holdfast ls ${shown(checkpoints)}
  npx holdfast inspect ${best}
  npx holdfast verify ${shown(checkpoints)}
  python3 -c "from safetensors.numpy import load_file; print(load_file('${best}/model.safetensors'))"
  less examples/quickstart/train.mjs       the program that was killed
`);
}

const began = performance.now();
rmSync(home, { recursive: true, force: true });
try {
  const uninterrupted = await trainUninterrupted();
  const resumed = await resume(await killDuringSave());
  await compare(uninterrupted, resumed);
} catch (error) {
  failures.push(error.message);
  console.error(`\n${error.message}`);
}
const seconds = ((performance.now() - began) / 1000).toFixed(0);
if (failures.length === 0) {
  console.log(`\nKilled in the middle of a save, and nothing was lost: bit-identical. ${seconds} s.`);
  suggest();
} else {
  console.error(`\nNot as promised after ${seconds} s: ${failures.length} of the checks above failed. The files are in ${shown(home)}.`);
  process.exitCode = 1;
}
