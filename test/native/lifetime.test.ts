/**
 * Runs the programs in lifetime/, each in a process of its own. HOLDFAST_TEST_NODE names another Node.js
 * to run them with.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { addonPath, missing, temporaryDirectory } from './support.js';

const node = process.env['HOLDFAST_TEST_NODE'] || process.execPath;
const directory = path.join(path.dirname(fileURLToPath(import.meta.url)), 'lifetime');
const run = promisify(execFile);

describe.skipIf(missing)('lifetimes', () => {
  // A program that crashes leaves its files behind.
  const files = missing === undefined ? temporaryDirectory() : '';

  it.each(['transfer', 'collection', 'exit', 'terminate', 'owner-ends', 'arena', 'leaks'])(
    '%s',
    async (name) => {
      const args = ['--expose-gc', path.join(directory, `${name}.mjs`)];
      const env = { ...process.env, HOLDFAST_ADDON: addonPath, TMPDIR: files };
      const { stdout } = await run(node, args, { env, timeout: 110_000 });
      expect(stdout.trim().split('\n').at(-1)).toBe('ok');
    },
    120_000,
  );
});
