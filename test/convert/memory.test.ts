/** Memory does not grow with what is converted. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { encodeHeader } from '../../src/format/safetensors.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';

const MIB = 2 ** 20;
/** Of the file, a hole on the disk. */
const SIZE = 256 * MIB;

test.each([
  ['npz', {}],
  ['safetensors', { dtype: 'f16' }],
  ['checkpoint', {}],
])('256 MiB into %s', async (to, options) => {
  const directory = mkdtempSync(path.join(freshDirectory(), 'm-'));
  const source = path.join(directory, 'x.safetensors');
  const file = openSync(source, 'w');
  const head = encodeHeader([{ name: 'x', dtype: 'F32', shape: [SIZE / 4], bytes: SIZE }], {});
  writeSync(file, head);
  ftruncateSync(file, head.length + SIZE);
  closeSync(file);
  const target = path.join(directory, `y${to === 'checkpoint' ? '' : `.${to}`}`);
  const script = `
    import { convert } from 'holdfast';
    await convert(...process.argv.slice(1, 3), JSON.parse(process.argv[3]));
    console.log(process.resourceUsage().maxRSS);
  `;
  const { stdout, stderr, code } = await ended(startNode(script, [source, target, JSON.stringify({ to, ...options })]));
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(Number(stdout) / 1024).toBeLessThan(250);
  expect(statSync(target).size).toBeGreaterThan(to === 'checkpoint' ? 0 : SIZE / 2);
  rmSync(directory, { recursive: true });
});
