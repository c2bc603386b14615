// The power-loss test behind `npm run test:crash`; `--help` says what it takes.
//
// record.mjs    the workload's block writes → log.mjs parses them
// states.mjs    crash states from the log   → replay.mjs mounts them
// judge.mjs     one state after the other through checker.mjs
// protocol.mjs  the controls: a protocol with one step left out, in which violations must be found
import { closeSync, cpSync, existsSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LIBRARY, libraryIsBuilt, nativeIsMissing } from './adapter.mjs';
import { judgeStates } from './judge.mjs';
import { dataClassifier } from './layout.mjs';
import { isFlush } from './log.mjs';
import { HELP, parseOptions } from './options.mjs';
import { CONTROLS } from './protocol.mjs';
import { loadRecording, record, recordingDefects } from './record.mjs';
import { enumerateStates } from './states.mjs';
import { makeWorkDirectory, missingPrerequisites, Teardown } from './system.mjs';

const KEEP_LAST = 3;
// More states than this per recording repeat themselves: make another recording instead.
const STATES_PER_RECORDING_MAX = 1000;
const CONTROL_STATES = 120;
const BASELINE_STATES = 40;
const CONTROL_STEPS = 10;
const VIOLATIONS_SHOWN = 8;

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
  const missing = missingPrerequisites(options.fileSystem);
  if (missing.length > 0) {
    process.stderr.write(`The power-loss test cannot run here. Missing:\n${missing.map((each) => `  - ${each}`).join('\n')}\n`);
    return process.env.CI === 'true' ? 1 : 3;
  }
  const context = { options, teardown: new Teardown() };
  context.work = makeWorkDirectory(context.teardown);
  try {
    if (options.recording) return await judgeKept(context);
    return await runAll(context);
  } finally {
    context.teardown.run();
  }
}

async function runAll(context) {
  const { options } = context;
  const began = performance.now();
  const rows = [];
  if (options.control === undefined) {
    if (options.protocol === 'library' && !libraryIsBuilt(options.library)) {
      process.stderr.write(`${options.library} holds no build of the library: run "npm run build" first, or use --protocol standin.\n`);
      return 1;
    }
    for (const plan of await libraryPlans(options)) rows.push(await runOne(context, plan));
  }
  const controls =
    options.control !== undefined ? [options.control] : options.controls && options.state === undefined ? Object.keys(CONTROLS) : [];
  for (const control of controls) rows.push(await runOne(context, controlPlan(options, control)));
  return summarize(rows, (performance.now() - began) / 1000, options);
}

/** One recording per engine, more where many states are asked for; each with a seed of its own. */
async function libraryPlans(options) {
  const engines = options.protocol === 'standin' ? ['portable'] : await enginesFor(options);
  const perEngine = Math.ceil(options.states / engines.length);
  const rounds = Math.ceil(perEngine / STATES_PER_RECORDING_MAX);
  const plans = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const engine of engines) {
      const label = options.protocol === 'standin' ? 'standin' : engine;
      plans.push({
        label: rounds === 1 ? label : `${label} ${round + 1}/${rounds}`,
        states: Math.ceil(perEngine / rounds),
        workload: {
          protocol: options.protocol,
          library: options.library,
          control: 'none',
          engine,
          seed: options.seed + round,
          steps: options.steps,
          keep: KEEP_LAST,
        },
        expectViolations: false,
      });
    }
  }
  return plans;
}

async function enginesFor({ engine, library }) {
  if (engine === 'portable') return ['portable'];
  const reason = await nativeIsMissing(library);
  if (reason === null) return engine === 'native' ? ['native'] : ['native', 'portable'];
  if (engine === 'native') throw new Error(`the native engine does not load: ${reason}`);
  say(`the native engine is left out, it does not load: ${reason}`);
  return ['portable'];
}

function controlPlan(options, control) {
  return {
    label: `control ${control}`,
    states: control === 'none' ? BASELINE_STATES : CONTROL_STATES,
    workload: { protocol: 'standin', control, engine: 'portable', seed: options.seed, steps: CONTROL_STEPS, keep: KEEP_LAST },
    expectViolations: control !== 'none',
  };
}

async function runOne(context, plan) {
  const { options, work, teardown } = context;
  const directory = path.join(work, `recording-${plan.label.replaceAll(/[^a-z0-9]+/gi, '-')}`);
  say(`${plan.label}: recording ${plan.workload.steps} saves, seed ${plan.workload.seed}, ${options.fileSystem}`);
  const began = performance.now();
  await record({ directory, fileSystem: options.fileSystem, workload: plan.workload, teardown });
  const row = await judgeRecording(context, plan, directory);
  row.seconds = (performance.now() - began) / 1000;
  if (row.violations.length > 0 !== plan.expectViolations || options.keep) keepRecording(context, plan, directory, row);
  rmSync(directory, { recursive: true, force: true });
  return row;
}

async function judgeRecording({ options, work, teardown }, plan, directory) {
  const recording = loadRecording(directory);
  recording.meta.workload = plan.workload;
  const defects = recordingDefects(recording);
  if (defects.length > 0) throw new Error(`the recording is worthless: ${defects.join('; ')}`);
  const { entries, first, end, acks, meta } = recording;
  const flushes = entries.slice(first, end).filter(isFlush).length;
  say(
    `  ${recording.engine} engine: ${acks.length} saves acknowledged, ${acks.filter((ack) => ack.direct).length} by direct I/O; ${end - first} requests recorded, ${flushes} of them flushes`,
  );
  const { seed } = meta.workload;
  const ignoreFlushes = meta.workload.control === 'lying-disk';
  const logFd = openSync(recording.logPath, 'r');
  let states;
  let judged;
  try {
    const isData = dataClassifier(meta.metadata, logFd);
    states = chosenStates(enumerateStates({ recording, isData, count: plan.states, seed, ignoreFlushes }), options.state);
    const progress = makeProgress(states.length, options.verbose);
    judged = await judgeStates({
      ...{ recording, isData, states, seed, teardown },
      directory: path.join(work, 'replay'),
      stopAtFirst: plan.expectViolations,
      onState: progress.onState,
    });
    progress.end();
  } finally {
    closeSync(logFd);
  }
  const kinds = { ack: 0, flush: 0, prefix: 0, drop: 0 };
  for (const state of states.slice(0, judged.judged)) kinds[state.kind] += 1;
  const row = {
    plan,
    acked: acks.length,
    flushes,
    requests: end - first,
    kinds,
    states: judged.judged,
    violations: judged.violations,
    seconds: judged.seconds,
  };
  showViolations(row);
  return row;
}

function chosenStates(states, only) {
  const chosen = only === undefined ? states : states.filter((state) => state.id === only);
  if (chosen.length === 0) throw new Error(`there is no state ${only}; there are ${states.length}`);
  return chosen;
}

function makeProgress(total, verbose) {
  const terminal = process.stderr.isTTY && !verbose;
  let done = 0;
  let violations = 0;
  const began = performance.now();
  return {
    onState: (state, result) => {
      done += 1;
      violations += result.violations.length;
      if (verbose) {
        const what = result.violations.length > 0 ? result.violations.map((each) => each.code).join(' ') : 'fine';
        say(
          `  state ${state.id} ${state.kind} prefix ${state.prefix} barrier ${state.barrier}: acknowledged ${result.acked.length}, good ${result.good}, newest ${result.newest}: ${what}`,
        );
      } else if (terminal) {
        process.stderr.write(
          `\r  ${done}/${total} states, ${violations} violations, ${((performance.now() - began) / 1000).toFixed(0)} s `,
        );
      } else if (done % 50 === 0) {
        say(`  ${done}/${total} states, ${violations} violations, ${((performance.now() - began) / 1000).toFixed(0)} s`);
      }
    },
    end: () => {
      if (terminal) process.stderr.write('\r\x1b[K');
    },
  };
}

function showViolations({ violations, plan }) {
  const shown = violations.slice(0, VIOLATIONS_SHOWN);
  for (const { state, code, message } of shown) {
    say(
      `  ${plan.expectViolations ? 'found, as it must' : 'VIOLATION'}: state ${state.id} (${state.kind}, prefix ${state.prefix}, barrier ${state.barrier}): ${code}: ${message}`,
    );
  }
  if (violations.length > shown.length) say(`  … and ${violations.length - shown.length} more`);
}

function keepRecording({ options }, plan, directory, row) {
  const name = `holdfast-crash-kept-${plan.label.replaceAll(/[^a-z0-9]+/gi, '-')}-seed${plan.workload.seed}`;
  const target = path.join(options.keep ?? tmpdir(), name);
  mkdirSync(target, { recursive: true });
  for (const file of ['log.img', 'acks.jsonl', 'meta.json']) cpSync(path.join(directory, file), path.join(target, file));
  const library = options.library === LIBRARY ? '' : ` --library ${options.library}`;
  const state = row.violations[0] ? ` --state ${row.violations[0].state.id}` : '';
  say(`  kept; replay with: node test/crash/run.mjs --recording ${target} --states ${plan.states}${state}${library} --verbose`);
}

async function judgeKept(context) {
  const { options } = context;
  if (!existsSync(path.join(options.recording, 'meta.json'))) throw new Error(`${options.recording} holds no recording`);
  const recorded = loadRecording(options.recording).meta.workload;
  const workload = { ...recorded, library: options.library };
  const expectViolations = workload.control !== 'none' && options.state === undefined;
  const plan = { label: path.basename(options.recording), states: options.states, workload, expectViolations };
  const row = await judgeRecording(context, plan, options.recording);
  return summarize([row], row.seconds, options);
}

/** Prints the table and gives the exit status. */
function summarize(rows, seconds, options) {
  say();
  say('run                      states  (ack/flush/prefix/drop)  acked saves  violations  seconds');
  for (const row of rows) {
    const kinds = `${row.kinds.ack}/${row.kinds.flush}/${row.kinds.prefix}/${row.kinds.drop}`;
    const verdict = row.plan.expectViolations ? (row.violations.length > 0 ? 'found' : 'NONE FOUND') : String(row.violations.length);
    say(
      `${row.plan.label.padEnd(24)} ${String(row.states).padStart(6)}  ${kinds.padStart(23)}  ${String(row.acked).padStart(11)}  ${verdict.padStart(10)}  ${row.seconds.toFixed(1).padStart(7)}`,
    );
  }
  const failed = rows.filter((row) => row.violations.length > 0 !== row.plan.expectViolations);
  const real = rows.filter((row) => !row.plan.label.startsWith('control'));
  const sum = (pick) => real.reduce((total, row) => total + pick(row), 0);
  say();
  if (real.length > 0)
    say(
      `${sum((row) => row.states)} crash states, ${sum((row) => row.acked)} acknowledged saves, ${sum((row) => row.violations.length)} violations`,
    );
  say(`seed ${options.seed}, ${options.fileSystem}, ${seconds.toFixed(1)} s: ${failed.length === 0 ? 'passed' : 'FAILED'}`);
  for (const row of failed) {
    say(
      row.plan.expectViolations
        ? `FAILED: ${row.plan.label} found no violation: the harness cannot see this fault`
        : `FAILED: ${row.plan.label}`,
    );
  }
  return failed.length === 0 ? 0 : 1;
}

process.exitCode = await main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  return 1;
});
