// What every command of a fresh clone needs first: dependencies, the TypeScript, the addon.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Installs and builds what is missing or out of date; ends the process where that fails. */
export function setUp() {
  if (!dependenciesAreCurrent()) {
    step('Installing dependencies (npm ci) and building the addon');
    run('npm', ['ci', '--no-fund', '--no-audit'], { shell: process.platform === 'win32' });
  }
  step('Building');
  run(process.execPath, ['scripts/build.mjs']);
}

/** npm keeps a copy of the lock file beside what it installed. */
function dependenciesAreCurrent() {
  const installed = new URL('../node_modules/.package-lock.json', import.meta.url);
  if (!existsSync(installed)) return false;
  const packages = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;
  const there = packages(installed);
  const wanted = packages(new URL('../package-lock.json', import.meta.url));
  return Object.entries(wanted).every(([name, { version, optional }]) => name === '' || optional || there[name]?.version === version);
}

function step(title) {
  console.log(`\n── ${title}`);
}

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (status === 0) return;
  console.error(`"${command} ${args.join(' ')}" failed${error ? `: ${error.message}` : ''}.`);
  process.exit(status || 1);
}
