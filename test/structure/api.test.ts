/** The public surface. A change here is a change for users: it belongs into CHANGELOG.md. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as holdfast from '../../src/index.js';
import * as interval from '../../src/interval/index.js';
import * as tfjs from '../../src/tfjs/index.js';

const root = new URL('../../', import.meta.url);

/** Everything that a module's index exports, types included. */
function exportsOf(file: string): string[] {
  const text = readFileSync(new URL(file, root), 'utf8');
  const names: string[] = [];
  for (const [, typeOnly, list] of text.matchAll(/export (type )?\{([^}]*)\}/g)) {
    for (const item of (list as string).split(',')) {
      const name = item.trim().replace(/^.* as /, '');
      if (name !== '') names.push(typeOnly !== undefined ? `type ${name}` : name);
    }
  }
  return names.sort();
}

describe('the public API', () => {
  test('of holdfast', () => {
    expect(exportsOf('src/index.ts')).toMatchSnapshot();
    expect(Object.keys(holdfast).sort()).toMatchSnapshot();
  });

  test('of holdfast/interval', () => {
    expect(exportsOf('src/interval/index.ts')).toMatchSnapshot();
    expect(Object.keys(interval).sort()).toMatchSnapshot();
  });

  test('of holdfast/tfjs', () => {
    expect(exportsOf('src/tfjs/index.ts')).toMatchSnapshot();
    expect(Object.keys(tfjs).sort()).toMatchSnapshot();
  });

  test('of CheckpointManager', () => {
    expect(Object.getOwnPropertyNames(holdfast.CheckpointManager.prototype).sort()).toMatchSnapshot();
  });

  test('of the package', () => {
    const { exports, bin, engines } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
    expect({ exports, bin, engines }).toMatchSnapshot();
  });
});

describe('documents', () => {
  test('docs/ERRORS.md lists every error code with its meaning', () => {
    const text = readFileSync(new URL('docs/ERRORS.md', root), 'utf8');
    for (const [code, meaning] of Object.entries(holdfast.ERROR_CODES)) expect(text).toContain(`| \`${code}\` | ${meaning} |`);
    const documented = [...text.matchAll(/^\| `(ERR_\w+)` \|/gm)].map(([, code]) => code);
    expect(documented.sort()).toEqual(Object.keys(holdfast.ERROR_CODES).sort());
  });
});
