// Runs the crash states of one recording through the checker process and collects what it finds.
import { fork } from 'node:child_process';
import path from 'node:path';
import { engineEnvironment } from './record.mjs';
import { Replayer } from './replay.mjs';

const STATE_SECONDS_MAX = 60;
// Every so many states, training also goes on (one more save), and the file system's own checker runs.
const DEEP_EVERY = 5;
const FSCK_EVERY = 25;

/**
 * Judges `states` of a recording. Gives { judged, violations: [{ state, code, message }], seconds }.
 * `stopAtFirst` ends at the first violation (controls); `onState(state, result)` is called after each.
 */
export async function judgeStates({ recording, isData, states, directory, seed, teardown, stopAtFirst = false, onState = () => {} }) {
  const { workload } = recording.meta;
  const replayer = new Replayer({ recording, isData, directory, seed, teardown });
  const checker = new Checker(workload, teardown);
  const violations = [];
  let judged = 0;
  const began = performance.now();
  try {
    for (const state of states) {
      const result = await judgeState({ state, recording, replayer, checker });
      judged += 1;
      for (const violation of result.violations) violations.push({ state, ...violation });
      onState(state, result);
      if (stopAtFirst && violations.length > 0) break;
    }
  } finally {
    checker.stop();
    replayer.close();
  }
  return { judged, violations, seconds: (performance.now() - began) / 1000 };
}

async function judgeState({ state, recording, replayer, checker }) {
  const stepsUntil = (events) => events.filter((event) => event.prefix <= state.prefix).map((event) => event.step);
  const acked = stepsUntil(recording.acks);
  let mounted;
  try {
    mounted = replayer.mount(state);
  } catch (error) {
    return { violations: [{ code: 'FILE_SYSTEM', message: error.message }], acked, good: 0, newest: 0 };
  }
  const result = await checker.ask({
    dir: path.join(mounted.directory, 'checkpoints'),
    acked,
    begun: stepsUntil(recording.begins),
    deep: state.id % DEEP_EVERY === 0,
  });
  const busy = await mounted.unmount();
  if (busy) result.violations.push({ code: 'FILES_LEFT_OPEN', message: `after close: ${busy}` });
  if (state.id % FSCK_EVERY === 0 && !busy) {
    const complaint = replayer.check(mounted.image);
    if (complaint) result.violations.push({ code: 'FILE_SYSTEM', message: complaint });
  }
  mounted.release();
  return { ...result, acked };
}

/** The checker process, started again after a crash or a hang of it (each of which is a violation). */
class Checker {
  #workload;
  #child = null;
  #stopInTeardown;

  constructor(workload, teardown) {
    this.#workload = workload;
    this.#stopInTeardown = teardown.add(() => this.#child?.kill('SIGKILL'));
  }

  async ask(message) {
    this.#child ??= await this.#start();
    const child = this.#child;
    return new Promise((resolve) => {
      const finish = (result) => {
        clearTimeout(timer);
        child.removeAllListeners('message');
        child.removeAllListeners('exit');
        resolve(result);
      };
      const fail = (code, text) => {
        this.#child = null;
        child.kill('SIGKILL');
        finish({ violations: [{ code, message: text }], good: 0, newest: 0 });
      };
      const timer = setTimeout(() => fail('HANG', `no answer in ${STATE_SECONDS_MAX} s`), STATE_SECONDS_MAX * 1000);
      child.once('message', finish);
      child.once('exit', (code, signal) => fail('PROCESS_DIED', `the checker ended with ${signal ?? `status ${code}`}`));
      child.send(message);
    });
  }

  async #start() {
    const { protocol, library, engine, seed, keep } = this.#workload;
    const child = fork(path.join(import.meta.dirname, 'checker.mjs'), [JSON.stringify({ protocol, library, seed, keep })], {
      env: engineEnvironment(engine),
    });
    await new Promise((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', (code) => reject(new Error(`the checker did not start (status ${code})`)));
    });
    child.removeAllListeners('exit');
    return child;
  }

  stop() {
    this.#stopInTeardown();
  }
}
