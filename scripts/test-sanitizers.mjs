/**
 * The native tests under sanitizers: the core's tests with ASan + UBSan and with TSan, then the addon's
 * lifetime programs under a stock node with the sanitizer's runtime preloaded.
 *
 *   node scripts/test-sanitizers.mjs [--only core,tsan,lifetime]
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { values } = parseArgs({ options: { only: { type: 'string', default: 'core,tsan,lifetime' } } });
const wanted = new Set(values.only.split(','));
const failures = [];

function step(name, command, args, env = {}) {
  const started = Date.now();
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 64 << 20,
  });
  const output = `${result.stdout}${result.stderr}`;
  // A report counts even where the program ended well.
  const report = /ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:/.test(output);
  const passed = result.status === 0 && !report;
  if (!passed) failures.push(name);
  process.stdout.write(`${passed ? 'ok  ' : 'FAIL'} ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`);
  if (!passed) process.stdout.write(`${output}\n`);
  return passed;
}

const library = (name) => execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();

function build(out, sanitize) {
  const script = path.join(root, 'scripts/build-native.mjs');
  return step(`build ${out}`, process.execPath, [script, '--quiet', '--tests', '--sanitize', sanitize, '--out', out]);
}

function coreTests(out, env) {
  return step(`core tests in ${out}`, 'ctest', ['--test-dir', path.join(root, out), '--output-on-failure'], env);
}

const asan = {
  ASAN_OPTIONS: 'detect_leaks=1:halt_on_error=1:abort_on_error=0',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
};

if (wanted.has('core') || wanted.has('lifetime')) build('build-asan', 'address,undefined');
if (wanted.has('core')) coreTests('build-asan', asan);
if (wanted.has('tsan') && build('build-tsan', 'thread')) {
  coreTests('build-tsan', { TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1' });
}
if (wanted.has('lifetime')) {
  const env = {
    ...asan,
    LSAN_OPTIONS: `suppressions=${path.join(root, 'test/native/lifetime/lsan.supp')}:print_suppressions=0`,
    LD_PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`,
    HOLDFAST_ADDON: path.join(root, 'build-asan/Release/holdfast.node'),
    HOLDFAST_TEST_SLOW: '5',
  };
  const node = process.env['HOLDFAST_TEST_NODE'] || process.execPath;
  if (!existsSync(env.HOLDFAST_ADDON)) failures.push('lifetime (no addon)');
  for (const name of ['transfer', 'collection', 'exit', 'terminate', 'owner-ends', 'arena', 'leaks']) {
    const script = path.join(root, `test/native/lifetime/${name}.mjs`);
    // process.exit() leaves V8's own heap behind, which is no leak of ours; every other program ends by
    // itself and is checked for leaks.
    const exits = name === 'exit' ? { ASAN_OPTIONS: asan.ASAN_OPTIONS.replace('leaks=1', 'leaks=0') } : {};
    step(`lifetime/${name}`, node, ['--expose-gc', script], { ...env, ...exits });
  }
}
if (failures.length > 0) {
  process.stdout.write(`failed: ${failures.join(', ')}\n`);
  process.exit(1);
}
