// Mutants of experiments and their training log.
const FILE = 'src/experiment/experiment.ts';
const LOG_FILE = 'src/experiment/training-log.ts';
const CONFIG_FILE = 'src/experiment/config.ts';
const HISTORY_FILE = 'src/experiment/history.ts';
const LAYOUT = ['test/experiment/layout.test.ts'];
const CONFIG = ['test/experiment/config.test.ts'];
const LOG = ['test/experiment/log.test.ts'];
const HISTORY = ['test/experiment/history.test.ts'];
const ENDS = ['test/experiment/ends.test.ts'];
const FAILING = ['test/experiment/failing.test.ts'];
const DURABLE = ['test/experiment/durable.test.ts'];

export const EXPERIMENT = [
  {
    name: 'experiment: logging a failed save does not count as having heard of it',
    file: FILE,
    find: 'watch: new SaveWatch(manager.directory, log),',
    replace: "watch: (manager.on('saveFailed', () => {}), new SaveWatch(manager.directory, log)),",
    tests: LOG,
  },
  {
    name: 'experiment: saves of other directories are not logged',
    file: FILE,
    find: '    if (directory !== this.directory) return;\n    const { name, bytes, seconds } = result;',
    replace: '    const { name, bytes, seconds } = result;',
    tests: LOG,
  },
  {
    name: 'experiment: nothing is logged after close',
    file: FILE,
    find: "    unsubscribe('holdfast:saveCommitted', this.committed);",
    replace: '',
    tests: LOG,
  },
  {
    name: 'experiment: the lock holds until the log is closed',
    file: FILE,
    find: '      await attempt(() => writing.log.close());\n      await attempt(() => writing.core.release());',
    replace: '      await attempt(() => writing.log.close());',
    also: [{ file: FILE, find: 'undo.push(() => core.release());', replace: 'await core.release();' }],
    tests: LAYOUT,
  },
  {
    name: 'experiment: once per process',
    file: FILE,
    find: 'if (opened.has(directory)) {',
    replace: 'if (false) {',
    tests: LAYOUT,
  },
  {
    name: 'experiment: options are checked before anything is made',
    file: FILE,
    find: '  resolveSettings(rest);\n',
    replace: '',
    tests: LAYOUT,
  },
  {
    name: 'experiment: leftovers are swept',
    file: FILE,
    find: 'for (const swept of [directory, logs]) await sweepLeftovers(swept);',
    replace: '',
    tests: LAYOUT,
  },
  {
    name: 'experiment: a failed opening lets go of everything',
    file: FILE,
    find: 'for (const step of undo.toReversed()) await step().catch(() => {});',
    replace: '',
    tests: LAYOUT,
  },
  {
    name: 'experiment: README.md is never overwritten',
    file: FILE,
    find: '  if (await exists(file)) return;\n',
    replace: '',
    also: [{ file: 'src/storage/local.ts', find: 'await link(temporary, file).catch(', replace: 'await rename(temporary, file).catch(' }],
    tests: LAYOUT,
  },
  {
    name: 'experiment: the older configuration is kept',
    file: CONFIG_FILE,
    find: 'await keepOlder(logs, stored.bytes)',
    replace: "'config-none.json'",
    tests: CONFIG,
  },
  {
    name: 'experiment: kept configurations do not replace each other',
    file: CONFIG_FILE,
    find: 'if (await createFileDurably(path.join(logs, file), bytes, TEMPORARY_PREFIX)) return file;',
    replace: 'await replaceFileDurably(path.join(logs, file), bytes, TEMPORARY_PREFIX); return file;',
    tests: CONFIG,
  },
  {
    name: 'experiment: the older configuration is kept before the new one takes its place',
    file: CONFIG_FILE,
    find: '    const kept = stored.kind',
    replace: '    await replaceFileDurably(file, given.bytes, TEMPORARY_PREFIX);\n    const kept = stored.kind',
    tests: DURABLE,
  },
  {
    name: 'experiment: config.json is replaced durably',
    file: 'src/storage/local.ts',
    find: '  await replaceBy(file, temporaryPrefix, (temporary) => writeNewFile(temporary, bytes));\n  await syncDirectory(path.dirname(file));',
    replace: '  await replaceBy(file, temporaryPrefix, (temporary) => writeNewFile(temporary, bytes));',
    tests: DURABLE,
  },
  {
    name: 'experiment: the log is synced with every checkpoint',
    file: LOG_FILE,
    find: '    if (lines.some(({ durable }) => durable)) await place.file.sync();',
    replace: '',
    tests: DURABLE,
  },
  {
    name: 'experiment: the log is synced when it is closed',
    file: LOG_FILE,
    find: '      await this.place?.file.sync();',
    replace: '',
    tests: DURABLE,
  },
  {
    name: 'experiment: a torn line stays apart',
    file: LOG_FILE,
    find: 'const bytes = toBytes(lines, place.torn);',
    replace: 'const bytes = toBytes(lines, false);',
    tests: HISTORY,
  },
  {
    name: 'experiment: a torn line stays apart at the end of a process, too',
    file: LOG_FILE,
    find: 'isTorn(descriptor, end));',
    replace: 'false);',
    tests: ENDS,
  },
  {
    name: 'experiment: the last lines of a process that ends by itself',
    file: LOG_FILE,
    find: '      log.finish();',
    replace: '',
    tests: ENDS,
  },
  {
    name: 'experiment: lines in the making are not written twice at the end',
    file: LOG_FILE,
    find: 'const end = at?.position ?? fstatSync(descriptor).size;',
    replace: 'const end = fstatSync(descriptor).size;',
    tests: ENDS,
  },
  {
    name: 'experiment: lines that are added meanwhile are written',
    file: LOG_FILE,
    find: '    while (this.waiting.length > 0) {',
    replace: '    if (this.waiting.length > 0) {',
    tests: LOG,
  },
  {
    name: 'experiment: a log that was moved away is noticed',
    file: LOG_FILE,
    find: 'if (there?.ino === place.ino && there.dev === place.dev) {',
    replace: 'if (true) {',
    also: [{ file: LOG_FILE, find: 'if (there.size !== place.end)', replace: 'if (there && there.size !== place.end)' }],
    tests: FAILING,
  },
  {
    name: 'experiment: a log that somebody else adds to is looked at again',
    file: LOG_FILE,
    find: 'if (there.size !== place.end)',
    replace: 'if (false)',
    tests: HISTORY,
  },
  {
    name: 'experiment: a failed append makes close reject',
    file: LOG_FILE,
    find: 'if (failure === undefined) return;',
    replace: 'return;',
    tests: FAILING,
  },
  {
    name: 'experiment: what was logged after the restored step is superseded',
    file: HISTORY_FILE,
    find: "if (record.event === 'restored') records = withoutSuperseded(records, record);",
    replace: '',
    tests: HISTORY,
  },
  {
    name: 'experiment: what was logged up to the restored step is not',
    file: HISTORY_FILE,
    find: 'record.step <= step',
    replace: 'record.step < step',
    tests: HISTORY,
  },
  {
    name: 'experiment: a restore that finds nothing begins anew',
    file: HISTORY_FILE,
    find: '(step !== null && record.step <= step)',
    replace: '(step === null || record.step <= step)',
    tests: HISTORY,
  },
];
