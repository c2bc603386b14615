// Mutants of conversion: what is read is checked, numbers become what they should, and a target is whole or as it was.

const BROKEN = ['test/convert/broken.test.ts'];
const CHECKPOINTS = ['test/convert/checkpoints.test.ts'];
const DURABLE = ['test/convert/durable.test.ts'];
const NAMES = ['test/convert/names.test.ts'];
const NUMBERS = ['test/convert/numbers.test.ts'];
const STOCK_FILES = ['test/convert/stock-files.test.ts'];
const TARGETS = ['test/convert/targets.test.ts'];

export const CONVERT = [
  {
    name: 'a damaged checkpoint is passed over before it is converted',
    file: 'src/convert/open-checkpoint.ts',
    find: '    if (!isOne) await verify(info, manifest, engine, options.signal);\n',
    replace: '',
    tests: CHECKPOINTS,
  },
  {
    name: 'the last tensor of a tfjs directory is read to its end, where its checks are',
    file: 'src/convert/write-tfjs.ts',
    find: 'const end = await pieces.next();',
    replace: 'const end = { done: true };',
    tests: TARGETS,
  },
  {
    name: 'the checksum of a member of a .npz',
    file: 'src/convert/open-npz.ts',
    find: 'if (checksum === entry.crc32) return;',
    replace: 'return;',
    tests: BROKEN,
  },
  {
    name: 'two members of one name are refused',
    file: 'src/convert/open-npz.ts',
    find: 'if (entries.has(name))',
    replace: 'if (false)',
    tests: BROKEN,
  },
  {
    name: 'an array in the order of Fortran is turned',
    file: 'src/convert/open-npz.ts',
    find: '  if (!fortranOrder) {',
    replace: '  if (true) {',
    tests: BROKEN,
  },
  {
    name: 'weights that are longer or shorter than their files are refused',
    file: 'src/convert/open-tfjs.ts',
    find: 'if (offset === total) return placed;',
    replace: 'return placed;',
    tests: BROKEN,
  },
  {
    name: 'a slot belongs to the weight whose name it has',
    file: 'src/convert/stock-optimizer.ts',
    find: 'if (ownerOf(spec, suffix, byName, refuse) === owner)',
    replace: 'if (ownerOf(spec, suffix, byName, refuse) !== undefined)',
    tests: BROKEN,
  },
  {
    name: 'quantized numbers are multiplied by the scale as it is',
    file: 'src/convert/dequantize.ts',
    find: '(codes[i] as number) * scale + min',
    replace: '(codes[i] as number) * Math.fround(scale) + min',
    tests: STOCK_FILES,
  },
  {
    name: 'singles go to the nearest half, of two the even one',
    file: 'src/convert/cast.ts',
    find: 'rebiased + 0xfff + ((rebiased >>> 13) & 1)',
    replace: 'rebiased + 0x1000',
    tests: NUMBERS,
  },
  {
    name: 'doubles are rounded once',
    file: 'src/convert/cast.ts',
    find: "to === 'F32' ? doubleToSingle : fromDoubles(to)",
    replace: "to === 'F32' ? doubleToSingle : (bytes) => castOf('F32', to)(doubleToSingle(bytes).bytes)",
    tests: NUMBERS,
  },
  {
    name: 'numbers that become infinite are told',
    file: 'src/convert/cast.ts',
    find: '(code & 0x7fff) === INFINITE[to]',
    replace: 'false',
    tests: NUMBERS,
  },
  {
    name: 'two tensors do not become one',
    file: 'src/convert/plan.ts',
    find: 'if (names.has(name)) {',
    replace: 'if (false) {',
    tests: NAMES,
  },
  {
    name: 'a file is durable before it takes its place',
    file: 'src/convert/staging.ts',
    find: '      await created.sync();\n',
    replace: '',
    tests: DURABLE,
  },
  {
    name: 'the place of a target is durable',
    file: 'src/convert/staging.ts',
    find: '      await syncDirectory(directory);\n    } catch',
    replace: '    } catch',
    tests: DURABLE,
  },
  {
    name: 'the older directory comes back where the newer one cannot take its place',
    file: 'src/convert/staging.ts',
    find: '      await rename(aside, this.target);\n',
    replace: '',
    tests: DURABLE,
  },
  {
    name: 'the older directory goes when the newer one is durable',
    file: 'src/convert/staging.ts',
    find: '    await syncDirectory(directory);\n    await removeTree(aside);',
    replace: '    await removeTree(aside);',
    tests: DURABLE,
  },
  {
    name: 'a target that was made in the meantime is not replaced',
    file: 'src/convert/staging.ts',
    find: 'await selectEngine().renameNoReplace(staged, target);',
    replace: 'await rename(staged, target);',
    tests: TARGETS,
  },
  {
    name: 'what another conversion is writing is not removed',
    file: 'src/convert/staging.ts',
    find: ' && !isRunning(Number(pid))',
    replace: '',
    tests: TARGETS,
  },
  {
    name: "nobody's other files are replaced",
    file: 'src/convert/staging.ts',
    find: '  if (others.length === 0) return { target, replaces: there };',
    replace: '  return { target, replaces: there };',
    tests: TARGETS,
  },
  {
    name: 'checkpoints that are there stay',
    file: 'src/convert/write-checkpoint.ts',
    find: '      keep: keep.all(),\n',
    replace: '',
    tests: TARGETS,
  },
];
