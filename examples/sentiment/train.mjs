/**
 * The sentiment lesson that Keras users know, with the callbacks that they know: README.md has the Python lines beside these.
 *
 *   node examples/sentiment/train.mjs --help
 */
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { keep } from 'holdfast';
import { BackupAndRestore, EarlyStopping, installRandom, ModelCheckpoint, ReduceLROnPlateau } from 'holdfast/tfjs';
import { useBackend } from '../backend.mjs';
import { runMain } from '../command-line.mjs';
import { readOptions } from './options.mjs';
import { LENGTH, loadReviews } from './reviews.mjs';
import { useQuickSegmentSum } from './segment-sum.mjs';

const SENTENCES = [
  'A touching and very funny film with wonderful performances.',
  'An intelligent, beautifully acted story that you will not forget.',
  'A dull, badly written mess without a single laugh.',
  'Too long, too loud, and a waste of everybody’s time.',
];

function buildModel(vocabulary) {
  const model = tf.sequential({
    layers: [
      tf.layers.embedding({ name: 'words', inputDim: vocabulary, outputDim: 16, inputLength: LENGTH }),
      tf.layers.dropout({ name: 'some_words', rate: 0.3 }),
      tf.layers.lstm({ name: 'reader', units: 16 }),
      tf.layers.dropout({ name: 'some_features', rate: 0.3 }),
      tf.layers.dense({ name: 'verdict', units: 1, activation: 'sigmoid' }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(0.005), loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  return model;
}

const toTensors = ({ rows, labels }) => [tf.tensor2d(rows, [rows.length, LENGTH], 'int32'), tf.tensor2d(labels)];

/** Kills this process behind batch `killAt`, counted from the start of the process. */
function killer(killAt) {
  let batches = 0;
  return {
    onBatchEnd: () => {
      if (++batches === killAt) process.kill(process.pid, 'SIGKILL');
    },
  };
}

const print = (epoch, epochs, logs) => {
  const figures = Object.entries(logs)
    .filter(([name]) => name !== 'lr')
    .map(([name, value]) => `${name} ${value.toPrecision(4)}`);
  console.log(`epoch ${epoch + 1}/${epochs}  ${figures.join('  ')}`);
};

function showVerdicts(model, tokenizer) {
  const rows = SENTENCES.map((sentence) => tokenizer.encode(sentence));
  const verdicts = tf.tidy(() => model.predict(tf.tensor2d(rows, [rows.length, LENGTH], 'int32')).dataSync());
  console.log();
  SENTENCES.forEach((sentence, i) => {
    console.log(`${(100 * verdicts[i]).toFixed(0).padStart(3)} % good: ${sentence}`);
  });
}

await runMain(async (args) => {
  const { dir, epochs, backup, vocabulary, samples, seed, killAt, backend } = readOptions(args);
  await useBackend(tf, backend);
  useQuickSegmentSum(tf);
  const { tokenizer, training, validation } = loadReviews(vocabulary, samples);
  console.log(
    `${training.rows.length} reviews to learn from, ${validation.rows.length} to validate with: by chance half of them are right.`,
  );

  // First of all: weights, dropout and the order of the data draw from it.
  installRandom(seed);
  const model = buildModel(vocabulary);
  const [x, y] = toTensors(training);
  const [valX, valY] = toTensors(validation);
  await model.fit(x, y, {
    ...{ epochs, batchSize: 32, validationData: [valX, valY], verbose: 0 },
    callbacks: [
      new BackupAndRestore(path.join(dir, 'backup'), { model, saveFreq: backup, config: { vocabulary, samples: samples ?? null } }),
      new ModelCheckpoint(path.join(dir, 'best', 'reviews-{epoch:02d}-{val_accuracy:.3f}'), {
        ...{ monitor: 'val_accuracy', saveBestOnly: true, verbose: 1, keep: keep.best(2) },
      }),
      new ReduceLROnPlateau({ monitor: 'val_loss', factor: 0.5, patience: 1, verbose: 1 }),
      new EarlyStopping({ monitor: 'val_loss', patience: 3, restoreBestWeights: true, verbose: 1 }),
      { onEpochEnd: (epoch, logs) => print(epoch, epochs, logs) },
      killer(killAt),
    ],
  });

  const [loss, accuracy] = tf.tidy(() => model.evaluate(valX, valY).map((each) => each.dataSync()[0]));
  console.log(`\nThe best weights are back: val_loss ${loss.toFixed(4)}, val_accuracy ${(100 * accuracy).toFixed(1)} %.`);
  showVerdicts(model, tokenizer);
  tf.dispose([x, y, valX, valY]);
});
