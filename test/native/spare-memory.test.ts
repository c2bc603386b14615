/** Staging memory is kept for the next transfer, but not for ever. */
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ended, startNode } from '../helpers/child.js';
import { addonPath, missing, temporaryDirectory } from './support.js';

/** Threads that load the addon, one after another; the first thread of the process does not. */
const SCRIPT = `
  import { Worker } from 'node:worker_threads';
  const [addon, file] = process.argv.slice(1);
  const text = \`
    const { parentPort, workerData: { addon: name, file } } = require('node:worker_threads');
    const addon = require(name);
    const spare = () => addon.stats().spareStagingBytes;
    const report = [spare()];
    const transfer = async () => {
      const pin = addon.pin(new Uint8Array(1 << 20), true);
      const options = { direct: 'optional', mode: 0o644, chunkBytes: 1 << 20, spans: Float64Array.of(1 << 20), operationBytes: 0, queueDepth: 0, abort: 0 };
      const writer = await addon.openWriter(file, options);
      await addon.write(writer, Float64Array.of(pin, 0, 1 << 20));
      await addon.finishWriter(writer);
      require('node:fs').rmSync(file);
      report.push(spare());
    };
    parentPort.once('message', async () => {
      await transfer();
      await transfer();
      parentPort.postMessage(report);
      parentPort.once('message', () => process.exit());
    });
  \`;
  const open = () => new Worker(text, { eval: true, execArgv: [], workerData: { addon, file } });
  const once = (worker, event) => new Promise((resolve) => worker.once(event, resolve));
  for (let i = 0; i < 2; i++) {
    const worker = open();
    worker.postMessage('begin');
    console.log(JSON.stringify(await once(worker, 'message')));
    worker.postMessage('end');
    await once(worker, 'exit');
  }
  process.exit();
`;

describe.skipIf(missing)('spare memory', () => {
  const directory = missing === undefined ? temporaryDirectory() : '';

  it('is used again, and let go when the last thread that loaded the addon ends', async () => {
    const { stdout, stderr } = await ended(startNode(SCRIPT, [addonPath, path.join(directory, 'file')]));
    expect(stderr).toBe('');
    const reports = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as number[]);
    expect(reports).toHaveLength(2);
    for (const [before, once, twice] of reports) {
      expect(before).toBe(0);
      expect(once).toBeGreaterThanOrEqual(1 << 20);
      expect(twice).toBe(once);
    }
  });
});
