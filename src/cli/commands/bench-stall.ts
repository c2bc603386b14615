/** `holdfast bench stall`: how long training waits for an asynchronous save. */
import { InvalidArgumentError, Option } from 'commander';
import type { StallReport, StallSettings } from '../../bench/report.js';
import { STALL_SOURCES, type StallSource } from '../../bench/sources.js';
import type { StallRow } from '../../bench/stall-trial.js';
import { formatBytes, formatRate } from '../../terminal/format.js';
import { parseSize } from '../../terminal/sizes.js';
import { wrap } from '../../terminal/text.js';
import { type CommandContext, type CommonOptions, helpEnd, type RegisterCommand } from '../command.js';
import { outputWidth, paint, print } from '../output.js';
import { type Column, layOut } from '../table.js';
import {
  deliver,
  dirOption,
  engineOption,
  htmlOption,
  type OutputOptions,
  outOption,
  parseCount,
  parseOneSize,
  withBar,
} from './bench-options.js';
import { formatMs, INTERRUPTED, printWarnings } from './bench-print.js';

const DEFAULT_SIZES = '64MiB,512MiB';

const NOTES = [
  'Every row is measured in a process of its own, with random float32 tensors of equal length. Sources: "pinned" is memory promised stable, "copied" is memory that may change, "stream" is chunks that only the saving thread can get at.',
  'The stall is measured from outside, around "await manager.saveAsync(…)". Its median is over --runs saves that are persisted, one after another; the 99th percentile and the maximum are over --calls calls, of which those beyond --runs are taken back at once so that they cost no writing. The first save of the process counts apart. memcpy is one copy of the same tensors into warm memory on one thread, before and after every save.',
  'Room for three times the largest size is needed in memory, twice on the disk; nothing is left behind.',
  'JSON: {scenario: "stall", rows: [{source, bytes, tensors, engine, direct, runs, calls, stallMsMedian, stallMsP99, stallMsMax, firstStallMs, memcpyMs, stallToMemcpy, persistBytesPerSecond, eventLoopMaxMs, eventLoopMsMedian, eventLoopIdleMs: how late a timer of 1 ms was at worst from the return of the call to the acknowledgement, the median over the saves, and with nothing going on, extraRssBytes: rise of resident memory over all saves, laterExtraRssBytes: over all but the first, arenaBytes: memory for copies, laterArenaBytes: its growth after the first save, eventLoopDelays: [[milliseconds since the call of one more save, how late the timer was]]}], settings, environment, rules, warnings, leftOut, partial}; null for what cannot be measured here.',
];

interface StallCommandOptions extends CommonOptions, OutputOptions, Omit<StallSettings, 'directory' | 'reserve'> {
  readonly dir: string;
  readonly reserve?: true;
  readonly size?: number;
}

export const registerStall: RegisterCommand = (bench, context) =>
  bench
    .command('stall')
    .summary('how long training waits for an asynchronous save')
    .description(
      'Measures how long training waits for an asynchronous save, against one copy of the same bytes, and what goes on behind it.',
    )
    .addOption(
      new Option('--sizes <LIST>', 'bytes of all tensors together, such as 64MiB,4GiB')
        .argParser(parseSizes)
        .default(parseSizes(DEFAULT_SIZES), DEFAULT_SIZES),
    )
    .addOption(new Option('--size <SIZE>', 'one size, instead of --sizes').argParser(parseOneSize).conflicts('sizes'))
    .addOption(
      new Option('--sources <LIST>', 'which kinds of memory').argParser(parseSources).default([...STALL_SOURCES], STALL_SOURCES.join(',')),
    )
    .option('--tensors <N>', 'tensors in a save', parseCount, 200)
    .option('--runs <N>', 'saves that are persisted, per row', parseCount, 15)
    .option('--calls <N>', 'calls of saveAsync, per row', parseCount, 100)
    .addOption(dirOption())
    .option('--reserve', 'call manager.reserve() before the first save')
    .addOption(engineOption())
    .addOption(outOption())
    .addOption(htmlOption())
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast bench stall', 'in the current directory: half a minute on an ordinary machine'],
          ['holdfast bench stall --sources pinned --sizes 64MiB,4GiB --dir /mnt/nvme', 'is it the same for every size?'],
          ["holdfast bench stall --json | jq '.rows[] | {source, bytes, stallMsMedian, memcpyMs}'", 'for other programs'],
        ],
        NOTES,
      ),
    )
    .action(async (options: StallCommandOptions) => {
      const report = await measure(options, context);
      await deliver(report, options, printReport);
    });

function parseSizes(text: string): number[] {
  return text.split(',').map((item) => {
    const bytes = parseSize(item);
    if (bytes === undefined) throw new InvalidArgumentError('Give sizes such as 64MiB,4GiB.');
    return bytes;
  });
}

function parseSources(text: string): StallSource[] {
  const items = text.split(',').map((item) => item.trim()) as StallSource[];
  if (items.every((item) => STALL_SOURCES.includes(item))) return items;
  throw new InvalidArgumentError(`Give a list of ${STALL_SOURCES.join(', ')}.`);
}

async function measure(given: StallCommandOptions, { signal }: CommandContext): Promise<StallReport> {
  const { benchStall } = await import('../../bench/stall.js');
  const { dir, size, sizes, sources, tensors, runs, calls, engine, reserve } = given;
  const settings: StallSettings = {
    sizes: size === undefined ? sizes : [size],
    ...{ sources, tensors, runs, calls, engine, reserve: reserve === true, directory: dir },
  };
  return withBar(false, (bar) =>
    benchStall(settings, {
      signal,
      onProgress: (bytes, totalBytes, what) => bar?.({ phase: 'write', bytes, totalBytes, checkpoint: what }),
    }),
  );
}

const COLUMNS: readonly Column<StallRow>[] = [
  { title: 'SOURCE', value: ({ source }) => source },
  { title: 'BYTES', value: ({ bytes }) => formatBytes(bytes), align: 'right' },
  { title: 'STALL', value: ({ stallMsMedian }) => formatMs(stallMsMedian), align: 'right' },
  { title: 'P99', value: ({ stallMsP99 }) => formatMs(stallMsP99), align: 'right' },
  { title: 'FIRST', value: ({ firstStallMs }) => formatMs(firstStallMs), align: 'right', dispensable: 4 },
  { title: 'MEMCPY', value: ({ memcpyMs }) => formatMs(memcpyMs), align: 'right' },
  { title: 'STALL/MEMCPY', value: ({ stallToMemcpy }) => stallToMemcpy.toPrecision(2), align: 'right', dispensable: 3 },
  { title: 'PERSIST', value: ({ persistBytesPerSecond }) => formatRate(persistBytesPerSecond), align: 'right' },
  { title: 'MEMORY', value: ({ extraRssBytes }) => formatExtra(extraRssBytes), align: 'right', dispensable: 1 },
  { title: 'LATER', value: ({ laterExtraRssBytes }) => formatExtra(laterExtraRssBytes), align: 'right', dispensable: 5 },
  { title: 'LOOP', value: ({ eventLoopMsMedian }) => formatMs(eventLoopMsMedian), align: 'right', dispensable: 2 },
];

function printReport({ rows, settings, environment, warnings, partial }: StallReport): void {
  const { header, lines } = layOut(COLUMNS, rows, outputWidth());
  print(paint('bold', header));
  for (const line of lines) print(line);
  const { tensors, runs, calls } = settings;
  const { cpu, cores, fileSystem, kernel, node } = environment;
  const ways = [...new Set(rows.map(({ engine, direct }) => `${engine} engine, ${direct ? 'direct I/O' : 'through the page cache'}`))];
  const legend = [
    `${tensors} tensors, ${runs} saves and ${Math.max(calls, runs)} calls a row; ${ways.join('; ')}; ${cpu}, ${cores} cores, ${fileSystem}, ${kernel}, Node.js ${node}.`,
    'STALL: median wait for saveAsync; P99: of all calls; FIRST: of the first save. MEMCPY: one copy of the same tensors into warm memory. PERSIST: from there to the acknowledgement. MEMORY: rise of resident memory over all saves; LATER: over all but the first. LOOP: longest delay of the event loop while persisting, median over the saves.',
  ];
  for (const text of legend) {
    print('');
    for (const line of wrap(text, Math.min(outputWidth(), 100))) print(paint('dim', line));
  }
  printWarnings(partial ? [INTERRUPTED, ...warnings] : warnings);
}

function formatExtra(bytes: number | null): string {
  return bytes === null ? '' : formatBytes(bytes);
}
