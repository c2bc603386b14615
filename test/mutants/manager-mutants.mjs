// Mutants of what a manager decides: when a save is due, which checkpoint is meant, what may go, what the registry is believed.

const STEP = ['test/manager/step.test.ts'];
const NAMING = ['test/manager/naming.test.ts'];
const REGISTRY = ['test/manager/registry.test.ts'];
const RECOVERY = ['test/manager/recovery.test.ts'];
const ROOM = ['test/manager/make-room.test.ts'];
const WATCH = ['test/manager/watch.test.ts'];
const CONCURRENCY = ['test/manager/concurrency.test.ts'];

export const MANAGER = [
  // ── the registry is a cache
  {
    name: 'a record is believed of an unchanged manifest only',
    file: 'src/catalog/record-cache.ts',
    find: 'known !== undefined && known.stamp === stamp',
    replace: 'known !== undefined',
    tests: REGISTRY,
  },
  {
    name: 'a registry of another version is not read',
    file: 'src/catalog/registry.ts',
    find: ' || version !== REGISTRY_VERSION',
    replace: '',
    tests: REGISTRY,
  },
  {
    name: 'a registry is checked against its seal',
    file: 'src/format/sealed.ts',
    find: 'if (actual !== expected) return',
    replace: 'if (actual === undefined) return',
    tests: REGISTRY,
  },
  {
    name: 'a registry that is missing or wrong is made anew',
    file: 'src/manager/core.ts',
    find: 'if (cache.isChanged || (registry === undefined && entries.length > 0))',
    replace: 'if (registry !== undefined && entries.length < 0)',
    tests: REGISTRY,
  },
  {
    name: 'the highest sequence is remembered where its checkpoint is gone',
    file: 'src/manager/core.ts',
    find: 'Math.max(registry?.highestSequence ?? 0, newest?.sequence ?? 0)',
    replace: '(newest?.sequence ?? 0)',
    tests: REGISTRY,
  },
  // ── which checkpoint
  {
    name: 'latest passes over weights-only checkpoints',
    file: 'src/manager/target.ts',
    find: "contents = target === 'latest' ? 'full' : 'any'",
    replace: "contents = 'any'",
    tests: RECOVERY,
  },
  {
    name: 'only weights-only checkpoints are no first run',
    file: 'src/manager/target.ts',
    find: 'if (fitting.length === 0) throw nothingFits(directory, contents as Contents, entries.length);',
    replace: '',
    tests: RECOVERY,
  },
  {
    name: 'strict refuses what does not fit',
    file: 'src/manager/expectation.ts',
    find: "if (mode === 'weak' || isComplete(match)) return match;",
    replace: 'return match;',
    tests: RECOVERY,
  },
  {
    name: 'what does not fit is not loaded',
    file: 'src/format/match-tensors.ts',
    find: 'if (!fits(wanted, found)) wrong.push',
    replace: 'if (name === undefined) wrong.push',
    tests: RECOVERY,
  },
  {
    name: 'a mismatch is no damage: older checkpoints are no answer',
    file: 'src/engine/system-error.ts',
    find: "  'ERR_MODEL_MISMATCH',\n",
    replace: '',
    tests: RECOVERY,
  },
  {
    name: 'a watch leaves out what is damaged',
    file: 'src/manager/watch.ts',
    find: '.filter(isGood))',
    replace: '.filter(({ info }) => info.sequence !== null))',
    tests: WATCH,
  },
  {
    name: 'a watch tells of each checkpoint once',
    file: 'src/manager/watch.ts',
    find: '        last = sequence;\n',
    replace: '',
    tests: WATCH,
  },
  // ── when a save is due
  {
    name: 'a multiple is looked at once',
    file: 'src/manager/stepper.ts',
    find: '      this.previous = this.current;\n      this.lastSave',
    replace: '      this.lastSave',
    tests: STEP,
  },
  {
    name: 'training that was resumed goes on from there',
    file: 'src/manager/stepper.ts',
    find: 'if (current === BEGINNING) return resumed ?? current;',
    replace: 'if (current === BEGINNING) return current;',
    tests: STEP,
  },
  {
    name: 'a signal is remembered until something is saved',
    file: 'src/manager/stepper.ts',
    find: '      this.signals.clear();\n',
    replace: '',
    tests: STEP,
  },
  {
    name: 'a save that failed need not be beaten',
    file: 'src/manager/saver.ts',
    find: 'this.context.core.noteSettled(queued, false);',
    replace: 'this.context.core.noteSettled(queued, true);',
    tests: STEP,
  },
  {
    name: 'a save in flight has to be beaten',
    file: 'src/manager/saver.ts',
    find: 'this.context.core.noteAccepted(queued, request.metrics);',
    replace: '',
    tests: STEP,
  },
  {
    name: 'a manifest says whether its checkpoint became the best',
    file: 'src/policy/best.ts',
    find: '...(improved ? { improved } : {})',
    replace: '...(improved ? {} : {})',
    tests: ['test/policy/best.test.ts'],
  },
  {
    name: 'a manager for weights leaves the optimizer out',
    file: 'src/manager/save-request.ts',
    find: "request.contents === undefined && contents === 'weights' ? undefined : ofOptimizer",
    replace: 'ofOptimizer',
    tests: STEP,
  },
  // ── names and tags
  {
    name: 'a link replaces links only',
    file: 'src/catalog/links.ts',
    find: 'if (found === undefined || found.isSymbolicLink()) return;',
    replace: 'return;',
    tests: NAMING,
  },
  {
    name: 'what has a tag stays',
    file: 'src/policy/retention.ts',
    find: 'for (const tag of entry.tags ?? [])',
    replace: 'for (const tag of [])',
    tests: NAMING,
  },
  {
    name: 'a tag that moves lets go of what had it',
    file: 'src/saver/survey.ts',
    find: 'if (!info.tags.some((tag) => moved.includes(tag))) return entry;',
    replace: 'return entry;',
    tests: NAMING,
  },
  // ── room
  {
    name: 'room is made only of what need not stay now',
    file: 'src/policy/retention.ts',
    find: 'return removed.filter(({ sequence }) => !staying.has(sequence));',
    replace: 'return removed;',
    tests: ROOM,
  },
  {
    name: 'room is made only where it is asked for',
    file: 'src/saver/write-checkpoint.ts',
    find: '...(job.makeRoom ? { makeRoom: roomFor } : {}),',
    replace: 'makeRoom: roomFor,',
    tests: ROOM,
  },
  {
    name: 'room is made only where there is none',
    file: 'src/catalog/persist.ts',
    find: 'if (shortage === undefined) return;\n  if (makeRoom === undefined) throw shortage;',
    replace: 'if (shortage === undefined && makeRoom === undefined) return;\n  if (makeRoom === undefined) throw shortage;',
    tests: ROOM,
  },
  // ── several at one directory
  {
    name: 'prune and tag wait for their turn',
    file: 'src/saver/queue.ts',
    find: 'return this.add(work, { owner: this, replaceable: false }, () => {}).outcome;',
    replace: 'return work();',
    tests: CONCURRENCY,
  },
];
