// `npm test`: sets up what is missing, then runs every check that needs nothing but Node.js, a C++ compiler and cmake.
// What needs more (root, strace, Python, GoogleTest) is left out where that is missing, and says so.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setUp } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const only = process.argv.slice(2);

setUp();
if (only.length === 0) {
  check('Formatting and lint', [process.execPath, 'node_modules/@biomejs/biome/bin/biome', 'check', '.']);
  check('Formatting of the C++ code', [process.execPath, 'scripts/format-native.mjs', '--check']);
  check('Types', [process.execPath, 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--noEmit']);
  if (existsSync(new URL('../scripts/test-native.mjs', import.meta.url)))
    check('The native core', [process.execPath, 'scripts/test-native.mjs']);
}
check('Tests', [process.execPath, 'node_modules/vitest/vitest.mjs', 'run', ...only]);

function check(title, [command, ...args]) {
  console.log(`\n── ${title}`);
  const { status, signal } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status === 0) return;
  console.error(`\n${title}: failed${signal === null ? '' : ` (${signal})`}.`);
  process.exit(status || 1);
}
