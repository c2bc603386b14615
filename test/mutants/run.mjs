#!/usr/bin/env node
// Proof that the tests can fail: takes one safeguard out of the code at a time and expects a red test.
import { spawn } from 'node:child_process';
import { cpSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { CALLBACKS } from './callbacks-mutants.mjs';
import { CONVERT } from './convert-mutants.mjs';
import { EXPERIMENT } from './experiment-mutants.mjs';
import { INTERVAL } from './interval-mutants.mjs';
import { IO } from './io-mutants.mjs';
import { MANAGER } from './manager-mutants.mjs';
import { TYPESCRIPT } from './mutants.mjs';
import { NATIVE } from './native-mutants.mjs';
import { POLICY } from './policy-mutants.mjs';
import { RESUME } from './resume-mutants.mjs';
import { TFJS } from './tfjs-mutants.mjs';

const HELP = `Takes one safeguard out of the code at a time and expects the tests to notice.

  node test/mutants/run.mjs [--only TEXT] [--share K/N] [--lanes N] [--list]

  --only TEXT   only mutants whose name contains TEXT
  --share K/N   only every N-th of them, beginning with the K-th; that all of them still apply is looked at in any case
  --lanes N     mutants that are tried at the same time (default: 2, or 1 on one core)
  --list        print the names and end

Works in copies of the checkout under .cache/mutants; the checkout itself is not touched. First all tests concerned
run on the unchanged code and must be green. Exit code 0: every mutant was noticed; 1: one survived.

Examples
  npm run test:mutants
  npm run test:mutants -- --only fsync`;

/** Far longer than any of the runs takes. */
const MAX_RUN_MS = 300_000;

const root = fileURLToPath(new URL('../..', import.meta.url));
const args = process.argv.slice(2);
const option = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
const only = option('--only') ?? '';

const [share, shares] = (option('--share') ?? '1/1').split('/').map(Number);

// Those that need the native build come first: the first lane alone can build it.
const all = [
  ...NATIVE.map((mutant) => ({ ...mutant, native: true })),
  ...TYPESCRIPT,
  ...EXPERIMENT,
  ...MANAGER,
  ...POLICY,
  ...TFJS,
  ...IO,
  ...CALLBACKS,
  ...RESUME,
  ...INTERVAL,
  ...CONVERT,
];
const mutants = all.filter(({ name }) => name.includes(only)).filter((_, i) => i % shares === share - 1);

if (args.includes('--help')) console.log(HELP);
else if (!(share >= 1 && share <= shares)) {
  console.error('--share needs two whole numbers, such as 1/3.');
  process.exitCode = 2;
} else if (args.includes('--list')) for (const { name } of mutants) console.log(name);
else process.exitCode = await main();

async function main() {
  if ((await run('strace', ['-V'], root)).error) {
    console.error('strace is needed to see that an fsync is missing (Debian: apt-get install strace).');
    return 1;
  }
  const started = Date.now();
  const stale = all.flatMap((mutant) => [mutant, ...(mutant.also ?? [])].filter((edit) => !applies(edit)).map(() => mutant.name));
  if (stale.length > 0) {
    console.error(`These no longer apply: what they look for does not stand exactly once in its file.\n  ${stale.join('\n  ')}`);
    return 1;
  }
  const lanes = await prepareLanes(Math.max(1, Number(option('--lanes')) || Math.min(2, availableParallelism())));
  const concerned = [...new Set(mutants.flatMap(({ tests }) => tests ?? []))];
  console.log(`The ${concerned.length} test files concerned, on the unchanged code …`);
  const [baseline, core] = await Promise.all([
    concerned.length === 0 ? { status: 0 } : vitest(lanes.at(-1), concerned, { maxWorkers: lanes.length }),
    mutants.some((mutant) => mutant.ctest) ? ctest(lanes[0]) : { status: 0 },
  ]);
  if (baseline.status !== 0 || core.status !== 0) {
    console.error(`They are not green to begin with:\n${tail(baseline)}\n${tail(core)}`);
    return 1;
  }
  const survivors = [];
  const waiting = mutants.map((mutant, i) => ({ mutant, i }));
  await Promise.all(
    lanes.map(async (lane) => {
      for (let next = take(waiting, lane); next !== undefined; next = take(waiting, lane)) {
        const { verdict, by } = await tryMutant(next.mutant, lane);
        const { name } = next.mutant;
        const noticed = by === undefined ? '' : `\n${' '.repeat(20)}by ${by}`;
        console.log(`${String(next.i + 1).padStart(3)}/${mutants.length}  ${verdict.padEnd(9)} ${name}${noticed}`);
        if (verdict !== 'noticed') survivors.push(`${name}: ${verdict}`);
      }
    }),
  );
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(`\n${mutants.length - survivors.length} of ${mutants.length} mutants noticed, ${survivors.length} not, in ${seconds} s.`);
  for (const survivor of survivors) console.log(`  ${survivor}`);
  return survivors.length === 0 ? 0 : 1;
}

function applies({ file, find }) {
  return readFileSync(path.join(root, file), 'utf8').split(find).length === 2;
}

/** The next mutant that a lane can try, taken from those that wait. */
function take(waiting, lane) {
  const at = waiting.findIndex(({ mutant }) => lane.builds || !mutant.native);
  return at === -1 ? undefined : waiting.splice(at, 1)[0];
}

/**
 * Copies of what git knows, sharing node_modules. The first has its own native build; the others have what came out of it, as CMake's files name
 * their folder.
 */
async function prepareLanes(count) {
  const home = path.join(root, '.cache', 'mutants');
  rmSync(home, { recursive: true, force: true });
  const lanes = Array.from({ length: count }, (_, i) => ({ copy: path.join(home, String(i)), builds: i === 0 }));
  const listed = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], root);
  const files = listed.stdout.split('\0').filter((name) => name !== '' && lstatSync(path.join(root, name), { throwIfNoEntry: false }));
  for (const { copy } of lanes) {
    for (const file of files) cpSync(path.join(root, file), path.join(copy, file), { verbatimSymlinks: true });
    symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
    const tfjsNode = path.join(root, '.cache', 'tfjs-node');
    mkdirSync(path.join(copy, '.cache'));
    if (existsSync(tfjsNode)) symlinkSync(tfjsNode, path.join(copy, '.cache', 'tfjs-node'));
  }
  const [first, ...others] = lanes;
  const built = await run(process.execPath, ['scripts/build.mjs'], first.copy);
  if (built.status !== 0) throw new Error(`The copy does not build:\n${tail(built)}`);
  for (const { copy } of others)
    for (const made of ['dist', 'build/Release']) cpSync(path.join(first.copy, made), path.join(copy, made), { recursive: true });
  return lanes;
}

/** The first test that failed, from the output of vitest or ctest. */
function failedTest({ stdout, stderr }) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what is taken out.
  const plain = `${stdout}${stderr}`.replace(/\u001b\[[0-9;]*m/g, '');
  return /^ *FAIL +(.+)$/m.exec(plain)?.[1] ?? /^\[ {2}FAILED {2}\] (\S+)/m.exec(plain)?.[1];
}

/** `noticed` and by which test, `SURVIVED`, or what keeps the mutant from being tried. */
async function tryMutant(mutant, lane) {
  const edits = [mutant, ...(mutant.also ?? [])];
  const originals = edits.map(({ file }) => [file, readFileSync(path.join(lane.copy, file), 'utf8')]);
  try {
    for (const { file, find, replace } of edits) {
      const text = readFileSync(path.join(lane.copy, file), 'utf8');
      if (text.split(find).length !== 2) return { verdict: 'NOT FOUND' };
      writeFileSync(
        path.join(lane.copy, file),
        text.replace(find, () => replace),
      );
    }
    if (!(await rebuild(mutant, edits, lane))) return { verdict: 'NO BUILD' };
    const result = await (mutant.ctest ? ctest(lane) : vitest(lane, mutant.tests, { testName: mutant.only }));
    if (result.status === 0) return { verdict: 'SURVIVED' };
    // Only a test that ran and failed counts, not a run that fell over.
    const by = failedTest(result);
    return by === undefined ? { verdict: 'NO TEST' } : { verdict: 'noticed', by };
  } finally {
    for (const [file, text] of originals) writeFileSync(path.join(lane.copy, file), text);
    await rebuild(mutant, edits, lane);
  }
}

async function rebuild({ native, ctest: core }, edits, { copy }) {
  if (native) return core ? true : (await run('cmake', ['--build', 'build'], copy)).status === 0;
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

function vitest({ copy }, tests, { testName, maxWorkers = 1 }) {
  const name = testName === undefined ? [] : ['-t', testName.replaceAll(' > ', ' ')];
  const limits = [`--maxWorkers=${maxWorkers}`, '--bail=1', '--testTimeout=30000', '--hookTimeout=30000'];
  const command = ['node_modules/vitest/vitest.mjs', 'run', '--typecheck.enabled=false', ...limits, ...tests, ...name];
  return run(process.execPath, command, copy, { HOLDFAST_KILLS: '20' });
}

function ctest({ copy }) {
  return run(process.execPath, ['scripts/test-native.mjs'], copy);
}

/** Resolves to how a command ended; one that hangs is killed, as that is no green run either. */
function run(command, commandArgs, cwd, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, commandArgs, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const limit = setTimeout(() => child.kill('SIGKILL'), MAX_RUN_MS);
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'])
      child[stream].setEncoding('utf8').on('data', (text) => {
        output[stream] += text;
      });
    const end = (result) => {
      clearTimeout(limit);
      resolve({ ...output, ...result });
    };
    child.on('error', (error) => end({ status: null, error }));
    child.on('close', (status) => end({ status }));
    // A process that a killed one leaves behind may keep the pipes open.
    child.on('exit', (status) => setTimeout(end, 2000, { status }));
  });
}

function tail({ stdout = '', stderr = '' }) {
  return `${stdout}${stderr}`.split('\n').slice(-40).join('\n');
}
