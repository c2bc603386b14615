/** Batches of handwritten digits. */
import * as tf from '@tensorflow/tfjs';
import { loadDigits, PIXELS, SIDE } from '../quickstart/digits.mjs';

/** @returns the digits for training, at most `samples` of them, and those for validation */
export function loadData(samples) {
  const { train, test } = loadDigits();
  // They come sorted by label: taken at equal distances, every label is there.
  const take = (digits, count) => Array.from({ length: count }, (_, i) => digits[Math.floor((i * digits.length) / count)]);
  const count = Math.min(samples ?? train.length, train.length);
  return { trainSet: take(train, count), validationSet: take(test, Math.ceil((test.length * count) / train.length)) };
}

/** Batches for training: in random order, each digit moved by up to one pixel. */
export function* shuffledBatches(digits, batchSize, random) {
  const order = random.permutation(digits.length);
  for (let at = 0; at < order.length; at += batchSize) {
    const batch = order.slice(at, at + batchSize).map((i) => digits[i]);
    yield toTensors(batch, (pixels) => shifted(pixels, random.below(3) - 1, random.below(3) - 1));
  }
}

/** Batches for validation: in order, as they are. */
export function* plainBatches(digits, batchSize) {
  for (let at = 0; at < digits.length; at += batchSize) yield toTensors(digits.slice(at, at + batchSize), (pixels) => pixels);
}

function toTensors(digits, transform) {
  const pixels = new Float32Array(digits.length * PIXELS);
  digits.forEach((digit, i) => {
    pixels.set(transform(digit.pixels), i * PIXELS);
  });
  const labels = tf.tidy(() =>
    tf.oneHot(
      digits.map(({ label }) => label),
      10,
    ),
  );
  return { images: tf.tensor2d(pixels, [digits.length, PIXELS]), labels };
}

function shifted(pixels, dx, dy) {
  const moved = new Float32Array(PIXELS);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const [fromX, fromY] = [x - dx, y - dy];
      if (fromX >= 0 && fromX < SIDE && fromY >= 0 && fromY < SIDE) moved[y * SIDE + x] = pixels[fromY * SIDE + fromX];
    }
  }
  return moved;
}
