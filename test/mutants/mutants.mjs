// What is taken out of the code, one at a time, and the tests that must turn red.
// `find` stands exactly once in the file; a mutant that no longer applies is an error, not a success.

const PROTOCOL = ['test/faults/protocol.test.ts'];
const CORPUS = ['test/corpus.test.ts'];
const RESTORE = ['test/manager/restore.test.ts'];
const SAVING = ['test/manager/saving.test.ts'];
const LOCK = ['test/catalog/lock.test.ts'];
const PLACES = ['test/faults/places.test.ts'];

/** Mutants of the TypeScript. */
export const TYPESCRIPT = [
  // ── what makes a commit durable
  {
    name: 'fsync of small files and the manifest',
    file: 'src/storage/local.ts',
    find: '    await handle.sync();\n  } finally {\n    await handle.close();\n  }\n}\n\n/**\n * Makes the entries',
    replace: '  } finally {\n    await handle.close();\n  }\n}\n\n/**\n * Makes the entries',
    tests: PROTOCOL,
  },
  {
    name: 'fsync of directories',
    file: 'src/storage/local.ts',
    find: 'constants.O_RDONLY | (constants.O_DIRECTORY ?? 0));\n  try {\n    await handle.sync();',
    replace: 'constants.O_RDONLY | (constants.O_DIRECTORY ?? 0));\n  try {',
    tests: PROTOCOL,
  },
  {
    name: 'fsync of tensor files, portable engine',
    file: 'src/engine/portable/writer.ts',
    find: 'await this.file.sync();',
    replace: '',
    tests: PROTOCOL,
  },
  {
    name: 'fsync of the temporary directory (step 7)',
    file: 'src/catalog/commit.ts',
    find: 'await syncDirectory(temporary); // 7',
    replace: '',
    tests: PROTOCOL,
  },
  {
    name: 'fsync of the parent directory (step 9)',
    file: 'src/catalog/commit.ts',
    find: 'await syncDirectory(directory); // 9',
    replace: '',
    tests: PROTOCOL,
  },
  {
    name: 'fsync after a new directory was made',
    file: 'src/manager/core.ts',
    find: '    await syncParent(made);',
    replace: '',
    tests: PROTOCOL,
  },
  {
    name: 'fsync between burying and removing',
    file: 'src/catalog/remove.ts',
    find: '  await syncDirectory(directory);',
    replace: '',
    tests: PROTOCOL,
  },
  {
    name: 'burying before removing',
    file: 'src/catalog/remove.ts',
    find: '  await rename(path.join(directory, name), grave);',
    replace: '  await removeTree(path.join(directory, name));',
    tests: PROTOCOL,
  },
  {
    name: 'the rename: written in place instead',
    file: 'src/catalog/commit.ts',
    find: 'const temporary = path.join(directory, temporaryName(TEMPORARY_PREFIX));',
    replace: 'const temporary = path.join(directory, commit.name);',
    tests: [...PROTOCOL, ...SAVING],
  },
  {
    name: 'manifest last: written after the rename',
    file: 'src/catalog/commit.ts',
    find: '    const name = await publish(temporary, commit, options); // 8, 9\n',
    replace:
      "    const late = path.join(temporary, MANIFEST_NAME);\n    const { rm } = await import('node:fs/promises');\n    await rm(late);\n    const name = await publish(temporary, commit, options); // 8, 9\n    await writeNewFile(path.join(directory, name, MANIFEST_NAME), encodeManifest(manifest));\n",
    tests: PROTOCOL,
  },
  {
    name: 'the look before a portable rename',
    file: 'src/engine/portable/rename.ts',
    find: '  if (taken) throw',
    replace: '  if (false) throw',
    tests: ['test/manager/names.test.ts'],
  },
  {
    name: 'leftovers of a failed save are removed',
    file: 'src/catalog/commit.ts',
    find: 'await removeTree(temporary).catch(() => {});',
    replace: '',
    tests: SAVING,
  },
  {
    name: 'an unsynced parent takes the checkpoint back',
    file: 'src/catalog/commit.ts',
    find: 'await engine.renameNoReplace(target, temporary).catch(() => {});',
    replace: '',
    tests: ['test/faults/injection.test.ts'],
    only: 'portable engine > fsync',
  },
  {
    name: 'the look at free space',
    file: 'src/catalog/commit.ts',
    find: 'if (free >= bytes + SPARE_BYTES) return;',
    replace: 'return;',
    tests: PLACES,
  },
  // ── the lock
  {
    name: 'the lock keeps others out',
    file: 'src/catalog/lock.ts',
    find: "if (code === 'EEXIST' || code === 'ENOENT') return false;",
    replace: "if (code === 'EEXIST' || code === 'ENOENT') return true;",
    tests: LOCK,
  },
  {
    name: 'a living holder is respected',
    file: 'src/catalog/lock.ts',
    find: 'if (await isAlive(holder)) throw locked(file, holder);',
    replace: '',
    tests: LOCK,
  },
  {
    name: 'a holder on another host is respected',
    file: 'src/catalog/lock.ts',
    find: 'if (holder.host !== here.host) throw locked(file, holder);',
    replace: '',
    tests: LOCK,
  },
  {
    name: 'the lock is looked at before the commit',
    file: 'src/catalog/commit.ts',
    find: '    await options.lock.assertHeld();',
    replace: '',
    tests: LOCK,
  },
  {
    name: 'leftovers of dead writers are swept',
    file: 'src/manager/core.ts',
    find: 'const swept = await sweepLeftovers(directory);',
    replace: 'const swept: string[] = [];',
    tests: LOCK,
  },
  // ── checksums and structure
  {
    name: 'CRC compare of chunks',
    file: 'src/catalog/check-digest.ts',
    find: 'if (actual === expected) return;',
    replace: 'return;',
    tests: [...RESTORE, ...CORPUS],
  },
  {
    name: 'CRC compare of whole files',
    file: 'src/catalog/check-digest.ts',
    find: 'if (whole !== file.crc32c)',
    replace: 'if (false)',
    tests: CORPUS,
  },
  {
    name: 'CRC compare of tensors',
    file: 'src/catalog/check-digest.ts',
    find: '!== tensor.crc32c',
    replace: '=== null',
    tests: [...CORPUS, ...RESTORE],
  },
  {
    name: 'CRC compare of the manifest',
    file: 'src/format/sealed.ts',
    find: 'if (actual !== expected)',
    replace: 'if (false)',
    tests: ['test/format/manifest.test.ts'],
  },
  {
    name: 'CRC compare of the read-back',
    file: 'src/catalog/read-back.ts',
    find: 'if (problem !== undefined) {',
    replace: 'if (false) {',
    tests: SAVING,
  },
  {
    name: 'sizes of files',
    file: 'src/catalog/checkpoint.ts',
    find: '  if (actual === file.bytes) return undefined;',
    replace: '  if (actual !== undefined) return undefined;',
    tests: CORPUS,
  },
  {
    name: 'header and manifest list the same',
    file: 'src/catalog/read-checkpoint.ts',
    find: 'if (entry?.offset === offset && entry.bytes === bytes) return entry;',
    replace: 'if (entry) return entry;',
    tests: CORPUS,
  },
  {
    name: 'holes and overlaps in headers',
    file: 'src/format/safetensors.ts',
    find: '    if (offset !== expected) {',
    replace: '    if (false) {',
    tests: CORPUS,
  },
  {
    name: 'duplicate keys in headers',
    file: 'src/format/json.ts',
    find: 'if (members.has(key)) throw',
    replace: 'if (false) throw',
    tests: CORPUS,
  },
  {
    name: 'file names stay inside the checkpoint',
    file: 'src/format/manifest.ts',
    find: 'if (!isFileName(name)) throw',
    replace: 'if (false) throw',
    tests: CORPUS,
  },
  // ── snapshots
  {
    name: 'the copy of memory that may change',
    file: 'src/snapshot/snapshot.ts',
    find: 'data.stable && engine.canHold(data.memory)',
    replace: 'engine.canHold(data.memory)',
    tests: ['test/manager/round-trip.test.ts'],
  },
  {
    name: 'the detachment check before the commit',
    file: 'src/catalog/commit.ts',
    find: '    commit.snapshot.assertIntact();',
    replace: '',
    tests: SAVING,
  },
  {
    name: 'the length of streams',
    file: 'src/catalog/write-files.ts',
    find: 'if (taken !== bytes) throw wrong',
    replace: 'if (false) throw wrong',
    also: [
      { file: 'src/engine/portable/writer.ts', find: 'if (position !== totalBytes) throw lengthError(totalBytes, position);', replace: '' },
    ],
    tests: SAVING,
  },
  // ── restoring and retention
  {
    name: 'a damaged only checkpoint is no first run',
    file: 'src/manager/restore.ts',
    find: '  if (entries.length === 0) return undefined;',
    replace: "  if (!entries.some(({ info }) => info.status === 'good')) return undefined;",
    tests: RESTORE,
  },
  {
    name: 'falling back past damage',
    file: 'src/manager/restore.ts',
    find: '      skipped.push({ name: info.name, code: error.code, message: error.message });',
    replace: '      throw error;',
    tests: RESTORE,
  },
  {
    name: 'order by sequence',
    file: 'src/catalog/scan.ts',
    find: 'return sequenceA - sequenceB;',
    replace: 'return a.info.name < b.info.name ? -1 : 1;',
    tests: [...RESTORE, ...SAVING],
  },
  {
    name: 'the registry remembers the highest sequence',
    file: 'src/manager/core.ts',
    find: 'registry?.highestSequence ?? 0',
    replace: '0',
    tests: SAVING,
  },
  {
    name: 'retention keeps the best',
    file: 'src/policy/retention.ts',
    find: 'if (best !== undefined) wanted.add(best);',
    replace: '',
    tests: SAVING,
  },
  {
    name: 'damaged checkpoints fill no quota',
    file: 'src/catalog/summary.ts',
    find: 'const good = entries.filter(isGood);',
    replace: 'const good = entries.filter((entry) => entry.manifest !== undefined) as GoodEntry[];',
    tests: SAVING,
  },
];
