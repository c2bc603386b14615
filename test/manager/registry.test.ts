/** registry.json is a cache: whatever happens to it, the manifests are what counts. */
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeManifest } from '../../src/format/manifest.js';
import { encodeManifest } from '../../src/format/manifest-encode.js';
import { openSealed, sealJson } from '../../src/format/sealed.js';
import { CheckpointManager } from '../../src/manager/manager.js';
import { keep } from '../../src/policy/keep.js';
import { freshDirectory } from '../helpers/directory.js';
import { openManager, smallRequest } from '../helpers/manager.js';

async function threeCheckpoints(): Promise<string> {
  const directory = freshDirectory();
  const manager = await CheckpointManager.open(directory, { keep: keep.all() });
  for (const step of [1, 2, 3]) await manager.save(smallRequest(step));
  await manager.close();
  return directory;
}

async function stepsOf(manager: CheckpointManager): Promise<(number | null)[]> {
  const steps = [];
  for await (const { step } of manager.list()) steps.push(step);
  return steps;
}

type Document = Record<string, unknown> & { checkpoints: { name: string; stamp: string; manifest: Record<string, unknown> }[] };

function read(directory: string): Document {
  const opened = openSealed(readFileSync(path.join(directory, 'registry.json')));
  if (!opened.ok) throw new Error(opened.reason);
  return JSON.parse(opened.text) as Document;
}

function write(directory: string, document: Document): void {
  const { crc32c: _, ...rest } = document;
  writeFileSync(path.join(directory, 'registry.json'), sealJson(rest));
}

const HARM: [string, (file: string, directory: string) => void][] = [
  ['missing', (file) => rmSync(file)],
  ['empty', (file) => truncateSync(file)],
  ['cut short', (file) => truncateSync(file, 300)],
  ['rubbish', (file) => writeFileSync(file, 'rubbish')],
  [
    'with a flipped bit',
    (file) => {
      const bytes = readFileSync(file);
      bytes[40] = (bytes[40] as number) ^ 1;
      writeFileSync(file, bytes);
    },
  ],
  ['changed by hand', (file) => writeFileSync(file, readFileSync(file, 'utf8').replace('"highestSequence":3', '"highestSequence":9'))],
  ['of a later version', (_, directory) => write(directory, { ...read(directory), version: 3, highestSequence: 1000, checkpoints: [] })],
  ['of another program', (file) => writeFileSync(file, sealJson({ format: 'something else', version: 2 }))],
  [
    'with entries that make no sense',
    (_, directory) => write(directory, { ...read(directory), checkpoints: [null, 3, { name: 3 }] as never }),
  ],
  ['without entries', (_, directory) => write(directory, { ...read(directory), checkpoints: [] })],
];

describe.each(HARM)('a registry %s', (_, harm) => {
  test('is made anew, and never taken for a first run', async () => {
    const directory = await threeCheckpoints();
    harm(path.join(directory, 'registry.json'), directory);
    const reader = await openManager(directory, { readOnly: true });
    expect(await stepsOf(reader)).toEqual([1, 2, 3]);
    expect((await reader.restore())?.step).toBe(3);
    const manager = await openManager(directory, { keep: keep.all() });
    expect(read(directory)).toMatchObject({ version: 2, highestSequence: 3 });
    expect(
      read(directory)
        .checkpoints.map(({ name }) => name)
        .sort(),
    ).toEqual(readdirSync(directory).filter((name) => name.startsWith('checkpoint_')));
    expect((await manager.save(smallRequest(4))).sequence).toBe(4);
  });
});

describe('a valid registry', () => {
  test('is not trusted over a manifest that has changed since', async () => {
    const directory = await threeCheckpoints();
    const [first = '', second = '', third = ''] = readdirSync(directory)
      .filter((name) => name.startsWith('checkpoint_'))
      .map((name) => path.join(directory, name));
    const manifest = decodeManifest(readFileSync(path.join(first, 'manifest.json')), 'first');
    writeFileSync(path.join(first, 'manifest.json'), encodeManifest({ ...manifest, sequence: 40, metrics: { loss: -5 } }));
    truncateSync(path.join(second, 'manifest.json'), 50);
    rmSync(path.join(third, 'manifest.json'));
    const manager = await openManager(directory, { readOnly: true });
    const listed = [];
    for await (const { sequence, status, metrics } of manager.list()) listed.push({ sequence, status, loss: metrics['loss'] });
    expect(listed).toEqual([
      { sequence: 40, status: 'good', loss: -5 },
      { sequence: null, status: 'damaged', loss: undefined },
      { sequence: null, status: 'damaged', loss: undefined },
    ]);
    expect((await manager.restore('best'))?.info.sequence).toBe(40);
  });

  test('is not trusted of files: one that is gone, or has another size', async () => {
    const directory = await threeCheckpoints();
    const [first = '', second = ''] = readdirSync(directory)
      .filter((name) => name.startsWith('checkpoint_'))
      .map((name) => path.join(directory, name));
    rmSync(path.join(first, 'model.safetensors'));
    truncateSync(path.join(second, 'model.safetensors'), 10);
    const manager = await openManager(directory, { readOnly: true });
    const listed = [];
    for await (const { step, status, problem } of manager.list()) listed.push([step, status, problem?.code]);
    expect(listed).toEqual([
      [1, 'damaged', 'ERR_MISSING_FILE'],
      [2, 'damaged', 'ERR_TRUNCATED'],
      [3, 'good', undefined],
    ]);
  });

  test('is not trusted of a checkpoint that was put in another’s place', async () => {
    const directory = await threeCheckpoints();
    const [first = '', second = ''] = readdirSync(directory)
      .filter((name) => name.startsWith('checkpoint_'))
      .map((name) => path.join(directory, name));
    rmSync(first, { recursive: true });
    cpSync(second, first, { recursive: true, preserveTimestamps: true });
    const manager = await openManager(directory, { readOnly: true });
    expect(await stepsOf(manager)).toEqual([2, 2, 3]);
  });

  test('spares reading the manifests', async () => {
    const directory = await threeCheckpoints();
    const before = readFileSync(path.join(directory, 'registry.json'), 'utf8');
    // What only the registry says is what is listed: the manifests were not read.
    const document = read(directory);
    (document.checkpoints[0] as Document['checkpoints'][number]).manifest['step'] = 1001;
    write(directory, document);
    const manager = await openManager(directory, { readOnly: true });
    expect(await stepsOf(manager)).toEqual([1001, 2, 3]);
    // But what is restored is what the manifest says.
    expect((await manager.restore({ step: 1001 }))?.step).toBe(1);
    expect(before).not.toBe(readFileSync(path.join(directory, 'registry.json'), 'utf8'));
  });

  test('remembers the highest sequence where its checkpoint is gone', async () => {
    const directory = await threeCheckpoints();
    for (const name of readdirSync(directory).filter((each) => each.startsWith('checkpoint_')))
      rmSync(path.join(directory, name), { recursive: true });
    const manager = await openManager(directory);
    expect(await manager.restore()).toBeNull();
    expect((await manager.save(smallRequest(1))).sequence).toBe(4);
  });

  test('is not written anew where nothing has changed', async () => {
    const directory = await threeCheckpoints();
    const registry = path.join(directory, 'registry.json');
    utimesSync(registry, 1, 1);
    await (await openManager(directory)).close();
    const untouched = readFileSync(registry);
    await (await openManager(directory, { readOnly: true })).restore();
    expect(readFileSync(registry).equals(untouched)).toBe(true);
  });
});
