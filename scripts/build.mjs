// Builds everything that a checkout needs: the TypeScript, and the addon where there is a compiler.
import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function run(title, args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status === 0) return;
  console.error(`${title} failed.`);
  process.exit(status ?? 1);
}

run('Building the TypeScript', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json']);
run('Copying what belongs to it', ['scripts/copy-assets.mjs']);
// npm makes commands executable when it installs a package, not when it is built in place.
chmodSync(new URL('../dist/cli/main.js', import.meta.url), 0o755);
run('Building the addon', ['scripts/install.mjs']);
