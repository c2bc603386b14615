#!/usr/bin/env node
// Proof that the tests can fail: takes one safeguard out of the code at a time and expects a red test.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { TYPESCRIPT } from './mutants.mjs';
import { NATIVE } from './native-mutants.mjs';

const HELP = `Takes one safeguard out of the code at a time and expects the tests to notice.

  node test/mutants/run.mjs [--only TEXT] [--list]

  --only TEXT   only mutants whose name contains TEXT
  --list        print the names and end

Works in a copy of the checkout under .cache/mutants; the checkout itself is not touched. First all tests concerned
run on the unchanged code and must be green. Exit code 0: every mutant was noticed; 1: one survived.

Examples
  npm run test:mutants
  npm run test:mutants -- --only fsync`;

/** Far longer than any of the runs takes. */
const MAX_RUN_MS = 300_000;

const root = fileURLToPath(new URL('../..', import.meta.url));
const copy = path.join(root, '.cache', 'mutants');
const args = process.argv.slice(2);
const only = args.includes('--only') ? args[args.indexOf('--only') + 1] : '';

const mutants = [...TYPESCRIPT, ...NATIVE.map((mutant) => ({ ...mutant, native: true }))].filter(({ name }) => name.includes(only));

if (args.includes('--help')) console.log(HELP);
else if (args.includes('--list')) for (const { name } of mutants) console.log(name);
else process.exitCode = main();

function main() {
  const strace = spawnSync('strace', ['-V']);
  if (strace.error) {
    console.error('strace is needed to see that an fsync is missing (Debian: apt-get install strace).');
    return 1;
  }
  prepareCopy();
  const started = Date.now();
  const concerned = [...new Set(mutants.flatMap(({ tests }) => tests ?? []))];
  console.log(`The ${concerned.length} test files concerned, on the unchanged code …`);
  const baseline = concerned.length === 0 ? { status: 0 } : vitest(concerned);
  const core = mutants.some(({ ctest }) => ctest) ? ctest() : { status: 0 };
  if (baseline.status !== 0 || core.status !== 0) {
    console.error(`They are not green to begin with:\n${tail(baseline)}\n${tail(core)}`);
    return 1;
  }
  const survivors = [];
  for (const [i, mutant] of mutants.entries()) {
    const { verdict, by } = tryMutant(mutant);
    console.log(
      `${String(i + 1).padStart(3)}/${mutants.length}  ${verdict.padEnd(9)} ${mutant.name}${by === undefined ? '' : `\n${' '.repeat(20)}by ${by}`}`,
    );
    if (verdict !== 'noticed') survivors.push(`${mutant.name}: ${verdict}`);
  }
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(`\n${mutants.length - survivors.length} of ${mutants.length} mutants noticed, ${survivors.length} not, in ${seconds} s.`);
  for (const survivor of survivors) console.log(`  ${survivor}`);
  return survivors.length === 0 ? 0 : 1;
}

/** A copy of what git knows, sharing node_modules, with its own builds. */
function prepareCopy() {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  const files = run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], root).stdout.split('\0');
  for (const file of files.filter((name) => name !== '' && lstatSync(path.join(root, name), { throwIfNoEntry: false }))) {
    cpSync(path.join(root, file), path.join(copy, file), { verbatimSymlinks: true });
  }
  symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  if (existsSync(path.join(root, '.cache', 'tfjs-node')))
    symlinkSync(path.join(root, '.cache', 'tfjs-node'), path.join(copy, '.cache-tfjs-node'));
  const built = run(process.execPath, ['scripts/build.mjs'], copy);
  if (built.status !== 0) throw new Error(`The copy does not build:\n${tail(built)}`);
}

/** The first test that failed, from the output of vitest or ctest. */
function failedTest({ stdout, stderr }) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what is taken out.
  const plain = `${stdout}${stderr}`.replace(/\u001b\[[0-9;]*m/g, '');
  return /^ *FAIL +(.+)$/m.exec(plain)?.[1] ?? /^\[ {2}FAILED {2}\] (\S+)/m.exec(plain)?.[1];
}

/** `noticed` and by which test, `SURVIVED`, or what keeps the mutant from being tried. */
function tryMutant(mutant) {
  const edits = [mutant, ...(mutant.also ?? [])];
  const originals = edits.map(({ file }) => [file, readFileSync(path.join(copy, file), 'utf8')]);
  try {
    for (const { file, find, replace } of edits) {
      const text = readFileSync(path.join(copy, file), 'utf8');
      if (text.split(find).length !== 2) return { verdict: 'NOT FOUND' };
      writeFileSync(
        path.join(copy, file),
        text.replace(find, () => replace),
      );
    }
    if (!rebuild(mutant, edits)) return { verdict: 'NO BUILD' };
    const result = mutant.ctest ? ctest() : vitest(mutant.tests, mutant.only);
    if (result.status === 0) return { verdict: 'SURVIVED' };
    // Only a test that ran and failed counts, not a run that fell over.
    const by = failedTest(result);
    return by === undefined ? { verdict: 'NO TEST' } : { verdict: 'noticed', by };
  } finally {
    for (const [file, text] of originals) writeFileSync(path.join(copy, file), text);
    rebuild(mutant, edits);
  }
}

function rebuild({ native, ctest: core }, edits) {
  if (native) return core ? true : run('cmake', ['--build', 'build'], copy).status === 0;
  for (const { file } of edits) {
    const text = readFileSync(path.join(copy, file), 'utf8');
    const { outputText, diagnostics } = ts.transpileModule(text, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
      reportDiagnostics: true,
    });
    if (diagnostics.length > 0) return false;
    writeFileSync(path.join(copy, file.replace(/^src/, 'dist').replace(/\.ts$/, '.js')), outputText);
  }
  return true;
}

function vitest(tests, testName) {
  const name = testName === undefined ? [] : ['-t', testName.replaceAll(' > ', ' ')];
  return run(
    process.execPath,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--typecheck.enabled=false',
      '--bail=1',
      '--testTimeout=30000',
      '--hookTimeout=30000',
      ...tests,
      ...name,
    ],
    copy,
    { HOLDFAST_KILLS: '20' },
  );
}

function ctest() {
  return run(process.execPath, ['scripts/test-native.mjs'], copy);
}

function run(command, commandArgs, cwd, env = {}) {
  // A mutant may hang: that is no green run either.
  const limits = { timeout: MAX_RUN_MS, killSignal: 'SIGKILL', maxBuffer: 1 << 28 };
  return spawnSync(command, commandArgs, { cwd, encoding: 'utf8', env: { ...process.env, ...env }, ...limits });
}

function tail({ stdout = '', stderr = '' }) {
  return `${stdout}${stderr}`.split('\n').slice(-40).join('\n');
}
