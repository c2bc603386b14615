// Mutants of what exact resume rests on.

const EXACT = ['test/tfjs/resume/exact.test.ts'];
const RUN = ['test/tfjs/resume/run.test.ts'];
const BACKUP = ['test/tfjs/resume/backup.test.ts'];

export const RESUME = [
  {
    name: 'batches that go by give the outputs they had',
    file: 'src/tfjs/resume/outputs.ts',
    find: 'new Float32Array([value])',
    replace: 'new Float32Array([0 * value])',
    tests: EXACT,
  },
  {
    name: 'training draws what it would have drawn behind the last batch',
    file: 'src/tfjs/resume/tracked-fit.ts',
    find: 'isMidway ? from.rng : after',
    replace: 'after',
    tests: EXACT,
  },
  {
    name: 'the order of an epoch follows from those before it',
    file: 'src/tfjs/resume/order.ts',
    find: '  const order = sorted(samples);\n  const alea',
    replace: '  let order = sorted(samples);\n  if (states.length > 2) order = order.reverse();\n  const alea',
    tests: EXACT,
  },
  {
    name: 'what callbacks draw before the first epoch does not count',
    file: 'src/tfjs/resume/tracked-fit.ts',
    find: 'if (from !== undefined) random.restore(from.rng);',
    replace: '',
    tests: [...EXACT, ...RUN],
  },
  {
    name: 'a pipeline draws from a sequence of its own',
    file: 'src/tfjs/resume/random.ts',
    find: '(OWN_STREAM.getStore() ?? this).next()',
    replace: 'this.next()',
    tests: EXACT,
  },
  {
    name: 'iterators of earlier epochs are asked for',
    file: 'src/tfjs/resume/pipeline.ts',
    find: '    while (this.opened < number) await this.nextIterator(source);\n',
    replace: '',
    tests: EXACT,
  },
  {
    name: 'what an epoch had is thrown away before it is gone on with',
    file: 'src/tfjs/resume/pipeline.ts',
    find: '(epoch - first) * batchesPerEpoch',
    replace: '0',
    tests: EXACT,
  },
  {
    name: 'between two epochs the one before tells whether data is the same',
    file: 'src/tfjs/resume/pipeline.ts',
    find: 'return batch === 0 && expected',
    replace: 'return batch > 0 && expected',
    tests: EXACT,
  },
  {
    name: 'the state of a callback is put back in the middle of an epoch, too',
    file: 'src/tfjs/resume/tracked-fit.ts',
    find: 'if (this.resumed !== undefined && this.isFirstEpoch) this.restoreState(callback);',
    replace: '',
    tests: RUN,
  },
  {
    name: 'what goes by is kept from callbacks',
    file: 'src/tfjs/resume/gates.ts',
    find: '      if (!keeper.isReplayed(batch)) await user.onBatchBegin',
    replace: '      await user.onBatchBegin',
    tests: RUN,
  },
  {
    name: 'training that was stopped in an epoch stops there again',
    file: 'src/tfjs/resume/tracked-fit.ts',
    find: '      this.inner.stopTraining = true;',
    replace: '',
    tests: RUN,
  },
  {
    name: 'training that was stopped at the end of an epoch is over',
    file: 'src/tfjs/resume/tracked-fit.ts',
    find: 'isOver ? epochs : this.epoch',
    replace: 'this.epoch',
    tests: RUN,
  },
  {
    name: 'a model that was compiled anew gets its optimizer back',
    file: 'src/tfjs/resume/run.ts',
    find: '      await this.restoreAgain();\n',
    replace: '',
    tests: RUN,
  },
  {
    name: 'other settings are refused',
    file: 'src/tfjs/resume/facts.ts',
    find: 'if (names.length === 0) return;',
    replace: 'return;',
    tests: RUN,
  },
  {
    name: 'a fit that throws keeps its backup',
    file: 'src/tfjs/resume/backup-and-restore.ts',
    find: '      await (run ?? manager).close().catch(() => {});\n      throw error;',
    replace: '      await (run ?? manager).close().catch(() => {});\n      await removeAllCheckpoints(directory);\n      throw error;',
    tests: BACKUP,
  },
  {
    name: 'what is not of a backup is not deleted',
    file: 'src/manager/remove-all.ts',
    find: '    if (isLink || entry.name === REGISTRY_NAME || entry.name === HISTORY_NAME)',
    replace: '    if (isLink || entry.isFile())',
    tests: BACKUP,
  },
  {
    name: 'callbacks get back the tensors that they had',
    file: 'src/tfjs/resume/tracked-fit.ts',
    find: 'if (tensors.size > 0) stateful',
    replace: 'if (tensors.size > 99) stateful',
    tests: ['test/tfjs/resume/library-callbacks.test.ts'],
  },
  {
    name: 'what callbacks keep is not taken for the state of the optimizer',
    file: 'src/tfjs/optimizer/restore.ts',
    find: '    if (isRunTensor(name)) continue;\n',
    replace: '',
    tests: ['test/tfjs/resume/library-callbacks.test.ts'],
  },
];
