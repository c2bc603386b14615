/** `holdfast repair`: what is wrong with a directory, and what is done about it. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';
import { hidden } from '../helpers/leftovers.js';
import { contents, listing } from '../helpers/listing.js';
import { openManager } from '../helpers/manager.js';
import { flipByte, readManifest, tensors } from './checkpoints.js';
import { holdfast, holdfastError } from './command.js';
import { expectClean, fourCheckpoints, repair, reseal, type Saved } from './damaged.js';

/** Where a tensor's byte is. */
function inTensor(checkpoint: string): number {
  return (readManifest(checkpoint).files[0]?.tensors?.[0]?.offset ?? 0) + 1;
}

/** What can happen to the newest checkpoint, and the code that says so. */
const DAMAGE: [string, string, (checkpoint: string) => void][] = [
  ['a manifest with a flipped byte', 'ERR_MANIFEST', (at) => flipByte(path.join(at, 'manifest.json'), 40)],
  ['a manifest that is cut short', 'ERR_MANIFEST', (at) => truncateSync(path.join(at, 'manifest.json'), 50)],
  ['no manifest', 'ERR_MISSING_MANIFEST', (at) => rmSync(path.join(at, 'manifest.json'))],
  ['a truncated file', 'ERR_TRUNCATED', (at) => truncateSync(path.join(at, 'model.safetensors'), 4200)],
  ['a file that is too long', 'ERR_EXTENDED', (at) => writeFileSync(path.join(at, 'model.safetensors'), 'x', { flag: 'a' })],
  ['no file', 'ERR_MISSING_FILE', (at) => rmSync(path.join(at, 'model.safetensors'))],
];

describe('nothing to mend', () => {
  test('is said, in words and in exactly these fields, and nothing is written', async () => {
    const { directory } = await fourCheckpoints();
    const before = listing(directory);
    const { code, report } = await repair(directory);
    expect(code).toBe(0);
    expect(report).toStrictEqual({
      directory,
      dryRun: false,
      verified: true,
      lockBroken: false,
      locked: null,
      actions: [],
      left: [],
      warnings: [],
    });
    expect(Object.keys(report).join(' ')).toBe('directory dryRun verified lockBroken locked actions left warnings');
    expect(await holdfast(['repair', directory])).toEqual({ code: 0, stdout: 'Nothing to mend.\n', stderr: '' });
    expect((await holdfast(['repair', directory, '--quick'])).stdout).toBe('Nothing to mend. The bytes were not looked at (--quick).\n');
    expect({ ...listing(directory), '.': '' }).toEqual({ ...before, '.': '' });
    await expectClean(directory);
  });

  test('where there is nothing at all: what may be somebody else’s is not touched', async () => {
    const directory = freshDirectory();
    for (const name of ['registry.json', 'notes.txt']) writeFileSync(path.join(directory, name), 'mine');
    const before = listing(directory);
    expect(await repair(directory)).toMatchObject({ code: 0, report: { actions: [], left: [] } });
    expect({ ...listing(directory), '.': '' }).toEqual({ ...before, '.': '' });
  });
});

describe('a damaged checkpoint goes to .quarantine:', () => {
  test.each(DAMAGE)('%s', async (_, problem, harm) => {
    const { directory, at, name } = await fourCheckpoints();
    harm(at(4000));
    const damaged = contents(at(4000));
    const before = listing(directory);
    const preview = await repair(directory, '--dry-run');
    const quick = await repair(directory, '--dry-run', '--quick');
    expect(listing(directory)).toEqual(before);
    expect([preview.code, quick.code, quick.report.verified]).toEqual([1, 1, false]);
    const { code, report } = await repair(directory);
    expect(code).toBe(0);
    expect(report.actions[0]).toStrictEqual({
      action: 'quarantine',
      name: name(4000),
      to: `.quarantine/${name(4000)}`,
      problems: [{ code: problem, message: expect.any(String) }],
    });
    expect(report.actions[1]).toStrictEqual({ action: 'link', name: 'latest', from: name(4000), to: name(3000) });
    expect(report.left).toEqual([]);
    expect(preview.report).toMatchObject({ dryRun: true, actions: report.actions });
    expect(quick.report.actions.map(({ action }) => action)).toEqual(report.actions.map(({ action }) => action));
    // No byte of it is changed, and nothing of the others.
    expect(contents(path.join(directory, '.quarantine', name(4000)))).toEqual(damaged);
    expect((await repair(directory)).report.actions).toEqual([]);
    await expectClean(directory);
  });

  test.each(ENGINES)('a flipped byte is found by reading every byte, by the %s engine, and not with --quick', async (engine) => {
    const { directory, at, name } = await fourCheckpoints();
    flipByte(path.join(at(2000), 'model.safetensors'), inTensor(at(2000)));
    expect(await repair(directory, '--quick', '--engine', engine)).toMatchObject({ code: 0, report: { verified: false, actions: [] } });
    const { code, report } = await repair(directory, '--engine', engine);
    expect([code, report.verified]).toEqual([0, true]);
    expect(report.actions).toMatchObject([
      { action: 'quarantine', name: name(2000), problems: [{ code: 'ERR_CHECKSUM' }] },
      { action: 'link', name: 'best', from: name(2000), to: name(3000) },
    ]);
    await expectClean(directory);
  });

  test('and its sequence is not used again', async () => {
    const { directory, at, name } = await fourCheckpoints();
    flipByte(path.join(at(4000), 'model.safetensors'), inTensor(at(4000)));
    truncateSync(path.join(at(3000), 'model.safetensors'), 20);
    const { report } = await repair(directory);
    expect(report.actions.filter(({ action }) => action === 'quarantine').map((each) => each['name'])).toEqual([name(3000), name(4000)]);
    const manager = await openManager(directory);
    expect((await manager.restore())?.step).toBe(2000);
    expect((await manager.save({ step: 5, tensors: tensors() })).sequence).toBe(5);
  });

  test('with every problem that it has', async () => {
    const { directory, at } = await fourCheckpoints({ maxShardBytes: 100 });
    const files = readManifest(at(4000)).files.filter(({ role }) => role === 'model');
    expect(files.length).toBeGreaterThan(1);
    flipByte(path.join(at(4000), files[0]?.name ?? ''), 9);
    truncateSync(path.join(at(4000), files[1]?.name ?? ''), 20);
    const { report } = await repair(directory);
    expect(report.actions[0]).toMatchObject({ problems: [{ code: 'ERR_CHECKSUM' }, { code: 'ERR_TRUNCATED' }] });
    await expectClean(directory);
  });

  test('beside one of the same name that lies there already', async () => {
    const { directory, at, name } = await fourCheckpoints();
    for (const place of ['', '.2']) {
      mkdirSync(path.join(directory, '.quarantine', `${name(1000)}${place}`), { recursive: true });
      writeFileSync(path.join(directory, '.quarantine', `${name(1000)}${place}`, 'precious'), 'x');
    }
    rmSync(path.join(at(1000), 'manifest.json'));
    expect((await repair(directory)).report.actions[0]).toMatchObject({ to: `.quarantine/${name(1000)}.3` });
    expect(readdirSync(path.join(directory, '.quarantine', name(1000)))).toEqual(['precious']);
    await expectClean(directory);
  });

  test('also where a stray manifest or tensor file in the directory looks like a checkpoint', async () => {
    for (const stray of ['manifest.json', 'model.safetensors']) {
      const { directory, at, name } = await fourCheckpoints();
      for (const file of ['manifest.json', 'model.safetensors']) {
        if (stray === 'manifest.json' || file === stray) writeFileSync(path.join(directory, file), readFileSync(path.join(at(1000), file)));
      }
      flipByte(path.join(at(2000), 'model.safetensors'), inTensor(at(2000)));
      expect((await repair(directory, '--dry-run')).report.actions[0]).toMatchObject({ action: 'quarantine', name: name(2000) });
    }
  });

  test('but not where no good one would be left: an empty directory looks like a first run', async () => {
    const { directory, at, name } = await fourCheckpoints();
    flipByte(path.join(at(1000), 'model.safetensors'), inTensor(at(1000)));
    for (const step of [2000, 3000, 4000]) truncateSync(path.join(at(step), 'model.safetensors'), 10);
    mkdirSync(path.join(directory, '.tmp-left'));
    const { code, report } = await repair(directory);
    expect(code).toBe(1);
    // The links stay as well: nothing is known to be better than what they point at.
    expect(report.actions).toEqual([{ action: 'sweep', name: '.tmp-left' }]);
    expect(report.left.map((each) => [each.name, each.problems[0]?.code])).toEqual([
      [name(1000), 'ERR_CHECKSUM'],
      [name(2000), 'ERR_TRUNCATED'],
      [name(3000), 'ERR_TRUNCATED'],
      [name(4000), 'ERR_TRUNCATED'],
    ]);
    expect(Object.keys(report.left[0] as object).join(' ')).toBe('name why problems');
    expect(report.left.every(({ why }) => why.includes('first run'))).toBe(true);
    expect(readdirSync(directory)).not.toContain('.quarantine');
    const { stdout } = await holdfast(['repair', directory]);
    expect(stdout).toContain(`! ${name(4000)} stays\n    no good checkpoint is left`);
    expect(stdout).toMatch(/^0 repairs done\. 4 problems left\.$/m);
  });

  test('nor one that a newer version wrote', async () => {
    const { directory, at, name } = await fourCheckpoints();
    reseal(path.join(at(4000), 'manifest.json'), (manifest) => ({ ...manifest, version: 2 }));
    const { code, report } = await repair(directory);
    expect(code).toBe(1);
    expect(report.left).toMatchObject([
      { name: name(4000), why: expect.stringContaining('newer version'), problems: [{ code: 'ERR_UNSUPPORTED_VERSION' }] },
    ]);
    expect(report.actions.map(({ action }) => action)).not.toContain('quarantine');
    expect(readdirSync(directory)).toContain(name(4000));
  });
});

describe('leftovers', () => {
  test('of writers that died go, whatever they are; what a link among them points at does not', async () => {
    const { directory } = await fourCheckpoints();
    mkdirSync(path.join(directory, '.tmp-0123', 'deep'), { recursive: true });
    writeFileSync(path.join(directory, '.tmp-0123', 'manifest.json'), '{}');
    writeFileSync(path.join(directory, '.tmp-file'), '');
    const outside = freshDirectory();
    writeFileSync(path.join(outside, 'precious'), 'x');
    symlinkSync(outside, path.join(directory, '.tmp-link'));
    writeFileSync(path.join(directory, '.hidden'), 'mine');
    const before = listing(directory);
    const preview = await repair(directory, '--dry-run');
    expect(listing(directory)).toEqual(before);
    const { code, report } = await repair(directory);
    expect(code).toBe(0);
    expect(report.actions).toEqual(['.tmp-0123', '.tmp-file', '.tmp-link'].map((name) => ({ action: 'sweep', name })));
    expect(preview.report.actions).toEqual(report.actions);
    expect(hidden(directory)).toEqual(['.hidden']);
    expect(readdirSync(outside)).toEqual(['precious']);
  });
});

describe('registry.json', () => {
  const HARM: [string, string, (file: string) => void][] = [
    ['missing', 'it is missing', (file) => unlinkSync(file)],
    ['empty', 'it is damaged, or of another version', (file) => truncateSync(file)],
    ['with a flipped byte', 'it is damaged, or of another version', (file) => flipByte(file, 60)],
    ['of another version', 'it is damaged, or of another version', (file) => reseal(file, (registry) => ({ ...registry, version: 99 }))],
    ['of another program', 'it is damaged, or of another version', (file) => writeFileSync(file, '{"name": "my app"}')],
    [
      'that has forgotten one',
      'it does not say what the manifests say',
      (file) => reseal(file, (registry) => ({ ...registry, checkpoints: [] })),
    ],
  ];

  test.each(HARM)('%s is made anew of the manifests', async (_, why, harm) => {
    const { directory } = await fourCheckpoints();
    harm(path.join(directory, 'registry.json'));
    const before = listing(directory);
    const preview = await repair(directory, '--dry-run');
    expect([preview.code, preview.report.actions]).toEqual([1, [{ action: 'registry', why }]]);
    expect(listing(directory)).toEqual(before);
    const { code, report } = await repair(directory);
    expect([code, report.actions]).toEqual([0, [{ action: 'registry', why }]]);
    await expectClean(directory);
    reseal(path.join(directory, 'registry.json'), (registry) => {
      expect(registry).toMatchObject({ version: 2, highestSequence: 4, checkpoints: { length: 4 } });
      return registry;
    });
  });
});

describe('in words', () => {
  async function broken(): Promise<Saved> {
    const saved = await fourCheckpoints();
    const { directory, at, name } = saved;
    mkdirSync(path.join(directory, '.tmp-left'));
    flipByte(path.join(at(4000), 'model.safetensors'), inTensor(at(4000)));
    symlinkSync(name(4000), path.join(directory, 'paper'));
    rmSync(path.join(directory, 'registry.json'));
    reseal(path.join(at(1000), 'manifest.json'), (manifest) => ({ ...manifest, version: 2 }));
    return saved;
  }

  test('it lists what is to be done, and then what was', async () => {
    const { directory } = await broken();
    const stable = (text: string) => `\n${text.replaceAll(/\b[0-9a-f]{8}\b/g, 'CHECKSUM')}`;
    const preview = await holdfast(['repair', directory, '--dry-run']);
    expect({ code: preview.code, stderr: preview.stderr }).toEqual({ code: 1, stderr: '' });
    expect(stable(preview.stdout)).toMatchInlineSnapshot(`
      "
      sweep       .tmp-left
      quarantine  checkpoint_epoch0004_step00004000_loss4.0000 to
      .quarantine/checkpoint_epoch0004_step00004000_loss4.0000
          ERR_CHECKSUM: A chunk of model.safetensors (bytes 0 to 4264) has CRC32C CHECKSUM, not CHECKSUM.
          Damaged: "steps".
      link        latest: checkpoint_epoch0004_step00004000_loss4.0000 to
      checkpoint_epoch0003_step00003000_loss2.0000
      link        paper: checkpoint_epoch0004_step00004000_loss4.0000 to nothing
      registry    made anew: it is missing
      ! checkpoint_epoch0001_step00001000_loss3.0000 stays
          a newer version of holdfast wrote it
          ERR_UNSUPPORTED_VERSION: The manifest of checkpoint_epoch0001_step00001000_loss3.0000 has format
          version 2; this holdfast reads version 1. Update holdfast.

      5 repairs to do. 1 problem left. Run it again without --dry-run to do it.
      "
    `);
    const { code, stdout } = await holdfast(['repair', directory]);
    expect(code).toBe(1);
    expect(stdout).toBe(preview.stdout.replace('to do.', 'done.').replace(' Run it again without --dry-run to do it.', ''));
  });

  test('it fits a narrow terminal, and control characters of names do not reach it', async () => {
    const { directory, at } = await broken();
    const evil = path.join(directory, 'red\x1b[31m\u009b2J\u202egnp\nline');
    renameSync(at(3000), evil);
    truncateSync(path.join(evil, 'model.safetensors'), 10);
    const { stdout } = await holdfast(['repair', directory, '--dry-run'], { env: { COLUMNS: '70' } });
    expect(stdout).toContain('red\\x1b[31m\\x9b2J\\u202egnp\\nline');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not come through
    const unsafe = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;
    expect(stdout).not.toMatch(unsafe);
    expect((await holdfast(['repair', directory, '--dry-run', '--json'])).stdout).not.toMatch(unsafe);
    const words = stdout
      .split('\n')
      .filter((line) => line.length > 70 && line.trim().includes(' ') && !/checkpoint_|\.quarantine/.test(line));
    expect(words).toEqual([]);
  });
});

describe('wrong usage exits with 2 and changes nothing:', () => {
  test('what is no directory of checkpoints', async () => {
    const { directory, at } = await fourCheckpoints();
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    const missing = path.join(directory, 'missing');
    const before = listing(directory);
    for (const more of [[], ['--dry-run'], ['--break-lock']]) {
      expect(await holdfastError(['repair', missing, ...more])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_FOUND', path: missing } });
      expect(await holdfastError(['repair', file, ...more])).toMatchObject({ code: 2, error: { code: 'ERR_NOT_A_DIRECTORY' } });
      for (const checkpoint of [at(1000), path.join(directory, 'latest')]) {
        expect(await holdfastError(['repair', checkpoint, ...more])).toMatchObject({
          code: 2,
          error: { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('Repair the directory that it is in') },
        });
      }
    }
    expect(listing(directory)).toEqual(before);
  });

  test.each([
    [['--engine', 'steam'], 'auto, native, portable'],
    [['--brk-lock'], 'Did you mean --break-lock?'],
    [['another'], 'Too many arguments'],
  ])('%j', async (args, expected) => {
    const { code, stdout, stderr } = await holdfast(['repair', '/nowhere', ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(expected);
  });
});
