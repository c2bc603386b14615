// The native core's own tests (GoogleTest, no Node.js in the process), in a build of their own.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = 'build-tests';

if (process.platform !== 'linux') leaveOut('they run on Linux only');
for (const tool of ['cmake', 'ctest', 'g++']) if (spawnSync(tool, ['--version']).error) leaveOut(`${tool} is missing`);
if (!['/usr/include', '/usr/local/include'].some((include) => existsSync(path.join(include, 'gtest/gtest.h')))) {
  leaveOut('GoogleTest is missing (Debian: apt-get install libgtest-dev)');
}
run(process.execPath, ['scripts/build-native.mjs', '--quiet', '--tests', '--out', out]);
run('ctest', ['--test-dir', out, '--output-on-failure', '--no-tests=error']);

function leaveOut(why) {
  console.log(`The core's own tests are left out: ${why}.`);
  process.exit(0);
}

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
