/** `holdfast bench save`, `load`, `verify`, `small`, `size` and `many`: interleaved comparisons. */
import type { PeerName } from '../../bench/field.js';
import type { ComparisonReport, SweepReport } from '../../bench/report.js';
import type { RoundsSettings } from '../../bench/scenarios.js';
import { helpEnd, type RegisterCommand } from '../command.js';
import { addRoundsOptions, deliver, ofShares, type RoundsOptions, withBar } from './bench-options.js';
import { printComparison, printSweep } from './bench-print.js';

interface Scenario {
  readonly name: ComparisonReport['scenario'] | SweepReport['scenario'];
  readonly summary: string;
  readonly description: string;
  /** Of --size. */
  readonly size: string;
  readonly runs: number;
  readonly peers: readonly PeerName[] | 'all';
  readonly examples: readonly (readonly [command: string, purpose: string])[];
}

const ROW =
  '{name, kind: "ours", "peer" or "limit", bytes, secondsMedian, secondsMin, secondsMax, bytesPerSecond, cpuSeconds, maxRssBytes, seconds: [of every run], note}';

const NOTES = [
  'Everything is measured side by side in the same run: every round has one turn of each contender and two of the limit, in an order that changes. The limit against itself gives the noise. fio, tfjs-node, and torch, safetensors and numpy of Python take part where they are installed; what is missing is named, with how to get it.',
  'Nothing is left behind in the directory. Results are kept in $HOLDFAST_STATE, or ~/.local/state/holdfast, for "holdfast bench compare". Ctrl-C ends it: the rounds until then are printed.',
];

const COMPARISON_JSON = `JSON: {scenario, bytes, tensors, runs, noise: {low, high}, rows: [${ROW}], ratios: {name: its median seconds / ours, per byte}, environment, rules, leftOut: [{name, why}], warnings, partial, settings}.`;
const SWEEP_JSON = `JSON: {scenario, points: [{bytes, tensors, runs, noise: {low, high}, rows: [${ROW}], ratios}], environment, rules, leftOut: [{name, why}], warnings, partial, settings}.`;

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'save',
    summary: 'a durable save, against the limit of the disk and against others',
    description:
      'Measures a durable save, from the call to the acknowledgement, against fio with the same bytes and against other libraries.',
    size: 'bytes of all tensors together; by default those of the model, or 1 GiB, or what fits',
    runs: 15,
    peers: 'all',
    examples: [
      ['holdfast bench save', 'in the current directory, against everybody who is installed'],
      ['holdfast bench save --size 4GiB --dir /mnt/nvme --html save.html', 'on that disk, with a page of plots'],
      ['holdfast bench save --model resnet-50 --peers none', 'the tensors of ResNet-50, against the limit alone'],
      ["holdfast bench save --json | jq '.ratios'", 'for other programs'],
    ],
  },
  {
    name: 'load',
    summary: 'reading a checkpoint back, into new and into used memory',
    description:
      'Measures reading a whole checkpoint back from the disk, every checksum compared, against fio and against other libraries.',
    size: 'bytes of all tensors together; by default those of the model, or 1 GiB, or what fits',
    runs: 15,
    peers: 'all',
    examples: [
      ['holdfast bench load', 'in the current directory'],
      ['holdfast bench load --peers safetensors,torch.save --size 2GiB', 'against these two'],
    ],
  },
  {
    name: 'verify',
    summary: 'checking every byte of a checkpoint',
    description: 'Measures what "holdfast verify" costs: every byte is read and its checksum compared; against reading alone.',
    size: 'bytes of all tensors together; by default those of the model, or 1 GiB, or what fits',
    runs: 15,
    peers: [],
    examples: [['holdfast bench verify --size 4GiB', 'how fast damage is found']],
  },
  {
    name: 'small',
    summary: 'small checkpoints, 1 KiB to 16 MiB',
    description: 'Measures durable saves of small checkpoints, where fsyncs cost more than bytes, against one bare file.',
    size: 'the largest of its sizes, which are 1 KiB to 16 MiB',
    runs: 15,
    peers: [],
    examples: [
      ['holdfast bench small', 'in the current directory'],
      ['holdfast bench small --size 1MiB --peers safetensors', 'up to 1 MiB, against safetensors as well'],
    ],
  },
  {
    name: 'many',
    summary: 'the same bytes in 1 to 100,000 tensors',
    description:
      'Measures what the number of tensors costs: a durable save of the same bytes in 1, 100, 1,000, 10,000 and 100,000 tensors.',
    size: 'bytes of all tensors together; by default 100,000 KiB',
    runs: 15,
    peers: ['fs', 'torch.save', 'safetensors'],
    examples: [['holdfast bench many --peers safetensors', 'against safetensors alone']],
  },
  {
    name: 'size',
    summary: 'durable saves of 1 MiB to 8 GiB',
    description: 'Measures durable saves of 1 MiB to 8 GiB, each eight times as large as the one before, as far as there is room.',
    size: 'the largest of its sizes, which are 1, 8, 64 and 512 MiB, 4 and 8 GiB',
    runs: 5,
    peers: 'all',
    examples: [['holdfast bench size --size 512MiB --html size.html', 'up to 512 MiB, with a page of plots']],
  },
];

/** One command per scenario. */
export const ROUNDS_COMMANDS: readonly RegisterCommand[] = SCENARIOS.map(
  (scenario): RegisterCommand =>
    (bench, { signal }) => {
      const { name, summary, description, examples } = scenario;
      const command = bench.command(name).summary(summary).description(description);
      const isSweep = name === 'small' || name === 'many' || name === 'size';
      return addRoundsOptions(command, scenario)
        .addHelpText('after', helpEnd(examples, [...NOTES, isSweep ? SWEEP_JSON : COMPARISON_JSON]))
        .action(async (options: RoundsOptions) => {
          const { benchRounds, benchSweep } = await import('../../bench/scenarios.js');
          const { size, model, runs, dir, engine, peers, python } = options;
          const settings: RoundsSettings = { bytes: size, model, runs, directory: dir, engine, peers, python };
          await withBar(true, async (update) => {
            const shown = { signal, onProgress: ofShares(update) };
            if (isSweep) return benchSweep(name, settings, shown);
            return benchRounds(name, settings, shown);
          }).then((report) => ('points' in report ? deliver(report, options, printSweep) : deliver(report, options, printComparison)));
        });
    },
);
