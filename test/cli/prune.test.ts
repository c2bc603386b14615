/** `holdfast prune`: lets go of checkpoints by rules. */
import { chmodSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { keep, pruneDirectory, type SaveRequest, verifyPath } from '../../src/index.js';
import { ended, printed, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { killAt } from '../helpers/kill-at.js';
import { hidden } from '../helpers/leftovers.js';
import { contents, listing } from '../helpers/listing.js';
import { AS_NOBODY, CAN_BE_NOBODY } from '../helpers/unprivileged.js';
import { alterManifest, copyOf, find, readManifest, saveAll } from './checkpoints.js';
import { holdfast, holdfastError, holdfastJson } from './command.js';

interface Report {
  readonly directory: string;
  readonly dryRun: boolean;
  readonly kept: { readonly step: number; readonly reasons: string[] }[];
  readonly removed: { readonly step: number }[];
  readonly damaged: string[];
  readonly bytes: number;
  readonly warnings: string[];
}

/** Saves that are all kept, of the steps 1000, 2000, …; the second is the best by loss. */
async function run(
  requests: readonly Partial<SaveRequest>[] = losses(5, 1, 4, 3, 2),
): Promise<{ directory: string; at: (step: number) => string }> {
  const directory = await saveAll(requests, { keep: keep.all() });
  const names = readdirSync(directory).filter((name) => name.startsWith('checkpoint_'));
  return { directory, at: (step) => find(directory, names, step) };
}

function losses(...all: number[]): Partial<SaveRequest>[] {
  return all.map((loss) => ({ metrics: { loss } }));
}

async function prune(directory: string, ...args: string[]): Promise<{ code: number | null; report: Report }> {
  const { code, document } = await holdfastJson(['prune', directory, ...args]);
  return { code, report: document as Report };
}

/** The steps that stay. */
async function kept(directory: string, ...args: string[]): Promise<number[]> {
  const { code, report } = await prune(directory, ...args, '--dry-run');
  expect(code).toBe(0);
  return report.kept.map(({ step }) => step);
}

/** Names of the checkpoints that are there. */
const present = (directory: string) =>
  readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .sort();

describe('prune --json', () => {
  test('has exactly these fields, and removes what it says', async () => {
    const { directory, at } = await run();
    const { code, report } = await prune(directory, '--keep-last', '2');
    expect(code).toBe(0);
    const bytesOf = (step: number) => readManifest(at(step)).files.reduce((sum, file) => sum + file.bytes, 0);
    const bytes = bytesOf(2000);
    const entry = (step: number) => ({ name: path.basename(at(step)), sequence: step / 1000, step, bytes });
    expect(report).toStrictEqual({
      directory,
      dryRun: false,
      kept: [
        { ...entry(2000), reasons: ['best'] },
        { ...entry(4000), reasons: ['keep.last(2)'] },
        { ...entry(5000), reasons: ['newest', 'newest full', 'keep.last(2)'] },
      ],
      removed: [entry(1000), entry(3000)],
      damaged: [],
      bytes: 2 * bytes,
      warnings: [],
    });
    expect(Object.keys(report).join(' ')).toBe('directory dryRun kept removed damaged bytes warnings');
    expect(Object.keys(report.kept[0] as object).join(' ')).toBe('name sequence step bytes reasons');
    expect(Object.keys(report.removed[0] as object).join(' ')).toBe('name sequence step bytes');
    expect(present(directory)).toEqual([2000, 4000, 5000].map((step) => path.basename(at(step))));
    // Nothing half-removed, no lock, and the links are where they were.
    expect(hidden(directory)).toEqual([]);
    expect([readlinkSync(path.join(directory, 'latest')), readlinkSync(path.join(directory, 'best'))]).toEqual(
      [5000, 2000].map((step) => path.basename(at(step))),
    );
    expect((await verifyPath(directory)).ok).toBe(true);
    // Once more, there is nothing to do, and nothing is done.
    const before = listing(directory);
    expect((await prune(directory, '--keep-last', '2')).report).toMatchObject({ removed: [], bytes: 0 });
    expect({ ...listing(directory), '.': '' }).toEqual({ ...before, '.': '' });
  });

  test('--dry-run says the same and changes nothing, not an inode, not a time', async () => {
    const { directory } = await run();
    mkdirSync(path.join(directory, '.tmp-left'));
    const before = listing(directory);
    const { code, report } = await prune(directory, '--keep-last', '2', '--dry-run');
    expect(code).toBe(0);
    await holdfast(['prune', directory, '--keep-last', '2', '--dry-run']);
    expect(listing(directory)).toEqual(before);
    expect(report.dryRun).toBe(true);
    expect({ ...(await prune(directory, '--keep-last', '2')).report, dryRun: true }).toEqual(report);
  });

  test('the registry then says what is there, and remembers the highest sequence', async () => {
    const { directory } = await run();
    await prune(directory, '--keep-last', '1');
    const { document } = await holdfastJson(['repair', directory, '--dry-run']);
    expect(document).toMatchObject({ actions: [] });
  });
});

describe('prune', () => {
  test('is a table of what stays and what goes', async () => {
    const { directory, at } = await run();
    symlinkSync(path.basename(at(3000)), path.join(directory, 'paper'));
    const preview = await holdfast(['prune', directory, '--keep-last', '1', '--dry-run']);
    expect(preview).toMatchObject({ code: 0, stderr: '' });
    expect(`\n${preview.stdout}`).toMatchInlineSnapshot(`
      "
         CHECKPOINT                                     STEP      SIZE  WHY
      -  checkpoint_epoch0001_step00001000_loss5.0000  1,000  4.16 KiB  would go
         checkpoint_epoch0002_step00002000_loss1.0000  2,000  4.16 KiB  best
         checkpoint_epoch0003_step00003000_loss4.0000  3,000  4.16 KiB  tag paper
      -  checkpoint_epoch0004_step00004000_loss3.0000  4,000  4.16 KiB  would go
         checkpoint_epoch0005_step00005000_loss2.0000  5,000  4.16 KiB  newest, newest full, keep.last(1)

      2 checkpoints, 8.33 KiB, would go; 3 kept.
      "
    `);
    const { code, stdout } = await holdfast(['prune', directory, '--keep-last', '1']);
    expect(code).toBe(0);
    expect(stdout.replaceAll(' removed', ' would go')).toBe(preview.stdout);
    expect(stdout).toMatch(/^2 checkpoints, .*, removed; 3 kept\.$/m);
  });

  test('fits a narrow terminal', async () => {
    const { directory } = await run();
    const { stdout } = await holdfast(['prune', directory, '--keep-last', '1', '--dry-run'], { env: { COLUMNS: '60' } });
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(60);
    expect(stdout).toContain('CHECKPOINT');
  });

  test('damaged ones stay, are told, and fill no quota', async () => {
    const { directory, at } = await run();
    truncateSync(path.join(at(5000), 'model.safetensors'), 100);
    rmSync(path.join(at(3000), 'manifest.json'));
    const { code, report } = await prune(directory, '--keep-last', '1');
    expect(code).toBe(0);
    expect(report.kept.map(({ step, reasons }) => [step, reasons])).toEqual([
      [2000, ['best']],
      [4000, ['newest', 'newest full', 'keep.last(1)']],
    ]);
    expect(report.removed.map(({ step }) => step)).toEqual([1000]);
    expect(report.damaged.sort()).toEqual([3000, 5000].map((step) => path.basename(at(step))));
    expect(present(directory)).toEqual([2000, 3000, 4000, 5000].map((step) => path.basename(at(step))));
    const { stdout } = await holdfast(['prune', directory, '--keep-last', '1']);
    expect(stdout).toContain(`! ${path.basename(at(5000))} is damaged, and stays.`);
    expect(stdout).toContain('holdfast repair');
  });

  test('what has a tag stays, however the link says so', async () => {
    const { directory, at } = await run(losses(1, 2, 3, 4, 5, 6));
    symlinkSync(path.basename(at(2000)), path.join(directory, 'paper'));
    symlinkSync(at(3000), path.join(directory, 'demo'));
    symlinkSync(path.basename(at(3000)), path.join(directory, 'also'));
    symlinkSync(path.join(path.basename(at(4000)), 'model.safetensors'), path.join(directory, 'production'));
    const { report } = await prune(directory, '--keep-last', '1');
    expect(report.kept.map(({ step, reasons }) => [step, reasons])).toEqual([
      [1000, ['best']],
      [2000, ['tag paper']],
      [3000, ['tag also', 'tag demo']],
      [4000, ['tag production']],
      [6000, ['newest', 'newest full', 'keep.last(1)']],
    ]);
  });

  test('one that holds a file of somebody stays with a warning, the rest goes, and that is 1', async () => {
    const { directory, at } = await run();
    writeFileSync(path.join(at(1000), 'notes.txt'), 'precious');
    const { code, report } = await prune(directory, '--keep-last', '1');
    expect(code).toBe(1);
    expect(report.removed.map(({ step }) => step)).toEqual([3000, 4000]);
    expect(report.kept[0]).toMatchObject({ step: 1000, reasons: ['could not be removed'] });
    expect(report.warnings).toEqual([expect.stringContaining('notes.txt')]);
    const { stdout } = await holdfast(['prune', directory, '--keep-last', '1']);
    expect(stdout).toMatch(/^! .*notes\.txt/m);
  });

  test('full and weights-only ones are counted separately; the newest that training can go on from stays', async () => {
    const weights = (loss: number): Partial<SaveRequest> => ({ metrics: { loss }, contents: 'weights' });
    const { directory } = await run([...losses(9, 9), weights(1), weights(2), weights(3), ...losses(9)].slice(0, 5));
    const { report } = await prune(directory, '--keep-steps', '99');
    expect(report.kept.map(({ step, reasons }) => [step, reasons])).toEqual([
      [2000, ['newest full']],
      [3000, ['best']],
      [5000, ['newest']],
    ]);
  });

  test('of nothing is nothing; what lies there is not touched', async () => {
    const directory = freshDirectory();
    for (const name of ['.tmp-mine', 'registry.json', 'notes']) writeFileSync(path.join(directory, name), 'somebody else’s');
    const before = listing(directory);
    expect(await prune(directory, '--keep-last', '1')).toEqual({
      code: 0,
      report: { directory, dryRun: false, kept: [], removed: [], damaged: [], bytes: 0, warnings: [] },
    });
    expect((await holdfast(['prune', directory, '--keep-last', '1'])).stdout).toBe('0 checkpoints, 0 B, removed; 0 kept.\n');
    expect(listing(directory)).toEqual(before);
  });

  test('sweeps what a dead writer has left', async () => {
    const { directory } = await run();
    mkdirSync(path.join(directory, '.tmp-left'));
    writeFileSync(path.join(directory, '.tmp-left', 'model.safetensors'), 'half');
    await prune(directory, '--keep-last', '5');
    expect(hidden(directory)).toEqual([]);
  });

  test('spells control characters in names out', async () => {
    const { directory, at } = await run();
    const evil = 'red\x1b[31m\u009b2J\u202egnp\nline';
    symlinkSync(path.basename(at(1000)), path.join(directory, evil));
    mkdirSync(path.join(directory, `${evil}2`));
    writeFileSync(path.join(directory, `${evil}2`, 'manifest.json'), '{}');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not come through
    const unsafe = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;
    const { stdout } = await holdfast(['prune', directory, '--keep-last', '1', '--dry-run']);
    expect(stdout).toContain('tag red\\x1b[31m\\x9b2J\\u202egnp\\nline');
    expect(stdout).toContain('! red\\x1b[31m\\x9b2J\\u202egnp\\nline2 is damaged');
    expect(stdout).not.toMatch(unsafe);
    expect((await holdfast(['prune', directory, '--keep-last', '1', '--dry-run', '--json'])).stdout).not.toMatch(unsafe);
  });
});

describe('what is kept', () => {
  test('by number, by metrics, by steps; the options add up', async () => {
    const acc = [0.1, 0.9, 0.5, 0.7, 0.2, 0.3];
    const { directory } = await run(acc.map((value, i) => ({ metrics: { loss: 1, 'val:acc': value, score: i } })));
    // The first is the best by loss, of equals the earliest, and the last is the newest.
    const also = (...steps: number[]) => [1000, ...steps, 6000];
    expect(await kept(directory, '--keep-steps', '0')).toEqual(also());
    expect(await kept(directory, '--keep-last', '3')).toEqual(also(4000, 5000));
    expect(await kept(directory, '--keep-best', 'val:acc:2')).toEqual(also(2000, 4000));
    expect(await kept(directory, '--keep-best', 'val:acc:2:min')).toEqual(also(5000));
    expect(await kept(directory, '--keep-best', 'score:2')).toEqual(also(2000));
    expect(await kept(directory, '--keep-best', 'score:2:max')).toEqual(also(5000));
    expect(await kept(directory, '--keep-best', 'val:acc:1', '--keep-best', 'score:3:max')).toEqual(also(2000, 4000, 5000));
    expect(await kept(directory, '--keep-best', 'nobody has it:3')).toEqual(also());
    expect(await kept(directory, '--keep-steps', '2000, 3000,77')).toEqual(also(2000, 3000));
    expect(await kept(directory, '--keep-every', '2000')).toEqual(also(2000, 4000));
    expect(await kept(directory, '--keep-every', '4000', '--keep-every', '3000')).toEqual(also(3000, 4000));
    expect(await kept(directory, '--keep-last', '2', '--keep-steps', '2000', '--keep-every', '3000')).toEqual(also(2000, 3000, 5000));
  });

  test('by a metric, the way that the manifests say is better', async () => {
    const directory = await saveAll(
      [1, 5, 4, 2, 3].map((score) => ({ metrics: { score } })),
      { keep: keep.all(), monitor: 'score', mode: 'max' },
    );
    expect(await kept(directory, '--keep-best', 'score:2')).toEqual([2000, 3000, 5000]);
    expect(await kept(directory, '--keep-best', 'score:1:min')).toEqual([1000, 2000, 5000]);
  });

  test('by time, in minutes, hours and days', async () => {
    const { directory, at } = await run(losses(1, 2, 3, 4, 5, 6));
    const now = Date.now();
    // 48 hours ago, 26, 25, 2, and 50 and 10 minutes ago.
    const ages = [48 * 60, 26 * 60, 25 * 60, 120, 50, 10];
    for (const [i, minutes] of ages.entries())
      alterManifest(at((i + 1) * 1000), { createdAt: new Date(now - minutes * 60_000).toISOString() });
    const also = (...steps: number[]) => [1000, ...steps, 6000];
    expect(await kept(directory, '--keep-younger', '60m')).toEqual(also(5000));
    expect(await kept(directory, '--keep-younger', '2.5h')).toEqual(also(4000, 5000));
    expect(await kept(directory, '--keep-younger', '26h')).toEqual(also(3000, 4000, 5000));
    expect(await kept(directory, '--keep-younger', '2d')).toEqual(also(2000, 3000, 4000, 5000));
    expect(await kept(directory, '--keep-every', '30m')).toEqual(also(2000, 3000, 4000, 5000));
    expect(await kept(directory, '--keep-every', '2h')).toEqual(also(2000, 4000));
    expect(await kept(directory, '--keep-every', '1d')).toEqual(also(4000));
  });

  test('by size, in all units; by itself, or of what the others keep', async () => {
    const { directory, at } = await run(losses(1, 2, 3, 4, 5, 6));
    const size = readManifest(at(1000)).files.reduce((sum, file) => sum + file.bytes, 0);
    const also = (...steps: number[]) => [1000, ...steps, 6000];
    expect(await kept(directory, '--max-bytes', String(4 * size))).toEqual(also(4000, 5000));
    expect(await kept(directory, '--max-bytes', String(4 * size - 1))).toEqual(also(5000));
    expect(await kept(directory, '--max-bytes', `${(3 * size) / 1024}KiB`)).toEqual(also(5000));
    expect(await kept(directory, '--max-bytes', `${(3 * size) / 1000} kb`)).toEqual(also(5000));
    expect(await kept(directory, '--max-bytes', '1B')).toEqual(also());
    for (const unit of ['MB', 'MiB', 'GB', 'GiB', 'TB', 'TiB']) expect(await kept(directory, '--max-bytes', `1${unit}`)).toHaveLength(6);
    expect(await kept(directory, '--max-bytes', String(3 * size), '--keep-every', '2000')).toEqual(also(4000));
    expect(await kept(directory, '--max-bytes', '1GiB', '--keep-last', '2')).toEqual(also(5000));
  });
});

describe('wrong usage exits with 2 and removes nothing:', () => {
  test.each([
    [[], 'Say what is to be kept'],
    [['--dry-run'], 'Say what is to be kept'],
    ...['0', '1.5', '9999999999999999'].map((value) => [[`--keep-last=${value}`], 'Give a whole number of at least 1']),
    ...['loss', ':3', 'loss:0', 'loss:3:up'].map((value) => [[`--keep-best=${value}`], 'Give a metric and a number']),
    ...['0', '1.5h', '10w', '10 m'].map((value) => [[`--keep-every=${value}`], 'Give a number of steps']),
    ...['0.0d', '5', '1w', '-1h'].map((value) => [[`--keep-younger=${value}`], 'Give a length of time']),
    ...['', '1,,2', '1.5'].map((value) => [[`--keep-steps=${value}`], 'Give steps']),
    ...['0', '-1', '1XB'].map((value) => [[`--max-bytes=${value}`], 'Give a size']),
    [['--keep-lst', '3'], 'Did you mean --keep-last?'],
    [['--keep-last', '1', 'another'], 'Too many arguments'],
  ] as [string[], string][])('%j', async (args, expected) => {
    // It does not come as far as looking at the directory.
    const { code, stdout, stderr } = await holdfast(['prune', '/nowhere', ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(expected);
    expect(stderr).toMatch(/^holdfast: .*\n$/);
  });

  test('what is no directory of checkpoints', async () => {
    const { directory, at } = await run(losses(1));
    const file = path.join(directory, 'file');
    writeFileSync(file, '');
    const missing = path.join(directory, 'missing');
    const before = listing(directory);
    for (const dry of [[], ['--dry-run']]) {
      const args = (target: string) => ['prune', target, '--keep-last', '1', ...dry];
      expect(await holdfastError(args(missing))).toMatchObject({ code: 2, error: { code: 'ERR_NOT_FOUND', path: missing } });
      expect(await holdfastError(args(file))).toMatchObject({ code: 2, error: { code: 'ERR_NOT_A_DIRECTORY' } });
      // A registry or a lock in it would be files that its manifest does not list.
      for (const checkpoint of [at(1000), path.join(directory, 'latest')]) {
        expect(await holdfastError(args(checkpoint))).toMatchObject({
          code: 2,
          error: { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('Prune the directory that it is in') },
        });
      }
    }
    expect(listing(directory)).toEqual(before);
  });

  test.runIf(CAN_BE_NOBODY)('what may not be written', async () => {
    const { directory } = await run();
    chmodSync(directory, 0o755);
    const before = contents(directory);
    const options = { prefix: AS_NOBODY };
    expect(await holdfastError(['prune', directory, '--keep-last', '1'], options)).toMatchObject({
      code: 2,
      error: { code: 'ERR_PERMISSION' },
    });
    expect(await holdfastJson(['prune', directory, '--keep-last', '1', '--dry-run'], options)).toMatchObject({ code: 0 });
    expect(contents(directory)).toEqual(before);
  });
});

describe('a directory that somebody writes to', () => {
  const HOLD = `
    import { CheckpointManager } from 'holdfast';
    await CheckpointManager.open(process.argv[1], { engine: 'portable' });
    console.log('holding');
    setInterval(() => {}, 1000);
  `;

  test('is his: nothing is touched but with --dry-run looked at, until he is dead', async () => {
    const { directory } = await run();
    const holder = startNode(HOLD, [directory]);
    await printed(holder, 'holding');
    mkdirSync(path.join(directory, '.tmp-in-the-making'));
    const before = listing(directory);
    const { code, error } = await holdfastError(['prune', directory, '--keep-last', '1']);
    expect({ code, error }).toMatchObject({ code: 2, error: { code: 'ERR_LOCKED', message: expect.stringContaining(String(holder.pid)) } });
    expect((await prune(directory, '--keep-last', '1', '--dry-run')).report.removed).toHaveLength(3);
    expect({ ...listing(directory), '.': '' }).toEqual({ ...before, '.': '' });
    holder.kill('SIGKILL');
    await ended(holder);
    expect((await prune(directory, '--keep-last', '1')).report.removed).toHaveLength(3);
    expect(hidden(directory)).toEqual([]);
  });

  test('and one that dies in the middle, whenever it is, leaves nothing half-removed, and nothing gone that was to stay', async () => {
    const { directory: made, at } = await run();
    for (let n = 1; ; n++) {
      const directory = copyOf(made);
      const outcome = await holdfast(['prune', directory, '--keep-last', '1'], { env: { NODE_OPTIONS: killAt(n, directory) } });
      const left = present(directory);
      expect(left).toEqual(expect.arrayContaining([2000, 5000].map((step) => path.basename(at(step)))));
      const { ok, checked } = await verifyPath(directory);
      expect([ok, checked.checkpoints]).toEqual([true, left.length]);
      if (outcome.code !== null) {
        expect([outcome.code, left.length]).toEqual([0, 2]);
        // It was killed at each of its steps: lock, three checkpoints, their files, the registry.
        expect(n).toBeGreaterThan(10);
        break;
      }
      expect((await pruneDirectory(directory, { keep: keep.last(1) })).warnings).toEqual([]);
      expect(present(directory)).toHaveLength(2);
      expect(hidden(directory)).toEqual([]);
    }
  });
});
