/** One thread makes copies while another waits for them. */
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Filling } from '../../src/snapshot/filling.js';
import { rejection } from '../helpers/errors.js';

const BUILT = new URL('../../dist/snapshot/filling.js', import.meta.url).href;
const SCRIPT = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(${JSON.stringify(BUILT)}).then(({ Filling }) => {
    const filling = new Filling(workerData);
    for (const runs of [1, 3, 4]) {
      parentPort.postMessage('waits for ' + runs);
      try { filling.wait(runs); parentPort.postMessage('has ' + runs); }
      catch (error) { parentPort.postMessage(error.code); break; }
    }
  });
`;

/** What the other thread says, one message after another. */
function startWaiter(filling: Filling): () => Promise<string> {
  const worker = new Worker(SCRIPT, { eval: true, workerData: filling.counter });
  onTestFinished(async () => void (await worker.terminate()));
  const said: string[] = [];
  let wake = () => {};
  worker.on('message', (text: string) => {
    said.push(text);
    wake();
  });
  return async () => {
    while (said.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return said.shift() as string;
  };
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 30));

describe('copies that are being made', () => {
  test('are waited for by another thread, run by run', async () => {
    const filling = new Filling();
    const next = startWaiter(filling);
    expect(await next()).toBe('waits for 1');
    await pause();
    filling.reach(1);
    expect(await next()).toBe('has 1');
    expect(await next()).toBe('waits for 3');
    filling.reach(2);
    await pause();
    filling.reach(3);
    expect(await next()).toBe('has 3');
    expect(await next()).toBe('waits for 4');
    expect(filling.isFinished).toBe(false);
    filling.finish();
    expect(await next()).toBe('has 4');
    expect(filling.isFinished).toBe(true);
  });

  test('are not waited for once they cannot be made', async () => {
    const filling = new Filling();
    const next = startWaiter(filling);
    expect(await next()).toBe('waits for 1');
    await pause();
    filling.fail();
    expect(await next()).toBe('ERR_SOURCE_CHANGED');
    await rejection((async () => filling.wait(1))(), 'ERR_SOURCE_CHANGED');
  });
});
