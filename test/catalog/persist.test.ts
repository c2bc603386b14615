/** What is written before a checkpoint gets its name; here in the test's own thread, so that a test can get in between. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { factsOfHead } from '../../src/catalog/file-head.js';
import { type PersistFile, type PersistOptions, persistCheckpoint } from '../../src/catalog/persist.js';
import type { Engine } from '../../src/engine/contract.js';
import { selectEngine } from '../../src/engine/select.js';
import { crc32c } from '../../src/format/crc32c.js';
import { layOutTensors } from '../../src/format/layout.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { rejection } from '../helpers/errors.js';

const MIB = 2 ** 20;
const DATA = new Float32Array(1000).fill(1);

function fileOf(engine: Engine, expected: readonly number[] = []): PersistFile {
  const [plan] = layOutTensors('model', [{ name: 'x', dtype: 'F32', shape: [DATA.length], byteLength: DATA.byteLength }], 2 ** 30).files;
  if (plan === undefined) throw new Error('no plan');
  const held = [engine.hold({ buffer: DATA.buffer, byteOffset: 0, byteLength: DATA.byteLength })];
  return { ...plan, ...factsOfHead(plan, crc32c), segments: [{ kind: 'memory', held }], expected: Float64Array.from(expected) };
}

function persist(
  directory: string,
  engine: Engine,
  options: Partial<PersistOptions>,
  expected?: readonly number[],
  file = fileOf(engine, expected),
) {
  return persistCheckpoint(
    {
      directory,
      temporary: '.tmp-here',
      files: [file],
      smallFiles: [],
      record: async () => ({
        runId: '01234567-89ab-cdef-0123-456789abcdef',
        sequence: 1,
        contents: 'full',
        step: 1,
        metrics: {},
        software: {},
      }),
    },
    { engine, direct: 'optional', chunkBytes: 4096, verifyWrites: false, ...options },
  );
}

describe.each(ENGINES)('persisting with the %s engine', (name) => {
  const engine = selectEngine(name);

  test('reads back what it wrote if asked, and refuses a file that does not', async () => {
    const directory = freshDirectory();
    const onProgress: PersistOptions['onProgress'] = ({ phase }) => {
      if (phase !== 'verify') return;
      const file = path.join(directory, '.tmp-here', 'model.safetensors');
      const bytes = readFileSync(file);
      bytes[5000] = (bytes[5000] as number) ^ 1;
      writeFileSync(file, bytes);
    };
    const refused = await rejection(persist(directory, engine, { verifyWrites: true, onProgress }), 'ERR_CHECKSUM');
    expect(refused.tensors).toEqual(['x']);
    expect(readdirSync(path.join(directory, '.tmp-here'))).toEqual(['model.safetensors']);
  });

  test('refuses a head that is not the one that was found to be good', async () => {
    const directory = freshDirectory();
    const file = fileOf(engine);
    const head = Uint8Array.from(file.head);
    head[20] = (head[20] as number) ^ 1;
    const refused = await rejection(persist(directory, engine, {}, [], { ...file, head }), 'ERR_SOURCE_CHANGED');
    expect(refused.file).toBe('model.safetensors');
  });

  // 24 MiB are streamed, and 4 MiB written in one step.
  test.each([[6], [1]])('writes no piece of memory before it is there: %i pieces', async (count) => {
    const directory = freshDirectory();
    const pieces = Array.from({ length: count }, () => new Uint8Array(new SharedArrayBuffer(4 * MIB)));
    const bytes = count * 4 * MIB;
    const [plan] = layOutTensors('model', [{ name: 'x', dtype: 'U8', shape: [bytes], byteLength: bytes }], 2 ** 30).files;
    if (plan === undefined) throw new Error('no plan');
    const held = pieces.map(({ buffer, byteOffset, byteLength }) => engine.hold({ buffer, byteOffset, byteLength }));
    // The bytes come at the last moment, when they are waited for.
    const wait = (number: number) => void pieces[number]?.fill(number + 1);
    const file = {
      ...plan,
      ...factsOfHead(plan, crc32c),
      segments: [{ kind: 'memory', held, wait } as const],
      expected: new Float64Array(),
    };
    await persist(directory, engine, { chunkBytes: MIB }, [], file);
    const written = readFileSync(path.join(directory, '.tmp-here', 'model.safetensors')).subarray(plan.head.length);
    expect(
      pieces.map((_, number) => written.subarray(number * 4 * MIB, (number + 1) * 4 * MIB).every((byte) => byte === number + 1)),
    ).toEqual(pieces.map(() => true));
    for (const each of held) each.release();
  });

  test('compares what it wrote with the checksum of the snapshot', async () => {
    const right = crc32c(new Uint8Array(DATA.buffer));
    const { figures } = await persist(freshDirectory(), engine, {}, [right]);
    expect(figures.bytes).toBe(4096 + DATA.byteLength);
    await persist(freshDirectory(), engine, {}, [Number.NaN]);
    const refused = await rejection(persist(freshDirectory(), engine, {}, [right ^ 1]), 'ERR_SOURCE_CHANGED');
    expect(refused.tensors).toEqual(['x']);
    expect(refused.actual).toBe(right.toString(16).padStart(8, '0'));
  });
});
