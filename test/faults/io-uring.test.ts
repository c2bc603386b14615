/** Saving and restoring through io_uring, as a program does that asks for it, and where the system gives little. */
import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { loadNative } from '../../src/native.js';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { leftovers } from '../helpers/leftovers.js';

const io = loadNative().addon?.ioUring();
const whyNot = io === undefined ? 'the native engine is not loaded' : io.available ? undefined : io.reason;
if (whyNot !== undefined) console.warn(`io_uring is not tried with whole saves: ${whyNot}.`);

const native = new URL('../../dist/native.js', import.meta.url);
/** A user of whom 64 KiB of memory may be locked, which is counted per user: so one whom no other test process is. */
const POOR_USER = String(1_000_000 + process.pid);
const POOR = ['prlimit', '--memlock=65536', 'setpriv', `--reuid=${POOR_USER}`, '--regid=65534', '--clear-groups', '--bounding-set=-all'];
const [poorCommand, ...poorArgs] = POOR as [string, ...string[]];
const readable = [process.execPath, '-e', `require('fs').accessSync(${JSON.stringify(fileURLToPath(native))})`];
const canBePoor = process.getuid?.() === 0 && spawnSync(poorCommand, [...poorArgs, ...readable]).status === 0;
if (!canBePoor) {
  console.warn(
    'io_uring without lockable memory is not tried: that needs root, prlimit, setpriv, and a checkout and a Node.js that everybody may use.',
  );
}

const SCRIPT = `
  import { CheckpointManager } from 'holdfast';
  const { loadNative } = await import(${JSON.stringify(native.href)});
  const data = new Float32Array(12_000_001).map((_, i) => i * 0.37);
  const manager = await CheckpointManager.open(process.argv[1]);
  for (let step = 1; step <= 3; step++) {
    await manager.save({ step, tensors: { x: { dtype: 'F32', shape: [data.length], data } } }).then(() => console.log('saved'), (error) => console.log(error.code));
  }
  const restored = await manager.restore().catch((error) => error);
  const x = restored?.tensors?.get?.('x') ?? restored?.tensors?.x;
  console.log(x === undefined ? 'nothing' : Buffer.compare(Buffer.from(x.data.buffer, x.data.byteOffset, x.data.byteLength), Buffer.from(data.buffer)) === 0 ? 'the same' : 'different');
  await manager.close();
  const { used, refusals } = loadNative().addon.ioUring();
  console.log(used, refusals);
`;

const run = (directory: string, wrapper: readonly string[] = []) =>
  ended(startNode(SCRIPT, [directory], { HOLDFAST_IO: 'io_uring' }, wrapper));

describe.skipIf(whyNot !== undefined)('io_uring', () => {
  test('saves and restores', async () => {
    const { stdout, stderr } = await run(freshDirectory());
    expect(stdout.trim().split('\n'), stderr).toEqual(['saved', 'saved', 'saved', 'the same', 'io_uring 0']);
  });

  test.skipIf(!canBePoor)('saves and restores without lockable memory', async () => {
    const directory = freshDirectory();
    chmodSync(directory, 0o777);
    const { stdout, stderr } = await run(directory, POOR);
    // A ring that has ended is taken off the count a little later: the next may find nothing left, and threads do the work.
    expect(stdout.trim().split('\n'), stderr).toEqual([
      'saved',
      'saved',
      'saved',
      'the same',
      expect.stringMatching(/^(io_uring \d+|threads [1-9]\d*)$/),
    ]);
  });

  // The signal of this limit must not reach the process, nor may the error, which comes with a completion, be missed.
  test('reports a file that may not grow', async () => {
    const directory = freshDirectory();
    const { stdout, stderr, signal } = await run(directory, ['sh', '-c', 'ulimit -f 20000; exec "$@"', '--']);
    expect(signal, stderr).toBe(null);
    expect(stdout.trim().split('\n')).toEqual([
      ...Array.from({ length: 3 }, () => expect.stringMatching(/^ERR_/)),
      'nothing',
      expect.any(String),
    ]);
    expect(leftovers(directory)).toEqual([]);
  });
});
