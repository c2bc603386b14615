/** `holdfast bench`: what saves and loads cost on this machine and this disk. */
import { helpEnd, type RegisterCommands } from '../command.js';
import { registerBenchCompare } from './bench-compare.js';
import { ROUNDS_COMMANDS } from './bench-rounds.js';
import { registerStall } from './bench-stall.js';
import { registerTrain } from './bench-train.js';

/** In the order of the help. */
const COMMANDS = [...ROUNDS_COMMANDS, registerStall, registerTrain, registerBenchCompare];

export const registerBench: RegisterCommands = (program, context) => {
  const bench = program
    .command('bench')
    .summary('measure what saves and loads cost here, against the limit of the disk and against others')
    .description(
      'Measures what saves and loads cost on this machine and this disk, with data of its own, beside the limit of the disk and beside other libraries.',
    )
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast bench save', 'a durable save, against fio and against every peer that is installed'],
          ['holdfast bench load --model gpt2 --dir /mnt/nvme', 'reading a checkpoint of GPT-2 back from that disk'],
          ['holdfast bench stall', 'how long training waits for an asynchronous save'],
        ],
        ['With --json, one document. docs/BENCHMARKING.md has the rules, and how to read the figures.'],
      ),
    );
  return COMMANDS.map((register) => register(bench, context));
};
