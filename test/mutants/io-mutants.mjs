// Mutants of the drop-in for TensorFlow.js: saving and loading by holdfast://, by handlers, and file:// taken over.

const REGISTERED = ['test/tfjs/io-registered.test.ts'];
const PLAIN = ['test/tfjs/io-plain.test.ts'];
const STOCK = ['test/tfjs/io-stock.test.ts'];
const NODE = ['test/tfjs/io-tfjs-node.test.ts'];

export const IO = [
  {
    name: 'a checkpoint that is passed over is warned of',
    file: 'src/tfjs/io/load-artifacts.ts',
    find: 'of restored.skipped) {',
    replace: 'of restored.skipped.slice(0, 0)) {',
    tests: REGISTERED,
  },
  {
    name: 'a step that a URL names is loaded, or none',
    file: 'src/tfjs/io/url.ts',
    find: 'const chosen = step !== undefined ? { step } :',
    replace: 'const chosen = step !== undefined ? undefined :',
    tests: REGISTERED,
  },
  {
    name: 'a model that is loaded restores itself, not as tfjs does it',
    file: 'src/tfjs/io/exact-load.ts',
    find: '  loads.set(metadata, load);\n',
    replace: '',
    tests: REGISTERED,
  },
  {
    name: 'saves to one directory go in the order of the calls',
    file: 'src/tfjs/io/handler.ts',
    find: 'const turn = (turns.get(directory) ?? Promise.resolve()).then(',
    replace: 'const turn = Promise.resolve().then(',
    tests: REGISTERED,
  },
  {
    name: 'the capture of a save that is refused is let go',
    file: 'src/tfjs/io/handler.ts',
    find: '      capture.release();\n',
    replace: '',
    tests: ['test/tfjs/io-wasm.test.ts'],
  },
  {
    name: 'tfjs does not read zeros from a list whose last buffer is the longest',
    file: 'src/tfjs/io/weight-data.ts',
    find: '[first, new ArrayBuffer(0), ...rest]',
    replace: '[first, ...rest]',
    tests: REGISTERED,
  },
  {
    name: 'a state that tfjs cannot take leaves the model uncompiled',
    file: 'src/tfjs/io/load-artifacts.ts',
    find: 'trainingConfig: isLost ? null : trainingConfig',
    replace: 'trainingConfig',
    tests: PLAIN,
  },
  {
    name: 'stock files that are too long are refused',
    file: 'src/tfjs/io/stock-directory.ts',
    find: 'if (last === undefined || this.at === this.end) return;',
    replace: 'return;',
    tests: STOCK,
  },
  {
    name: 'a checkpoint without its manifest is not read as a stock model',
    file: 'src/tfjs/io/stock-directory.ts',
    find: 'if (found === undefined || (await isCheckpointDirectory(directory)))',
    replace: 'if (found === undefined)',
    tests: STOCK,
  },
  {
    name: 'model.json is durable before it takes its place',
    file: 'src/tfjs/io/take-over-files.ts',
    find: '    await handle.sync();\n',
    replace: '',
    tests: NODE,
  },
  {
    name: 'model.json takes its place in one step',
    file: 'src/tfjs/io/take-over-files.ts',
    find: "await open(temporary, 'w')",
    replace: "await open(file, 'w')",
    also: [{ file: 'src/tfjs/io/take-over-files.ts', find: '  await rename(temporary, file);\n', replace: '' }],
    tests: NODE,
  },
  {
    name: 'what model.json points at stays until the newer one is pointed at',
    file: 'src/tfjs/io/take-over-files.ts',
    find: 'name === pointer?.holdfastCheckpoint',
    replace: 'false',
    tests: NODE,
  },
];
