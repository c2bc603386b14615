// What is trained: a language model on characters, a mixture of experts of which every step trains one, so that a step is short and the state large.
import { readFileSync } from 'node:fs';
import { seededRandom } from '../../dist/bench/seeded.js';

const CONTEXT = 8;
const EMBEDDING = 16;
const HIDDEN = 256;
const BATCH = 8;
const LEARNING_RATE = 0.002;
const BETAS = [0.9, 0.999];
const EPSILON = 1e-7;
const TEXT = new URL('../../examples/gpt/opticks.txt', import.meta.url);

/** As many experts as make a state of about `bytes`: weights and two slots of Adam each. */
export function expertsFor(bytes) {
  const parameters = HIDDEN * (CONTEXT * EMBEDDING + readText().size);
  return Math.max(1, Math.round(bytes / (3 * 4 * parameters)));
}

function readText() {
  const text = readFileSync(TEXT, 'utf8');
  const characters = [...new Set(text)].sort();
  const numberOf = new Map(characters.map((character, i) => [character, i]));
  return { tokens: Int32Array.from(text, (character) => numberOf.get(character)), size: characters.length };
}

/**
 * An expert reads a piece of the text of its own (routing that is given, as with hash layers: Roller et al., NeurIPS 2021). Which one a step trains and
 * with which windows follows from the number of the step alone: what is saved is the step and the variables, and a run that goes on from them makes the same
 * steps as one that never stopped. Adam (Kingma and Ba, 2015) is written out, because that of TensorFlow.js takes one list of variables at all steps.
 */
export class Job {
  /** @param {boolean} isNew draws the weights; else all is zero, to be restored */
  constructor(tf, { experts, seed, isNew }) {
    Object.assign(this, { tf, experts, seed });
    const { tokens, size } = readText();
    this.tokens = tokens;
    const random = seededRandom(seed);
    const draw = (shape) => {
      const length = shape.reduce((product, each) => product * each);
      if (!isNew) return tf.zeros(shape);
      const scale = Math.sqrt(6 / (shape[0] + shape[1]));
      return tf.tensor(
        Float32Array.from({ length }, () => scale * (2 * random() - 1)),
        shape,
      );
    };
    const matrices = (name, shapes) =>
      Object.entries(shapes).map(([part, shape]) => {
        const of = (slot, value) => tf.variable(value, true, `${name}/${part}${slot}`);
        return { value: of('', draw(shape)), m: of('/m', tf.zeros(shape)), v: of('/v', tf.zeros(shape)) };
      });
    this.shared = matrices('shared', { embedding: [size, EMBEDDING] });
    const shapes = { up: [CONTEXT * EMBEDDING, HIDDEN], down: [HIDDEN, size] };
    this.all = Array.from({ length: experts }, (_, i) => matrices(`expert${i}`, shapes));
    const everything = [this.shared, ...this.all].flat().flatMap(({ value, m, v }) => [value, m, v]);
    /** Everything that is saved, by name. */
    this.variables = Object.fromEntries(everything.map((variable) => [variable.name, variable]));
  }

  /** Does step `number`, from 1; gives the loss. */
  step(number) {
    const { tf, experts } = this;
    const random = seededRandom(this.seed + 7919 * number);
    const expert = Math.floor(random() * experts);
    const piece = Math.floor((this.tokens.length - CONTEXT - 1) / experts);
    const starts = Array.from({ length: BATCH }, () => expert * piece + Math.floor(random() * piece));
    const trained = [...this.shared, ...this.all[expert]];
    return tf.tidy(() => {
      const inputs = starts.flatMap((start) => [...this.tokens.subarray(start, start + CONTEXT)]);
      const targets = starts.map((start) => this.tokens[start + CONTEXT]);
      const values = trained.map(({ value }) => value);
      const { value, grads } = tf.variableGrads(() => this.loss(values, inputs, targets), values);
      // How often the expert has been trained follows from the step, but for chance: the correction of Adam's first steps need not be exact.
      const age = Math.ceil(number / experts);
      const rate = (LEARNING_RATE * Math.sqrt(1 - BETAS[1] ** age)) / (1 - BETAS[0] ** age);
      for (const parameter of trained) this.update(parameter, grads[parameter.value.name], rate);
      return value.dataSync()[0];
    });
  }

  loss([embedding, up, down], inputs, targets) {
    const { tf } = this;
    const size = embedding.shape[0];
    const read = tf.gather(embedding, tf.tensor1d(inputs, 'int32')).reshape([BATCH, CONTEXT * EMBEDDING]);
    const hidden = read.matMul(up).relu();
    return tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d(targets, 'int32'), size), hidden.matMul(down));
  }

  update({ value, m, v }, gradient, rate) {
    m.assign(m.mul(BETAS[0]).add(gradient.mul(1 - BETAS[0])));
    v.assign(v.mul(BETAS[1]).add(gradient.square().mul(1 - BETAS[1])));
    value.assign(value.sub(m.mul(rate).div(v.sqrt().add(EPSILON))));
  }
}
