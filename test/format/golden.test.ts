/** The bytes of docs/FORMAT.md's worked example are the bytes that are written. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { factsOfHead } from '../../src/catalog/file-head.js';
import { toManifestTensors, writeSmallFile, writeTensorFile } from '../../src/catalog/write-files.js';
import type { MemoryRange } from '../../src/engine/contract.js';
import { selectEngine } from '../../src/engine/select.js';
import { crc32c } from '../../src/format/crc32c.js';
import { layOutTensors, type TensorFilePlan } from '../../src/format/layout.js';
import { decodeManifest } from '../../src/format/manifest.js';
import { encodeManifest } from '../../src/format/manifest-encode.js';
import { encodeState } from '../../src/format/state.js';
import { toSources } from '../../src/snapshot/to-sources.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';

const DOCUMENT = new URL('../../docs/FORMAT.md', import.meta.url);

/** As `hexdump -C` prints it. */
function hexdump(bytes: Uint8Array): string {
  const lines: string[] = [];
  let before = '';
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0'));
    const body = `${hex.slice(0, 8).join(' ')}  ${hex.slice(8).join(' ')}`.padEnd(49);
    if (body === before && row.length === 16) {
      if (lines.at(-1) !== '*') lines.push('*');
      continue;
    }
    before = body;
    const text = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${at.toString(16).padStart(8, '0')}  ${body} |${text}|`);
  }
  lines.push(bytes.length.toString(16).padStart(8, '0'));
  return lines.join('\n');
}

/** The files of the example, as an engine writes them. */
async function writeExample(name: (typeof ENGINES)[number]): Promise<Uint8Array[]> {
  const directory = freshDirectory();
  const engine = selectEngine(name);
  const sources = toSources({
    w: { dtype: 'F32', shape: [2, 2], data: new Float32Array([1, 2, 3, 4]) },
    steps: { dtype: 'I64', shape: [], data: new BigInt64Array([7n]) },
  });
  const chunkBytes = 4096;
  const [plan] = layOutTensors('model', sources.specs, 1e9).files as unknown as readonly [TensorFilePlan];
  const held = plan.tensors.map((tensor) => {
    const data = sources.data[sources.specs.findIndex(({ name }) => name === tensor.name)];
    return engine.hold(data as MemoryRange);
  });
  const contents = { ...plan, ...factsOfHead(plan, crc32c), segments: [{ kind: 'memory', held } as const] };
  const written = await writeTensorFile(directory, contents, { engine, direct: 'optional', chunkBytes }, () => {});
  const file = { ...written.file, tensors: toManifestTensors(contents, written.digest) };
  for (const memory of held) memory.release();
  const stateBytes = encodeState({ user: { seed: 42 }, extensions: {} });
  const state = await writeSmallFile(directory, { name: 'state.json', role: 'state', bytes: stateBytes }, { engine, chunkBytes });
  const manifest = encodeManifest({
    runId: '01234567-89ab-cdef-0123-456789abcdef',
    sequence: 1,
    contents: 'full',
    step: 1,
    metrics: { loss: 0.5 },
    createdAt: '2026-01-01T00:00:00.000Z',
    software: { holdfast: '0.1.0' },
    files: [file, state],
  });
  expect(decodeManifest(manifest, 'example').files).toEqual([file, state]);
  return [readFileSync(path.join(directory, 'model.safetensors')), readFileSync(path.join(directory, 'state.json')), manifest];
}

const BLOCK = /(?<=```hexdump\n)[^`]*(?=```)/g;

describe.each(ENGINES)('the worked example of docs/FORMAT.md, %s engine', (engine) => {
  test('is what is written, byte by byte', async () => {
    const dumps = (await writeExample(engine)).map((bytes) => `${hexdump(bytes)}\n`);
    const text = readFileSync(DOCUMENT, 'utf8');
    if (process.env['HOLDFAST_UPDATE_GOLDEN'] === '1') {
      let next = 0;
      writeFileSync(
        DOCUMENT,
        text.replace(BLOCK, () => dumps[next++] as string),
      );
    }
    expect(readFileSync(DOCUMENT, 'utf8').match(BLOCK)).toEqual(dumps);
  });
});
