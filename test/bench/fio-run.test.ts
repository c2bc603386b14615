/** fio itself as a contender: it measures, and its file is there for the next read and gone after a write. */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { FioWay } from '../../src/bench/fio/command.js';
import { Fio } from '../../src/bench/fio/contender.js';
import { freshDirectory } from '../helpers/directory.js';
import { HAS_FIO } from '../helpers/programs.js';

const THREADS: FioWay = { engine: 'threads', blockBytes: 1 << 20, depth: 2 };
const BYTES = 100_000;

test.runIf(HAS_FIO).each(['write', 'read'] as const)('%s', async (direction) => {
  const directory = path.join(freshDirectory(), 'fio');
  const fio = new Fio({ name: 'fio', kind: 'limit', way: THREADS, direction, bytes: BYTES, directory });
  await fio.start();
  const { seconds, cpuSeconds } = await fio.run();
  expect(seconds).toBeGreaterThan(0);
  expect(cpuSeconds).toBeGreaterThanOrEqual(0);
  const files = readdirSync(directory);
  expect(files).toHaveLength(direction === 'read' ? 1 : 0);
  for (const file of files) expect(statSync(path.join(directory, file)).size).toBe(fio.bytes);
  await fio.stop();
});
