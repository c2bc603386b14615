// Simulated histories in any number, in several processes; `--help` says what it takes.
import { fork, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { HELP, parseOptions } from './options.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUILD = fileURLToPath(new URL('../../build/simulation/', import.meta.url));
/** A process ends after so many seeds, and what it has not let go ends with it. */
const SEEDS_PER_PROCESS = 2000;
const SEEDS_PER_MESSAGE = 50;
/** A history takes some milliseconds: one that takes this long waits for something that never comes. */
const HANG_MS = 60_000;
const SHOWN = 20;

const say = (line = '') => process.stdout.write(`${line}\n`);

async function main() {
  let options;
  try {
    options = parseOptions(process.argv.slice(2), process.env);
  } catch (error) {
    process.stderr.write(`${error.message}\nTry --help.\n`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  compile();
  const { CONTROLS } = await import('../../build/simulation/test/simulation/controls.js');
  if (options.control === 'list') {
    for (const [name, { what }] of Object.entries(CONTROLS)) say(`${name.padEnd(16)} ${what}`);
    return 0;
  }
  const control = options.control === undefined ? undefined : CONTROLS[options.control];
  if (options.control !== undefined && control === undefined) {
    process.stderr.write(`there is no control "${options.control}"; there are ${Object.keys(CONTROLS).join(', ')}\n`);
    return 2;
  }
  return options.replay ? replay(options, control) : runAll(options);
}

/** From test/simulation and src to JavaScript; what has not changed is not compiled again. */
function compile() {
  mkdirSync(BUILD, { recursive: true });
  // The version is read from it, and that these are modules.
  cpSync(`${ROOT}package.json`, `${BUILD}package.json`);
  const compiler = `${ROOT}node_modules/typescript/bin/tsc`;
  const { status } = spawnSync(process.execPath, [compiler, '-p', 'test/simulation/tsconfig.json'], { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error('the simulation does not compile');
}

async function replay({ from, json }, control) {
  const { runHistory } = await import('../../build/simulation/test/simulation/history.js');
  const outcome = await runHistory(from, { breakage: control?.breakage, log: json ? () => {} : say });
  if (json) say(JSON.stringify(outcome, null, 2));
  else {
    say();
    say(`seed ${from}: ${outcome.operations} operations, ${outcome.acknowledged} saves acknowledged, hash ${outcome.hash}`);
    for (const { code, message } of outcome.violations) say(`VIOLATION: ${code}: ${message}`);
  }
  return outcome.violations.length > 0 === (control !== undefined) ? 0 : 1;
}

async function runAll(options) {
  const began = performance.now();
  const state = { next: options.from, end: options.from + options.seeds, done: 0, operations: 0, acknowledged: 0, failures: [] };
  const progress = makeProgress(options, state, began);
  await Promise.all(Array.from({ length: options.jobs }, () => work(options, state)));
  progress.end();
  return summarize(options, state, (performance.now() - began) / 1000);
}

/** One process after another, until there are no seeds left. */
async function work(options, state) {
  while (state.next < state.end) await runProcess(options, state);
}

function runProcess({ control }, state) {
  return new Promise((resolve) => {
    const child = fork(new URL('seeds.mjs', import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    let seed;
    let left = SEEDS_PER_PROCESS;
    let why = 'the process ended';
    let watchdog;
    const watch = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => {
        why = `nothing has happened for ${HANG_MS / 1000} s`;
        child.kill('SIGKILL');
      }, HANG_MS);
    };
    const give = () => {
      const count = Math.min(SEEDS_PER_MESSAGE, state.end - state.next);
      if (left <= 0 || count <= 0) return child.disconnect();
      left -= count;
      child.send({ from: state.next, count, control });
      state.next += count;
      seed = undefined;
    };
    child.on('message', (message) => {
      watch();
      if (message.type === 'begun') seed = message.seed;
      else {
        state.done += message.count;
        state.operations += message.operations;
        state.acknowledged += message.acknowledged;
        state.failures.push(...message.failures);
        seed = undefined;
        give();
      }
    });
    child.on('exit', () => {
      clearTimeout(watchdog);
      if (seed !== undefined) state.failures.push({ seed, violations: [{ code: 'HANG', message: why }] });
      resolve();
    });
    watch();
    give();
  });
}

function makeProgress({ seeds, json }, state, began) {
  if (!process.stderr.isTTY || json) return { end: () => {} };
  const show = () => {
    const seconds = (performance.now() - began) / 1000;
    const left = state.done === 0 ? '' : `, ${((seconds / state.done) * (seeds - state.done)).toFixed(0)} s left`;
    process.stderr.write(
      `\r  ${state.done}/${seeds} histories, ${state.failures.length} with violations, ${seconds.toFixed(0)} s${left} \x1b[K`,
    );
  };
  const timer = setInterval(show, 500);
  return {
    end: () => {
      clearInterval(timer);
      process.stderr.write('\r\x1b[K');
    },
  };
}

/** Prints what was found and gives the exit status. */
function summarize({ from, seeds, control, json }, { done, operations, acknowledged, failures }, seconds) {
  failures.sort((a, b) => a.seed - b.seed);
  if (json) say(JSON.stringify({ from, seeds, done, operations, acknowledged, seconds, control: control ?? null, failures }, null, 2));
  else {
    for (const { seed, violations } of failures.slice(0, SHOWN)) {
      say(`seed ${seed}${control === undefined ? '' : ', found as it must'}:`);
      for (const { code, message } of violations.slice(0, 4)) say(`  ${code}: ${message}`);
      say(`  replay: node test/simulation/run.mjs --seed ${seed}${control === undefined ? '' : ` --control ${control}`}`);
    }
    if (failures.length > SHOWN) say(`… and ${failures.length - SHOWN} more`);
    say(
      `seeds ${from} to ${from + seeds - 1}: ${done} histories, ${operations} operations, ${acknowledged} saves acknowledged, ${failures.length} histories with violations, ${seconds.toFixed(1)} s`,
    );
  }
  return failures.length > 0 === (control !== undefined) && (done === seeds || failures.length > 0) ? 0 : 1;
}

process.exitCode = await main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  return 1;
});
