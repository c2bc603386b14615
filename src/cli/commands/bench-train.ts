/** `holdfast bench train`: how much slower training is while a checkpoint is written. */
import { helpEnd, type RegisterCommand } from '../command.js';
import { addMeasureOptions, deliver, ofShares, type RoundsOptions, withBar } from './bench-options.js';
import { printTrain } from './bench-print.js';

const NOTES = [
  'Training is real steps of a small network on the cpu backend of TensorFlow.js, or, where @tensorflow/tfjs is not installed, a multiplication of matrices in JavaScript. Beside it: saveAsync, saveAsync with priority "low", and buffered writing, which is what one writes oneself: fs/promises, tensor by tensor, then fsync.',
  'JSON: {scenario: "train", bytes, tensors, runs, loop, aloneStepsPerSecond, noise: {low, high}, rows: [{name, kind, speedMedian, speedMin, speedMax: of the speed alone, secondsMedian, secondsMin, secondsMax: until it is durable, lostSecondsMedian, lostSecondsMin, lostSecondsMax, cpuSeconds, speeds, seconds}], environment, rules, leftOut, warnings, partial, settings}.',
];

export const registerTrain: RegisterCommand = (bench, { signal }) => {
  const command = bench
    .command('train')
    .summary('how much slower training is while a checkpoint is written')
    .description('Measures how much slower a training loop is while a checkpoint is written behind it, against the same loop alone.');
  return addMeasureOptions(command, {
    size: 'bytes of all tensors together; by default those of the model, or 1 GiB, or what fits',
    runs: 15,
  })
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast bench train', 'a save of 1 GiB beside a small network'],
          ['holdfast bench train --model gpt2 --runs 7', 'a save of GPT-2 with its optimizer'],
        ],
        NOTES,
      ),
    )
    .action(async (options: RoundsOptions) => {
      const { benchTrain } = await import('../../bench/train/train.js');
      const { size, model, runs, dir, engine } = options;
      const settings = { bytes: size, model, runs, directory: dir, engine };
      const report = await withBar(true, (update) => benchTrain(settings, { signal, onProgress: ofShares(update) }));
      await deliver(report, options, printTrain);
    });
};
