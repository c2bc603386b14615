/** What the scenarios of `holdfast bench` have in common: options, the progress bar, and where a result goes. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { PeerName } from '../../bench/field.js';
import type { Report } from '../../bench/report.js';
import type { EngineName, Progress } from '../../index.js';
import { parseSize } from '../../terminal/sizes.js';
import { escapeText } from '../../terminal/text.js';
import type { CommonOptions } from '../command.js';
import { paint, print, printJson } from '../output.js';

/** Most tensors, runs and calls that are taken for meant. */
const MOST = 1_000_000;

/** As they are written in the help; field.ts, which is loaded only when it is wanted, has the same. */
const PEER_NAMES: readonly PeerName[] = ['fs', 'tfjs-node', 'torch.save', 'torch-dcp', 'torch-dcp-async', 'safetensors'];

export interface OutputOptions {
  readonly out?: string;
  readonly html?: string;
}

/** Of the scenarios that compare. */
export interface RoundsOptions extends CommonOptions, OutputOptions {
  readonly size?: number;
  readonly runs: number;
  readonly dir: string;
  readonly engine: EngineName | 'auto';
  readonly model?: string;
  readonly peers: readonly PeerName[];
  readonly python: string;
}

/** A whole number for an option. */
export function parseCount(text: string): number {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MOST) return count;
  throw new InvalidArgumentError(`Give a whole number from 1 to ${MOST}.`);
}

/** A size for an option, in bytes. */
export function parseOneSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== undefined && bytes >= 4) return bytes;
  throw new InvalidArgumentError('Give a size such as 64MiB or 4GiB.');
}

function parsePeers(text: string): PeerName[] {
  if (text === 'all') return [...PEER_NAMES];
  if (text === 'none') return [];
  const items = text.split(',').map((item) => item.trim()) as PeerName[];
  if (items.every((item) => PEER_NAMES.includes(item))) return [...new Set(items)];
  throw new InvalidArgumentError(`Give all, none, or a list of ${PEER_NAMES.join(', ')}.`);
}

/** `--dir DIR`. */
export function dirOption(): Option {
  return new Option('--dir <DIR>', 'an existing directory on the disk in question').default('.');
}

/** `--engine NAME`. */
export function engineOption(): Option {
  return new Option('--engine <NAME>', 'how holdfast works: native (direct I/O), portable, or auto: native where it loads')
    .choices(['auto', 'native', 'portable'])
    .default('auto');
}

/** `--out FILE`. */
export function outOption(): Option {
  return new Option('--out <FILE>', 'write the result as JSON into a file as well');
}

/** `--html FILE`. */
export function htmlOption(): Option {
  return new Option('--html <FILE>', 'write a page with plots, for a browser');
}

/** Adds the options of a scenario that compares. */
export function addRoundsOptions(
  command: Command,
  { size, runs, peers }: { size: string; runs: number; peers: readonly PeerName[] | 'all' },
): Command {
  const defaultPeers = peers === 'all' ? PEER_NAMES : peers;
  return addMeasureOptions(command, { size, runs })
    .addOption(
      new Option('--peers <LIST>', `whom to compare with: all, none, or a list of ${PEER_NAMES.join(', ')}`)
        .argParser(parsePeers)
        .default([...defaultPeers], peers === 'all' ? 'all' : defaultPeers.join(',') || 'none'),
    )
    .option('--python <PATH>', 'the interpreter of the peers from Python', 'python3');
}

/** Adds what every scenario but `stall` has. */
export function addMeasureOptions(command: Command, { size, runs }: { size: string; runs: number }): Command {
  return command
    .addOption(new Option('--size <SIZE>', size).argParser(parseOneSize))
    .option('--runs <N>', 'rounds that are measured', parseCount, runs)
    .addOption(dirOption())
    .option('--model <NAME>', 'tensors of a well-known model with its optimizer, such as resnet-50, gpt2 or llama3-8b-shard')
    .addOption(engineOption())
    .addOption(outOption())
    .addOption(htmlOption());
}

/** Calls `work` with what draws a progress bar, where there is a terminal. `shareOnly`: it is told shares, not bytes. */
export async function withBar<T>(shareOnly: boolean, work: (update: ((progress: Progress) => void) | undefined) => Promise<T>): Promise<T> {
  if (!process.stderr.isTTY) return work(undefined);
  const { ProgressBar } = await import('../../terminal/progress-bar.js');
  const bar = new ProgressBar({ stream: process.stderr, shareOnly });
  try {
    return await work(bar.update);
  } finally {
    bar.finish();
  }
}

/** `onProgress` of a scenario that tells shares. */
export function ofShares(update: ((progress: Progress) => void) | undefined): (share: number, what: string) => void {
  const parts = 10_000;
  return (share, what) => update?.({ phase: 'write', bytes: Math.round(share * parts), totalBytes: parts, checkpoint: what });
}

/**
 * Keeps the result, prints it, and writes the files that were asked for: in this order, so that what was measured is seen whatever becomes
 * of the files. Throws what the file system says of `--out` and `--html`.
 */
export async function deliver<R extends Report>(
  report: R,
  { json, out, html }: CommonOptions & OutputOptions,
  printReport: (report: R) => void,
): Promise<void> {
  const { keepResult, writeResult } = await import('../../bench/results.js');
  let kept: string | undefined;
  let shown = report;
  try {
    kept = await keepResult(report);
  } catch (error) {
    shown = { ...report, warnings: [...report.warnings, `The result is not kept for later: ${(error as Error).message}`] };
  }
  if (json) printJson(shown);
  else printReport(shown);
  if (!json && kept !== undefined) print(paint('dim', `\nKept in ${escapeText(kept)}`));
  if (out !== undefined) await writeResult(report, out);
  if (html !== undefined) await (await import('../../bench/page/write-page.js')).writePage(report, html);
}
