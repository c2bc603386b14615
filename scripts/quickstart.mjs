/**
 * From a fresh clone to a demonstration: installs and builds what is missing, then runs examples/quickstart.
 * Node.js alone is enough to start it.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setUp } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** When the newest file of a folder was written; 0 where there is none. */
function newest(folder) {
  const directory = path.join(root, folder);
  if (!existsSync(directory)) return 0;
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Math.max(0, ...files.map((entry) => statSync(path.join(entry.parentPath ?? entry.path, entry.name)).mtimeMs));
}

function isSetUp() {
  const installed = path.join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(path.join(root, 'package-lock.json')).mtimeMs) return false;
  return newest('dist') > newest('src');
}

if (isSetUp()) console.log('holdfast is installed and built.');
else setUp();

const child = spawn(process.execPath, [path.join(root, 'examples', 'quickstart', 'run.mjs')], { cwd: root, stdio: 'inherit' });
// The terminal sends Ctrl-C to both; this process waits for the other to clean up.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('close', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
