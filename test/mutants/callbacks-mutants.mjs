// Mutants of the callbacks for fit: when they save, stop and reduce as Keras's do, and that no save fails in silence.

const CHECKPOINT = ['test/tfjs/callbacks/model-checkpoint.test.ts'];
const PERIODIC = ['test/tfjs/callbacks/periodic.test.ts'];
const STOPPING = ['test/tfjs/callbacks/early-stopping.test.ts'];
const PLATEAU = ['test/tfjs/callbacks/reduce-lr-on-plateau.test.ts'];
const STATE = ['test/tfjs/callbacks/training-state.test.ts'];

export const CALLBACKS = [
  {
    name: 'what is not finite is never the best',
    file: 'src/tfjs/callbacks/monitored.ts',
    find: 'Number.isFinite(value) && improves(',
    replace: 'improves(',
    tests: CHECKPOINT,
  },
  {
    name: 'a save that fails in the background ends the fit',
    file: 'src/tfjs/callbacks/saving-callback.ts',
    find: '    this.destination.throwFailure();\n    await super.onBatchEnd',
    replace: '    await super.onBatchEnd',
    also: [
      {
        file: 'src/tfjs/callbacks/saving-callback.ts',
        find: '    this.destination.throwFailure();\n    await super.onEpochEnd',
        replace: '    await super.onEpochEnd',
      },
    ],
    tests: CHECKPOINT,
  },
  {
    name: 'the last save that fails rejects the fit',
    file: 'src/tfjs/callbacks/destination.ts',
    find: 'forgetSaves(manager.directory);\n    }\n    this.throwFailure();',
    replace: 'forgetSaves(manager.directory);\n    }',
    tests: CHECKPOINT,
  },
  {
    name: 'a fit ends when all its checkpoints are durable',
    file: 'src/tfjs/callbacks/destination.ts',
    find: '    await Promise.all(this.inFlight);\n',
    replace: '',
    tests: CHECKPOINT,
  },
  {
    name: 'with async: false training waits for every checkpoint',
    file: 'src/tfjs/callbacks/destination.ts',
    find: '    if (this.options.async === false) await committed;\n',
    replace: '',
    tests: CHECKPOINT,
  },
  {
    name: 'a fit that fails ends its saves',
    file: 'src/tfjs/callbacks/fit.ts',
    find: 'await participant.endFit(failed);',
    replace: 'await participant.endFit(false);',
    tests: CHECKPOINT,
  },
  {
    name: 'what earlier processes have saved has to be beaten',
    file: 'src/tfjs/callbacks/model-checkpoint.ts',
    find: '    if (this.options.saveBestOnly === true) await this.learnBest(await this.manager());\n',
    replace: '',
    tests: CHECKPOINT,
  },
  {
    name: 'the capture of a save that is refused is let go',
    file: 'src/tfjs/weights/save-captured.ts',
    find: "    if (pending?.status !== 'accepted') capture.release();\n",
    replace: '',
    tests: ['test/tfjs/callbacks/wasm.test.ts'],
  },
  {
    name: 'one moment is saved once',
    file: 'src/tfjs/callbacks/destination.ts',
    find: 'settings.shares ? findShared(manager.directory, moment) : undefined',
    replace: 'undefined',
    tests: PERIODIC,
  },
  {
    name: 'other weights are another moment',
    file: 'src/tfjs/callbacks/shared-saves.ts',
    find: ' && areSame(a.weights, b.weights)',
    replace: '',
    tests: PERIODIC,
  },
  {
    name: 'what is of no callback by its name stays',
    file: 'src/tfjs/callbacks/retention.ts',
    find: ' || (named.length === all.length && !named.some((each) => each.test(entry.name)))',
    replace: '',
    tests: PERIODIC,
  },
  {
    name: 'training ends when the wait has reached patience',
    file: 'src/tfjs/callbacks/early-stopping.ts',
    find: 'if (this.wait >= patience && epoch > 0)',
    replace: 'if (this.wait > patience && epoch > 0)',
    tests: STOPPING,
  },
  {
    name: 'the best weights are put back',
    file: 'src/tfjs/callbacks/early-stopping.ts',
    find: '      this.held.restore();\n',
    replace: '',
    tests: STOPPING,
  },
  {
    name: 'weights that were held are let go when a fit fails',
    file: 'src/tfjs/callbacks/early-stopping.ts',
    find: '  protected override async fitFailed(): Promise<void> {\n    this.release();',
    replace: '  protected override async fitFailed(): Promise<void> {',
    tests: STOPPING,
  },
  {
    name: 'nothing is reduced in a cooldown',
    file: 'src/tfjs/callbacks/reduce-lr-on-plateau.ts',
    find: 'else if (this.cooldownLeft === 0) {',
    replace: 'else {',
    tests: PLATEAU,
  },
  {
    name: 'SGD trains with the learning rate that was set',
    file: 'src/tfjs/callbacks/learning-rate.ts',
    find: "if (typeof own === 'function') own.call(optimizer as SGDOptimizer, rate);\n  else ",
    replace: '',
    tests: PLATEAU,
  },
  {
    name: 'state is collected behind the callbacks whose state it is',
    file: 'src/tfjs/callbacks/training-state.ts',
    find: 'override readonly order = 1;',
    replace: 'override readonly order = 0;',
    tests: STATE,
  },
];
