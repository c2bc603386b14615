// Straight against killed and gone on, for all optimizers, models and kinds of data; `--help` says what it takes.
import { loadTf } from './backends.mjs';
import { killCase, planOf } from './one-case.mjs';
import { HELP, parseOptions } from './options.mjs';

const say = (line = '') => process.stdout.write(`${line}\n`);

async function main() {
  let options;
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error.message}\nTry --help.\n`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const { backend, cases, rounds } = options;
  const tf = await loadTf(backend);
  const holdfast = await import('../../dist/tfjs/index.js');
  const failed = [];
  for (let seed = options.seed; seed < options.seed + rounds; seed++) {
    for (const name of cases) {
      if (!canTrain(backend, name)) say(`left out  ${name}: the backend ${backend} has no gradient of convolutions`);
      else if (!(await tell({ tf, holdfast, backend, name, seed }))) failed.push(`--cases '${name}' --seed ${seed}`);
    }
  }
  if (failed.length === 0) return 0;
  say(`\n${failed.length} failed. Again, one by one:`);
  for (const which of failed) say(`  node test/resume-matrix/run.mjs --backend ${backend} ${which}`);
  return 1;
}

/** The wasm backend of TensorFlow.js 4.22 has no Conv2DBackpropFilter. */
function canTrain(backend, name) {
  return backend !== 'wasm' || !name.includes(' conv ');
}

async function tell({ seed, ...given }) {
  const plan = planOf(given.name, seed);
  const deaths = plan.kills.map(({ step, at }) => `${step} (${at})`).join(' and ');
  const what = `${given.name.padEnd(30)} seed ${seed}, saved every ${plan.saveFreq}, killed at ${deaths}`;
  try {
    const { resumedAt, different } = await (await killCase({ ...given, plan }))(given);
    say(
      `${different.length === 0 ? 'same  ' : 'DIFFERENT'} ${what}, gone on at ${resumedAt}${different.length === 0 ? '' : `: ${different.join(', ')}`}`,
    );
    return different.length === 0;
  } catch (error) {
    say(`FAILED ${what}: ${error.stack}`);
    return false;
  }
}

process.exitCode = await main();
