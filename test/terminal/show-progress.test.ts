import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { showProgress } from '../../src/terminal/show-progress.js';
import { freshDirectory } from '../helpers/directory.js';
import { openManager } from '../helpers/manager.js';

function terminal(isTTY: boolean): { stream: NodeJS.WriteStream; drawn: () => string } {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return { stream: Object.assign(stream, { isTTY, columns: 120 }) as unknown as NodeJS.WriteStream, drawn: () => text };
}

/** Half of the bytes, then nothing until `go` resolves. */
function slowTensor(go: Promise<void>) {
  const half = 2 ** 20;
  async function* chunks() {
    yield new Uint8Array(half);
    await go;
    yield new Uint8Array(half);
  }
  return { x: { dtype: 'U8' as const, shape: [2 * half], data: Object.assign(chunks(), { byteLength: 2 * half }) } };
}

test.each([true, false])('draws a long save on a terminal, and takes the bar off at its end (terminal: %s)', async (isTTY) => {
  const manager = await openManager(freshDirectory());
  const { stream, drawn } = terminal(isTTY);
  const stop = showProgress(manager, { stream });
  let go = () => {};
  const tensors = slowTensor(
    new Promise<void>((resolve) => {
      go = resolve;
    }),
  );
  const { committed } = await manager.saveAsync({ step: 7, tensors });
  for (let i = 0; i < 300 && (isTTY ? !drawn().includes('step 7: write') : i < 150); i++) await sleep(10);
  go();
  await committed;
  if (isTTY) {
    expect(drawn()).toContain('of 2.00 MiB  step 7: write');
    expect(drawn().endsWith('\x1b[1G\x1b[2K')).toBe(true);
  } else expect(drawn()).toBe('');
  stop();
  const before = drawn();
  await manager.save({ step: 8, tensors: { x: { dtype: 'U8', shape: [1], data: new Uint8Array(1) } } });
  expect(drawn()).toBe(before);
});
