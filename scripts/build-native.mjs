/**
 * Builds the native addon, and with --tests the core's own tests, for developers.
 *
 *   node scripts/build-native.mjs [--tests] [--sanitize address,undefined] [--out DIRECTORY] [--quiet]
 *
 * Sanitizer builds go into directories of their own (build-asan, build-tsan, …), so that they do not
 * replace build/Release/holdfast.node.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const SHORT_NAMES = { address: 'asan', thread: 'tsan', undefined: 'ubsan' };

const { values } = parseArgs({
  options: {
    tests: { type: 'boolean', default: false },
    sanitize: { type: 'string', default: '' },
    out: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  },
});

const first = values.sanitize.split(',')[0];
if (first !== '' && !(first in SHORT_NAMES)) {
  process.stderr.write(`unknown sanitizer '${first}': address, undefined or thread\n`);
  process.exit(2);
}
const out = values.out ?? (first === '' ? 'build' : `build-${SHORT_NAMES[first]}`);
const tool = path.join(path.dirname(createRequire(import.meta.url).resolve('cmake-js/package.json')), 'bin', 'cmake-js');
const flags = [
  'compile',
  ...['-O', path.join(root, out)],
  `--CDHOLDFAST_SANITIZE=${values.sanitize}`,
  `--CDHOLDFAST_TESTS=${values.tests ? 'ON' : 'OFF'}`,
];
const result = spawnSync(process.execPath, [tool, ...flags], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 << 20,
  stdio: values.quiet ? 'pipe' : 'inherit',
});
if (result.status !== 0 && values.quiet) process.stderr.write(`${result.stdout}${result.stderr}`);
process.exit(result.status ?? 1);
