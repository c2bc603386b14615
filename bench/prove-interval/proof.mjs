// The run itself: measures, plans, lets policies live turn by turn, and keeps what comes of it in one file.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CheckpointManager } from '../../dist/index.js';
import { exactInterval_s } from '../../dist/interval/index.js';
import { describeEnvironment } from '../lib/environment.mjs';
import { short } from '../lib/stats.mjs';
import { analyse } from './analysis.mjs';
import { costOf, steadyOf, summarizeSteady } from './calibrate.mjs';
import { expertsFor } from './job.mjs';
import { killAll, live, pinnableCores } from './life.mjs';
import { compareLosses, recordLife, violationsOf } from './record.mjs';
import { killTimes, planTurns } from './schedule.mjs';

/** After every so many lives of all policies it is measured again what a step takes. */
const LIVES_BETWEEN = 4;
/** Seconds of training in the lives that measure. */
const LENGTHS = { full: { steady_s: 8, saves_s: 12, again_s: 6 }, smoke: { steady_s: 2.5, saves_s: 2.5, again_s: 2.5 } };
/** How often to save in those that measure saves. */
const SAVE_EVERY_S = 1;
const FILE = 'results.json';

/** Ended by Ctrl-C. */
export class Interrupted extends Error {}

export class Proof {
  /** Steps and losses that were said, of this process' lives. */
  #losses = new Map();
  #cores = pinnableCores();
  #stopped = false;

  constructor({ out, work, progress, results }) {
    Object.assign(this, { out, work, progress, results });
    this.experts = expertsFor(results.settings.state);
  }

  /** A new one; `out` must not hold results. */
  static begin({ out, dir, settings, progress }) {
    const work = path.resolve(dir ?? path.join(out, 'work'));
    mkdirSync(work, { recursive: true });
    mkdirSync(out, { recursive: true });
    const results = {
      ...{ benchmark: 'prove-interval', state: 'running', environment: describeEnvironment(work), settings },
      ...{ calibration: null, times: [], policies: [], turnsDone: 0, lost: [], losses: { compared: 0, different: 0 } },
    };
    return new Proof({ out, work, progress, results });
  }

  /** Goes on with what `out` holds. */
  static resume({ out, dir, progress }) {
    const results = JSON.parse(readFileSync(path.join(out, FILE), 'utf8'));
    return new Proof({ out, work: path.resolve(dir ?? path.join(out, 'work')), progress, results: { ...results, state: 'running' } });
  }

  static exists(out) {
    return existsSync(path.join(out, FILE));
  }

  /** Ends the lives that are running; `run` then throws Interrupted. */
  stop() {
    this.#stopped = true;
    killAll();
  }

  /** Until all lives are over. */
  async run() {
    const { results } = this;
    const { seed, lanes } = results.settings;
    if (this.#cores.length < lanes)
      this.progress('Lives are not pinned to cores: there is no taskset, or there are fewer cores than lanes.');
    if (results.calibration === null) await this.#calibrate();
    const turns = planTurns({ seed, policies: results.policies.length, times: results.times, lanes });
    for (const [i, turn] of turns.entries()) {
      if (i < results.turnsDone) continue;
      if (turn.life > 0 && turn.life % LIVES_BETWEEN === 0 && turn.life !== turns[i - 1].life) await this.#measureSteps();
      await this.#take(turn);
      results.turnsDone = i + 1;
      this.save();
    }
    this.save('complete');
  }

  /** Writes what was measured so far, before anything is made of it. */
  save(state = this.results.state) {
    this.results.state = state;
    const file = path.join(this.out, FILE);
    writeFileSync(`${file}.tmp`, `${JSON.stringify(this.results, null, 1)}\n`);
    renameSync(`${file}.tmp`, file);
  }

  /** Adds what the lives so far say. */
  conclude() {
    const { results } = this;
    results.analysis = results.calibration === null ? null : (analyse(results) ?? null);
    this.save();
    if (results.state === 'complete') rmSync(this.work, { recursive: true, force: true });
  }

  /** Measures a step, a restart and a save in all lanes at a time, as lives will be, and chooses the intervals by it. */
  async #calibrate() {
    const { results } = this;
    const { minutes, mtbf, seed, factors, prior, mode, lanes } = results.settings;
    const { steady_s, saves_s } = this.#lengths;
    this.progress('Measuring what a step, a restart and a save take');
    await this.#inLanes((directory, options) => live({ ...this.#job(directory), prepare: true }, options));
    const steady = await this.#steadyLives(steady_s);
    const saving = await this.#inLanes((directory, options) =>
      live({ ...this.#job(directory), policy: { kind: 'fixed', every_s: SAVE_EVERY_S }, trains_s: saves_s }, options),
    );
    const { step_s, restart_s } = summarizeSteady(steady);
    const cost = costOf(
      saving.map(({ events }) => events),
      step_s,
      mode,
    );
    results.calibration = { steady, cost };
    results.times = killTimes({ seed, mtbf_s: mtbf, total_s: 60 * minutes });
    const best_s = exactInterval_s({ cost_s: cost.cost_s, mtbf_s: mtbf });
    const fixed = factors.map((factor) => {
      // The trigger counts from the beginning of a save, the formula from its end.
      const every_s = Number((factor * best_s + cost.cost_s).toPrecision(3));
      return { name: `every.seconds(${every_s})`, kind: 'fixed', factor, every_s };
    });
    const controller = { name: 'auto', kind: 'auto', prior_s: prior };
    results.policies = [...fixed, controller].map((policy) => ({ ...policy, lives: [] }));
    this.progress(
      `A step takes ${short(1000 * step_s)} ms, a save ${short(cost.cost_s)} s, a restart ${short(restart_s)} s: the best interval is ${short(best_s)} s of work.`,
    );
    for (let at = 0; at < results.policies.length; at += lanes) await this.#prepare(at);
    this.save();
  }

  /** The checkpoint of step 0 that a policy begins from. */
  async #prepare(at) {
    const { lanes } = this.results.settings;
    const directories = this.results.policies.slice(at, at + lanes).map((_, i) => this.#directory(at + i));
    this.#demand(
      await Promise.all(directories.map((directory, lane) => live({ ...this.#job(directory), prepare: true }, { core: this.#core(lane) }))),
    );
  }

  async #measureSteps() {
    this.results.calibration.steady.push(...(await this.#steadyLives(this.#lengths.again_s)));
  }

  async #steadyLives(trains_s) {
    const lives = await this.#inLanes((directory, options) => live({ ...this.#job(directory), trains_s }, options));
    return lives.map(({ events }, lane) => ({ lane, ...steadyOf(events) }));
  }

  /** One life of each policy of a turn. */
  async #take({ life, time_s, places }) {
    const { policies, lost, losses } = this.results;
    const lives = this.#demand(
      await Promise.all(
        places.map(({ policy, lane }) =>
          live({ ...this.#job(this.#directory(policy)), policy: policies[policy] }, { core: this.#core(lane), killAfter_s: time_s }),
        ),
      ),
    );
    for (const [i, { policy, lane }] of places.entries()) {
      const { name, lives: before } = policies[policy];
      const { wall_s, events } = lives[i];
      const fromStep = before.at(-1)?.durableStep ?? 0;
      const durableStep = await newestStep(this.#directory(policy));
      const record = recordLife({ life, lane, wall_s, fromStep, durableStep, events });
      lost.push(...violationsOf(record, events).map((what) => `${name}, life ${life}: ${what}`));
      const { compared, different } = compareLosses(this.#losses, events);
      losses.compared += compared;
      losses.different += different;
      before.push(record);
      const done = `${record.saves.length} saves, step ${fromStep} to ${durableStep}`;
      this.progress(`life ${life + 1}/${this.results.times.length} ${name}: killed after ${short(wall_s)} s, ${done}`);
    }
  }

  #job(directory) {
    const { backend, seed, mode, verifyWrites } = this.results.settings;
    return { directory, backend, experts: this.experts, seed, mode, verifyWrites, policy: { kind: 'none' }, prepare: false };
  }

  /** The same in every lane, each in a directory of its own. */
  async #inLanes(start) {
    const lanes = Array.from({ length: this.results.settings.lanes }, (_, lane) => lane);
    return this.#demand(await Promise.all(lanes.map((lane) => start(path.join(this.work, `lane-${lane}`), { core: this.#core(lane) }))));
  }

  #demand(lives) {
    if (lives.every((life) => life !== undefined)) return lives;
    if (this.#stopped) throw new Interrupted();
    throw new Error('The training was ended by a signal from elsewhere, perhaps for want of memory.');
  }

  #core(lane) {
    return this.#cores.length < this.results.settings.lanes ? undefined : this.#cores[lane];
  }

  #directory(policy) {
    return path.join(this.work, `policy-${policy}`);
  }

  get #lengths() {
    return LENGTHS[this.results.settings.smoke ? 'smoke' : 'full'];
  }
}

/** Of the newest good checkpoint. */
async function newestStep(directory) {
  const manager = await CheckpointManager.open(directory, { readOnly: true });
  try {
    let newest = 0;
    for await (const { status, step } of manager.list()) if (status === 'good') newest = step;
    return newest;
  } finally {
    await manager.close();
  }
}
