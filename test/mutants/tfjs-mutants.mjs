// Mutants of what holdfast/tfjs decides: which weights and optimizers are restored, and what a step of training holds.

const WEAK = ['test/tfjs/weak-restore.test.ts'];
const WEAK_REFUSALS = ['test/tfjs/weak-refusals.test.ts'];
const RUN_STATE = ['test/tfjs/run-state.test.ts'];

export const TFJS = [
  {
    name: 'a weak restore of which nothing fits is no success',
    file: 'src/tfjs/restore-model.ts',
    find: 'if (isWeak && fitting.length === 0 && mismatches.length > 0)',
    replace: 'if (false)',
    tests: WEAK_REFUSALS,
  },
  {
    name: 'an optimizer is not restored beside weights that are trained and new',
    file: 'src/tfjs/choose-optimizer.ts',
    find: '  if (!trainedWeights(model).every(({ name }) => fitting.has(name))) return undefined;\n',
    replace: '',
    tests: WEAK,
  },
  {
    name: 'an optimizer that fits in part is not restored',
    file: 'src/tfjs/choose-optimizer.ts',
    find: 'return prepared?.mismatches.length === 0 ? prepared : undefined;',
    replace: 'return prepared;',
    tests: WEAK,
  },
  {
    name: 'an optimizer that must be restored is, or the restore is refused',
    file: 'src/tfjs/choose-optimizer.ts',
    find: '  if (options.includeOptimizer === true) return prepareIfWanted(side, options);\n',
    replace: '',
    tests: WEAK_REFUSALS,
  },
  {
    name: 'the state of a weight whose name another one has taken is for none',
    file: 'src/tfjs/match-weights.ts',
    find: "?? unused(saved, ' (for no weight)', places)",
    replace: '?? saved',
    tests: WEAK,
  },
  {
    name: 'beyond the last position there is nothing',
    file: 'src/tfjs/match-weights.ts',
    find: 'extension.weights[i] ?? unused(',
    replace: 'extension.weights[i] ?? ((own) => own.replace(/ [(].*/, ""))(',
    tests: WEAK,
  },
  {
    name: 'bytes are no strings',
    file: 'src/tfjs/mismatch.ts',
    find: ' && a.isString === b.isString',
    replace: '',
    tests: WEAK_REFUSALS,
  },
  {
    name: 'a step that is skipped holds nothing',
    file: 'src/tfjs/step-model.ts',
    find: "result?.pending?.status !== 'accepted'",
    replace: 'result === undefined',
    tests: ['test/tfjs/backend-wasm.test.ts'],
  },
  {
    name: 'a manager for weights leaves the optimizer out also where includeOptimizer is undefined',
    file: 'src/tfjs/save-model.ts',
    find: 'includeOptimizer: given.includeOptimizer ?? (',
    replace: "includeOptimizer: 'includeOptimizer' in given ? given.includeOptimizer : (",
    tests: RUN_STATE,
  },
];
