/** Formats native/ by .clang-format, or with --check says which files are not formatted. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const check = process.argv.includes('--check');
// The npm package pins one version: another one's opinion would differ.
const tool = createRequire(import.meta.url).resolve('clang-format/index.js');
const files = readdirSync(path.join(root, 'native'), { recursive: true })
  .filter((name) => /\.(cc|h)$/.test(name))
  .map((name) => path.join('native', name))
  .sort();
const flags = check ? ['--dry-run', '--Werror'] : ['-i'];
const result = spawnSync(process.execPath, [tool, ...flags, ...files], { cwd: root, stdio: 'inherit' });
process.exit(result.status ?? 1);
