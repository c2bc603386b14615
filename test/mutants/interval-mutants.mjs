// Mutants of what the choice of the interval rests on.

const CONTROLLER = ['test/interval/controller.test.ts'];
const AUTO = ['test/policy/auto.test.ts'];
const METER = ['test/interval/save-meter.test.ts'];
const OPTIMAL = ['test/interval/optimal.test.ts'];
const HISTORY = ['test/format/history.test.ts'];
const MANAGER = ['test/manager/interval.test.ts'];

export const INTERVAL = [
  {
    name: 'the longest interval wins over all others',
    file: 'src/interval/limits.ts',
    find: 'maxInterval !== null && found[0] > maxInterval ?',
    replace: 'maxInterval !== null && optimum_s > maxInterval ?',
    tests: CONTROLLER,
  },
  {
    name: 'a single expensive save does not move the interval',
    file: 'src/interval/middle.ts',
    find: 'sorted.length >= 5 ? sorted.slice(1, -1) : sorted',
    replace: 'sorted',
    tests: CONTROLLER,
  },
  {
    name: 'small changes do not move the interval',
    file: 'src/interval/controller.ts',
    find: 'const HYSTERESIS = 0.1;',
    replace: 'const HYSTERESIS = 0.001;',
    tests: CONTROLLER,
  },
  {
    name: 'failures of long ago fade',
    file: 'src/interval/failure-estimate.ts',
    find: 'const kept = 1 - 1 / this.memory;',
    replace: 'const kept = 1;',
    tests: ['test/interval/failure-estimate.test.ts'],
  },
  {
    name: 'a save costs no more than its whole time',
    file: 'src/interval/save-meter.ts',
    find: 'return Math.min(1, Math.max(0,',
    replace: 'return Math.max(0, Math.max(0,',
    tests: METER,
  },
  {
    name: 'the stall is not counted as slowdown',
    file: 'src/interval/save-meter.ts',
    find: '- steps * step_s - stall_s)',
    replace: '- steps * step_s)',
    tests: METER,
  },
  {
    name: 'nothing cancels near the branch point',
    file: 'src/interval/lambert-w.ts',
    find: 'const SERIES_BELOW = 0.1;',
    replace: 'const SERIES_BELOW = 0;',
    tests: OPTIMAL,
  },
  {
    name: 'all of P is lost, not half of it',
    file: 'src/interval/expected.ts',
    find: 'perExponent * Math.exp(-(restart_s + persist_s) / mtbf_s)',
    replace: 'perExponent * Math.exp(-(restart_s + persist_s / 2) / mtbf_s)',
    tests: OPTIMAL,
  },
  {
    name: 'a life that ended in good order, and lost work, has failed',
    file: 'src/format/history.ts',
    find: "(before.lastStep ?? 0) > event.step) before.end = 'failed'",
    replace: "(before.lastStep ?? 0) > event.step) before.end = 'ended'",
    tests: [...HISTORY, ...MANAGER],
  },
  {
    name: 'a process that died is a failure of the run',
    file: 'src/manager/interval.ts',
    find: "if (end !== 'ended') this.controller.failed();",
    replace: '',
    tests: MANAGER,
  },
  {
    name: 'a run that goes on does not save at once',
    file: 'src/manager/stepper.ts',
    find: 'if (this.current === BEGINNING) this.savedStep = step;',
    replace: '',
    tests: MANAGER,
  },
  {
    name: 'damage of the history is passed over',
    file: 'src/catalog/history.ts',
    find: "(this.torn ? '\\n' : '') + ",
    replace: '',
    tests: MANAGER,
  },
  {
    name: 'auto saves before its longest interval is over, not at the first step behind it',
    file: 'src/policy/auto.ts',
    find: 'worked_s + step_s > maxInterval_s',
    replace: 'worked_s > maxInterval_s',
    tests: AUTO,
  },
  {
    name: 'auto saves no sooner than a limit allows',
    file: 'src/policy/auto.ts',
    find: "reason === 'optimum' ? interval_s - step_s / 2 : interval_s",
    replace: 'interval_s - step_s / 2',
    tests: AUTO,
  },
];
