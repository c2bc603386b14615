// Mutants of policies, and of the commands that prune and repair a directory.

const BEST = ['test/policy/best.test.ts'];
const RETENTION = ['test/policy/retention.test.ts'];
const KEEP = ['test/policy/keep.test.ts'];
const TRIGGER = ['test/policy/trigger.test.ts'];
const TOGETHER = ['test/policy/trigger-together.test.ts'];
const NAMING = ['test/manager/naming.test.ts'];
const PRUNE = ['test/cli/prune.test.ts'];
const REPAIR = ['test/cli/repair.test.ts'];
const LINKS = ['test/cli/repair-links.test.ts'];
const REFUSED = ['test/cli/repair-refused.test.ts'];
const DIES = ['test/cli/repair-dies.test.ts'];

export const POLICY = [
  // ── which is the best
  {
    name: 'best: NaN never wins',
    file: 'src/policy/best.ts',
    find: 'return Number.isFinite(value) ? value : undefined;',
    replace: 'return value;',
    tests: BEST,
  },
  {
    name: 'best: a metric is its own, not an inherited one',
    file: 'src/policy/best.ts',
    find: 'Object.hasOwn(metrics, metric) ? metrics[metric] : undefined',
    replace: 'metrics[metric]',
    tests: BEST,
  },
  {
    name: 'best: over any history, one that became the best stays it',
    file: 'src/policy/best.ts',
    find: 'hasImproved(entry, monitor) ? { ...monitor, minDelta: 0 } : monitor',
    replace: 'monitor',
    tests: BEST,
    only: 'over any history > the best does not change when others are removed',
  },
  {
    name: 'best: a validation loss that is not finite is none',
    file: 'src/policy/best.ts',
    find: "metricOf(entry, 'val_loss') !== undefined",
    replace: "entry.metrics['val_loss'] !== undefined",
    tests: BEST,
  },
  {
    name: 'best: a save that failed has not to be beaten',
    file: 'src/policy/best-tracker.ts',
    find: 'if (committed) this.settled',
    replace: 'this.settled',
    tests: BEST,
  },
  // ── what stays
  {
    name: 'retention: the newest full one stays, in any history',
    file: 'src/policy/retention.ts',
    find: "sorted.findLast(({ contents }) => contents === 'full')",
    replace: 'undefined',
    tests: RETENTION,
    only: 'over any checkpoints and rules > all are either kept, for a reason, or removed; never the newest, the newest full, the best or a tagged one',
  },
  {
    name: 'retention: the best stays, in any history',
    file: 'src/policy/retention.ts',
    find: "  stay(best, 'best');\n",
    replace: '',
    tests: RETENTION,
    only: 'over any checkpoints and rules > all are either kept, for a reason, or removed; never the newest, the newest full, the best or a tagged one',
  },
  {
    name: 'retention: the tagged stay, in any history',
    file: 'src/policy/retention.ts',
    find: 'for (const tag of entry.tags ?? [])',
    replace: 'for (const tag of [])',
    tests: RETENTION,
    only: 'over any checkpoints and rules > all are either kept, for a reason, or removed; never the newest, the newest full, the best or a tagged one',
  },
  {
    name: 'retention: the answer of a rule inside of maxBytes is checked',
    file: 'src/policy/keep.ts',
    find: 'askRule(rule, entries, context)',
    replace: 'rule.keeps(entries, context)',
    tests: RETENTION,
  },
  {
    name: 'retention: what stays anyway is counted in maxBytes',
    file: 'src/policy/keep.ts',
    find: 'let left = bytes - [...staying].reduce((sum, entry) => sum + entry.bytes, 0);',
    replace: 'let left = bytes;',
    tests: KEEP,
  },
  {
    name: 'retention: where the clock went back, everyMinutes keeps',
    file: 'src/policy/keep.ts',
    find: ' || entry.time < last.time',
    replace: '',
    tests: KEEP,
  },
  {
    name: 'retention: a misspelled metric of keep.best is refused',
    file: 'src/policy/keep.ts',
    find: "  assertKnown('keep.best', options, ['monitor', 'mode']);\n",
    replace: '',
    tests: KEEP,
  },
  {
    name: 'retention: a link through another path is a tag',
    file: 'src/catalog/links.ts',
    find: 'entryOf(real, path.join(parent, path.basename(pointed)))',
    replace: 'undefined',
    tests: NAMING,
  },
  // ── when a save is due
  {
    name: 'trigger: a multiple is due once',
    file: 'src/policy/trigger.ts',
    find: 'return multiple > from && multiple > 0',
    replace: 'return multiple >= from && multiple > 0',
    tests: TRIGGER,
  },
  {
    name: 'trigger: NaN is no improvement',
    file: 'src/policy/trigger.ts',
    find: 'value === undefined || !improves(value, best, monitor)',
    replace: '!improves(value, best, monitor)',
    tests: TRIGGER,
  },
  {
    name: 'trigger: what preemption means is said in one way',
    file: 'src/policy/trigger.ts',
    find: 'others.some((other) => spell(other) !== spell(preemption))',
    replace: 'false',
    tests: TOGETHER,
  },
  // ── holdfast prune
  {
    name: 'prune: needs the lock',
    file: 'src/manager/prune.ts',
    find: "const core = await WriterCore.acquire(real, selectEngine('auto'));",
    replace:
      "const core = { directory: real, lock: { assertHeld: async () => {} }, runId: 'x', highestSequence: 9, queue: { exclusive: (work) => work() }, release: async () => {} };",
    tests: PRUNE,
    only: 'a directory that somebody writes to > is his: nothing is touched but with --dry-run looked at, until he is dead',
  },
  {
    name: 'prune: a dry run removes nothing',
    file: 'src/manager/prune.ts',
    find: 'if (dryRun || entries.length === 0)',
    replace: 'if (entries.length === 0)',
    tests: PRUNE,
    only: 'prune --json > --dry-run says the same and changes nothing, not an inode, not a time',
  },
  {
    name: 'prune: a checkpoint is no directory of checkpoints',
    file: 'src/manager/assert-directory.ts',
    find: 'found > 0 || !(await isCheckpointDirectory(directory))',
    replace: 'found >= 0 || !(await isCheckpointDirectory(directory))',
    tests: PRUNE,
  },
  {
    name: 'prune: one that holds a file of somebody is told',
    file: 'src/manager/prune.ts',
    find: '      kept.add(name);\n',
    replace: '',
    tests: PRUNE,
    only: 'prune > one that holds a file of somebody stays with a warning, the rest goes, and that is 1',
  },
  // ── holdfast repair
  {
    name: 'repair: the last ones stay, though damaged',
    file: 'src/manager/repair-plan.ts',
    find: 'const survivors = entries.some(({ info }) => !problems.has(info.name));',
    replace: 'const survivors = entries.length > 0;',
    tests: REPAIR,
  },
  {
    name: 'repair: what is not known to be damaged stays',
    file: 'src/manager/repair-plan.ts',
    find: 'found.find(({ code }) => !DAMAGE_CODES.has(code))',
    replace: 'found.find(() => false)',
    tests: REFUSED,
  },
  {
    name: 'repair: running out of descriptors is no damage',
    file: 'src/errors.ts',
    find: "  'ERR_HEADER_MISMATCH',\n]",
    replace: "  'ERR_HEADER_MISMATCH',\n  'ERR_RESOURCES',\n]",
    tests: REFUSED,
    only: 'what cannot be done > having no descriptors left says nothing about a checkpoint',
  },
  {
    name: 'repair: every byte is read',
    file: 'src/manager/repair-plan.ts',
    find: 'options.quick ? quickProblems(entries)',
    replace: 'true ? quickProblems(entries)',
    tests: REPAIR,
  },
  {
    name: 'repair: each checkpoint is looked at by itself',
    file: 'src/manager/repair-plan.ts',
    find: 'const { problems } = await verifyTarget(checkpoint, options);',
    replace:
      'const problems = (await verifyTarget(path.dirname(checkpoint), options)).problems.filter((each) => each.checkpoint === path.basename(checkpoint));',
    tests: REPAIR,
    only: 'a damaged checkpoint goes to .quarantine: > also where a stray manifest or tensor file in the directory looks like a checkpoint',
  },
  {
    name: 'repair: links that point at something stay',
    file: 'src/manager/repair-plan.ts',
    find: 'if (!away.has(from) && (await exists(path.join(directory, from)))) continue;',
    replace: 'if (good.some(({ info }) => info.name === from)) continue;',
    tests: LINKS,
  },
  {
    name: 'repair: what stands in .quarantine is not replaced',
    file: 'src/manager/repair-plan.ts',
    find: 'if (!(await exists(path.join(directory, place)))) return place;',
    replace: 'return place;',
    tests: REPAIR,
    only: 'a damaged checkpoint goes to .quarantine: > beside one of the same name that lies there already',
  },
  {
    name: 'repair: a dry run takes no action',
    file: 'src/manager/repair.ts',
    find: '  if (dryRun) {\n',
    replace: '  if (dryRun && quick) {\n',
    tests: REPAIR,
  },
  {
    name: "repair: a living holder's lock is not broken",
    file: 'src/catalog/lock.ts',
    find: "    if (holder?.host === here.host && holder.bootId === here.bootId && (await isAlive(holder))) throw locked(file, holder);\n    // Of a holder in another pid namespace, or on a file system that tells of locks elsewhere.\n    if (isHeldOpen(engine, file, ['EAGAIN'])) throw locked(file, holder);\n",
    replace: '',
    tests: REFUSED,
  },
  {
    name: 'repair: what was not done is not said to be',
    file: 'src/manager/repair.ts',
    find: '      await mend(core.directory, action);\n      done.push(action);',
    replace: '      done.push(action);\n      await mend(core.directory, action);',
    tests: REFUSED,
  },
  {
    name: 'repair: a damaged one is moved in one step',
    file: 'src/manager/repair.ts',
    find: '    await rename(path.join(directory, action.name), path.join(directory, action.to));',
    replace:
      "    const { mkdir, readdir, rmdir } = await import('node:fs/promises');\n    const [from, to] = [path.join(directory, action.name), path.join(directory, action.to)];\n    await mkdir(to);\n    for (const file of await readdir(from)) await rename(path.join(from, file), path.join(to, file));\n    await rmdir(from);",
    tests: DIES,
  },
];
