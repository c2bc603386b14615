/** `holdfast doctor`: what this machine and this disk can do. */
import { formatRate } from '../../terminal/format.js';
import { escapeText, wrap } from '../../terminal/text.js';
import { type CommonOptions, helpEnd, type RegisterCommand } from '../command.js';
import type { Diagnosis } from '../doctor.js';
import { outputWidth, paint, print, printJson } from '../output.js';

const NOTES = [
  'A directory is tried with a file of one block that is gone again at once. Warnings do not change the exit code.',
  'JSON: {node, platform, engine: "native" or "portable", addon: its path or null, fileSystem, directIo: {supported, alignment: bytes or null}, ioUring: {available, reason, used, why}, crc32c: {implementation, bytesPerSecond: one core, data in cache}, warnings: [text]}.',
];

export const registerDoctor: RegisterCommand = (program) =>
  program
    .command('doctor')
    .summary('say what this machine and a disk can do, and what is amiss')
    .description('Examines the installation, the processor and the file system of a directory, and says what stands in the way.')
    .argument('[DIR]', 'a directory on the disk in question', '.')
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast doctor', 'the current directory'],
          ['holdfast doctor /mnt/nvme/checkpoints', 'where you mean to save'],
          ['holdfast doctor --json', 'to paste into a bug report'],
        ],
        NOTES,
      ),
    )
    .action(async (directory: string, { json }: CommonOptions) => {
      const { diagnose } = await import('../doctor.js');
      const diagnosis = await diagnose(directory);
      if (json) printJson(diagnosis);
      else printDiagnosis(diagnosis, directory);
    });

function printDiagnosis(diagnosis: Diagnosis, directory: string): void {
  const { node, platform, engine, addon, fileSystem, directIo, ioUring, crc32c, warnings } = diagnosis;
  const lines: [string, string][] = [
    ['Node.js', `${node} on ${platform}`],
    ['engine', addon === null ? engine : `${engine} (${escapeText(addon)})`],
    ['directory', `${escapeText(directory)} on ${fileSystem}`],
    ['direct I/O', directIo.supported ? `yes, aligned to ${directIo.alignment} bytes` : 'no'],
    ['io_uring', ioUring.available ? `available, ${ioUring.used ? '' : 'not '}used: ${escapeText(ioUring.why)}` : `no: ${ioUring.reason}`],
    ['CRC32C', `${crc32c.implementation}, ${formatRate(crc32c.bytesPerSecond)} per core`],
  ];
  for (const [key, value] of lines) print(`${paint('dim', key.padEnd(10))}  ${value}`);
  print('');
  if (warnings.length === 0) print(paint('green', 'Nothing to complain about.'));
  for (const warning of warnings) {
    const [first = '', ...rest] = wrap(escapeText(warning), Math.min(outputWidth(), 100) - 2);
    print(`${paint('yellow', '!')} ${first}`);
    for (const line of rest) print(`  ${line}`);
  }
}
