/**
 * Runs when the package is installed. Uses a prebuilt addon if one fits, else compiles one. Where that
 * is not possible it says what is missing and ends well: the portable engine takes over.
 * HOLDFAST_REQUIRE_NATIVE=1 makes every such case an error.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);

const HOW_TO_GET = {
  'a C++20 compiler': { apt: 'g++', dnf: 'gcc-c++', apk: 'g++', brew: 'gcc' },
  cmake: { apt: 'cmake', dnf: 'cmake', apk: 'cmake', brew: 'cmake' },
  'make or ninja': { apt: 'make', dnf: 'make', apk: 'make', brew: 'ninja' },
};

function say(text) {
  process.stdout.write(`holdfast: ${text}\n`);
}

function giveUp(text) {
  say(`${text} The portable engine will be used.`);
  process.exit(process.env['HOLDFAST_REQUIRE_NATIVE'] === '1' ? 1 : 0);
}

function runs(command) {
  return command !== undefined && command !== '' && spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

function missingTools() {
  const missing = [];
  const compilers = process.env['CXX'] ? [process.env['CXX'].split(' ')[0]] : ['c++', 'g++', 'clang++'];
  if (!compilers.some(runs)) missing.push('a C++20 compiler');
  if (!runs('cmake')) missing.push('cmake');
  if (!['ninja', 'make'].some(runs)) missing.push('make or ninja');
  return missing;
}

function howToInstall(missing) {
  const packages = (manager) => missing.map((tool) => HOW_TO_GET[tool][manager]).join(' ');
  return [
    `  Debian, Ubuntu:  sudo apt-get install ${packages('apt')}`,
    `  Fedora, RHEL:    sudo dnf install ${packages('dnf')}`,
    `  Alpine:          sudo apk add ${packages('apk')}`,
    `  Homebrew:        brew install ${packages('brew')}`,
    '  then: npm rebuild holdfast',
  ].join('\n');
}

/** True if a packaged addon loads here: the same test that a program's first use makes. */
function prebuiltLoads() {
  if (!existsSync(path.join(root, 'prebuilds'))) return false;
  const program = `require(${JSON.stringify(require.resolve('node-gyp-build'))})(${JSON.stringify(root)})`;
  const env = { ...process.env, PREBUILDS_ONLY: '1' };
  return spawnSync(process.execPath, ['-e', program], { env, stdio: 'ignore' }).status === 0;
}

function compile() {
  const tool = path.join(path.dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js');
  const started = Date.now();
  const result = spawnSync(process.execPath, [tool, 'compile'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  if (result.status !== 0) {
    process.stdout.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
    giveUp(`the native addon did not compile (${result.error?.message ?? `cmake-js ended with ${result.status}`}); the log is above.`);
  }
  say(`native addon ready in ${((Date.now() - started) / 1000).toFixed(1)} s (build/Release/holdfast.node)`);
}

if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
  giveUp(`the native engine is for Linux on x64 and arm64, not ${process.platform} on ${process.arch}.`);
} else if (prebuiltLoads()) {
  say('using the prebuilt native addon');
} else {
  const missing = missingTools();
  if (missing.length > 0) {
    giveUp(`the native addon can't be compiled: ${missing.join(', ')} not found.\n${howToInstall(missing)}\n `);
  }
  compile();
}
