/** Installing on machines that lack something, and what then still works. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { freshDirectory } from '../helpers/directory.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A checkout without a built addon, and a PATH that holds nothing but the tools given. */
function bareMachine(tools: readonly string[]): { checkout: string; env: NodeJS.ProcessEnv } {
  const base = freshDirectory();
  const checkout = path.join(base, 'checkout');
  const bin = path.join(base, 'bin');
  mkdirSync(checkout);
  mkdirSync(bin);
  for (const name of ['scripts', 'dist', 'package.json']) cpSync(path.join(ROOT, name), path.join(checkout, name), { recursive: true });
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(checkout, 'node_modules'));
  for (const tool of tools) {
    const found = spawnSync('which', [tool], { encoding: 'utf8' }).stdout.trim();
    if (found !== '') symlinkSync(found, path.join(bin, tool));
  }
  const { CXX: _, HOLDFAST_ENGINE: __, HOLDFAST_ADDON: ___, ...env } = process.env;
  return { checkout, env: { ...env, PATH: bin } };
}

describe.skipIf(process.platform !== 'linux')('install without a compiler', () => {
  test.each([
    [[], ['a C++20 compiler', 'cmake', 'make or ninja']],
    [['cmake', 'make'], ['a C++20 compiler']],
  ])('with %j it ends well and says what is missing and how to get it', (tools, missing) => {
    const { checkout, env } = bareMachine(tools);
    const { status, stdout } = spawnSync(process.execPath, ['scripts/install.mjs'], { cwd: checkout, env, encoding: 'utf8' });
    expect(status, stdout).toBe(0);
    for (const tool of missing) expect(stdout).toContain(tool);
    expect(stdout).toContain('apt-get install g++');
    expect(stdout).toContain('The portable engine will be used');
  });

  test('the library then works with the portable engine, and the native one says how to get it', () => {
    const { checkout, env } = bareMachine([]);
    const script = `
      import { CheckpointManager } from ${JSON.stringify(path.join(checkout, 'dist/index.js'))};
      const directory = ${JSON.stringify(path.join(checkout, 'checkpoints'))};
      const manager = await CheckpointManager.open(directory);
      await manager.save({ step: 1, tensors: { x: { dtype: 'F32', shape: [2], data: new Float32Array([1, 2]) } } });
      const restored = await manager.restore();
      await manager.close();
      const refused = await CheckpointManager.open(directory, { engine: 'native' }).catch((error) => error);
      console.log(JSON.stringify({ engine: manager.engineName, data: [...restored.tensors.get('x').data], code: refused.code, message: refused.message }));
    `;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: checkout, env, encoding: 'utf8' });
    expect(stderr).toBe('');
    const said = JSON.parse(stdout);
    expect(said).toMatchObject({ engine: 'portable', data: [1, 2], code: 'ERR_NATIVE_UNAVAILABLE' });
    expect(said.message).toContain('npm rebuild holdfast');
  });
});
