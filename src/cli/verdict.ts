/** What a verification found, in words. */
import type { ErrorCode } from '../errors.js';
import type { Problem, VerifyReport } from '../index.js';
import { loadNative } from '../native.js';
import { formatBytes, formatInteger, formatRate, formatSeconds, plural } from '../terminal/format.js';
import { escapeText, withoutName, wrap } from '../terminal/text.js';
import { outputWidth, paint, print } from './output.js';

/** More than these are counted; --json has them all. */
const MAX_PROBLEMS = 20;
const MAX_TENSORS = 8;

/** Prints the verdict on `target`. */
export function printVerdict(report: VerifyReport, target: string, engine: string): void {
  if (report.ok) print(praise(report, target, engine));
  else printDamage(report, engine);
}

function printDamage(report: VerifyReport, engine: string): void {
  const { problems, checked } = report;
  const damaged = countDamaged(report);
  const unreadable = problems.every(({ code }) => code === 'ERR_PERMISSION');
  const where = report.checksummed ? ` in ${formatInteger(damaged)} of ${plural(checked.checkpoints, 'checkpoint')}` : '';
  const verdict = unreadable ? paint('yellow', 'NOT READABLE') : paint('red', 'DAMAGED');
  print(`${verdict}  ${plural(problems.length, 'problem')}${where}.`);
  for (const problem of problems.slice(0, MAX_PROBLEMS)) printProblem(problem);
  const more = problems.length - MAX_PROBLEMS;
  if (more > 0) print(`\n… and ${plural(more, 'more problem')}: --json lists them all.`);
  print(`\n${paint('bold', 'What to do')}`);
  for (const advice of adviceFor(report)) {
    wrap(advice, lineWidth() - 2).forEach((line, i) => {
      print(i === 0 ? `- ${line}` : `  ${line}`);
    });
  }
  print(`\nRead ${readSummary(report, engine)}.`);
}

function countDamaged({ problems }: VerifyReport): number {
  return new Set(problems.map(({ checkpoint }) => checkpoint)).size;
}

function praise(report: VerifyReport, target: string, engine: string): string {
  const { checked, checksummed } = report;
  const good = paint('green', 'OK');
  const shown = escapeText(target);
  if (!checksummed) {
    return `${good}  ${shown} is well formed: ${plural(checked.tensors, 'tensor')}, ${formatBytes(checked.bytes)}. A bare file has no checksums, so its bytes were not checked.`;
  }
  if (checked.checkpoints === 0) return `There are no checkpoints in ${shown}: nothing was verified.`;
  const what = checked.checkpoints === 1 ? 'The checkpoint is' : `All ${formatInteger(checked.checkpoints)} checkpoints are`;
  return `${good}  ${what} as saved: ${readSummary(report, engine)}.`;
}

function readSummary({ checked, seconds, bytesPerSecond, checksummed }: VerifyReport, engine: string): string {
  const amount = `${plural(checked.files, 'file')}, ${plural(checked.tensors, 'tensor')}, ${formatBytes(checked.bytes)} in ${formatSeconds(seconds)}`;
  // A rate over a few kilobytes says nothing, and a bare file is not read to its end.
  if (!checksummed || checked.bytes < 64 * 1024 * 1024) return amount;
  const used = engine === 'portable' || loadNative().addon === undefined ? 'portable' : 'native';
  return `${amount} (${formatRate(bytesPerSecond)}, ${used} engine)`;
}

function printProblem({ code, checkpoint, file, offset, bytes, tensors, expected, actual, message }: Problem): void {
  const place = [checkpoint, file].filter((part) => part !== null).map((part) => escapeText(part));
  print('');
  print(`${paint('bold', place.join(' / '))}  ${paint('red', code)}`);
  if (code !== 'ERR_CHECKSUM') {
    for (const line of wrap(escapeText(withoutName(message, checkpoint)), lineWidth() - 2)) print(`  ${line}`);
    return;
  }
  const names = tensors.slice(0, MAX_TENSORS).map((name) => (name === '' ? '""' : escapeText(name)));
  const more = tensors.length > MAX_TENSORS ? ` and ${formatInteger(tensors.length - MAX_TENSORS)} more` : '';
  const hit = tensors.length === 0 ? 'none' : `${names.join(', ')}${more}`;
  const lines = wrap(hit, lineWidth() - 11);
  lines.forEach((line, i) => {
    print(i === 0 ? `  tensors  ${paint('red', line)}` : `           ${paint('red', line)}`);
  });
  if (offset !== null && bytes !== null)
    print(`  bytes    ${formatInteger(offset)} to ${formatInteger(offset + bytes)} (${formatBytes(bytes)})`);
  print(`  crc32c   ${escapeText(String(actual))}, saved as ${escapeText(String(expected))}`);
}

function lineWidth(): number {
  return Math.min(outputWidth(), 100);
}

/** One piece of advice per kind of problem, and what holds for all damage. */
function adviceFor(report: VerifyReport): string[] {
  const { problems, checksummed, checked } = report;
  const codes = new Set<ErrorCode>(problems.map(({ code }) => code));
  const advice: string[] = [];
  const takes = (code: ErrorCode) => codes.delete(code);
  if (takes('ERR_PERMISSION')) advice.push('Run this as a user who may read the files, or give read permission.');
  if (takes('ERR_UNSUPPORTED_VERSION')) advice.push('Update holdfast: a newer version wrote this checkpoint.');
  if (codes.size === 0) return advice;
  if (codes.has('ERR_CHECKSUM')) advice.push('In files with ERR_CHECKSUM, the bytes of all tensors that are not named are as saved.');
  if (codes.has('ERR_CHECKSUM') || codes.has('ERR_IO')) {
    advice.push('Look at the disk (dmesg, smartctl) before you write to it again: bytes do not change by themselves.');
  }
  if (checksummed) {
    advice.push(
      countDamaged(report) < checked.checkpoints
        ? 'Training can go on: restore("latest") passes over damaged checkpoints to the newest good one and says so.'
        : 'restore("latest") goes back to the newest good checkpoint. Where none is left it throws rather than start anew.',
    );
    advice.push('If there is a copy elsewhere, copy the checkpoint again and verify it. holdfast never deletes a damaged one by itself.');
  } else {
    advice.push('Download or copy the file again: it was cut short, altered, or is no safetensors file.');
  }
  return advice;
}
