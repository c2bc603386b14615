/** A small GPT of core operations and tf.Variables: blocks of causal self-attention and a GELU network, each behind a layer norm. */
import * as tf from '@tensorflow/tfjs';

/** What is not looked at, in place of minus infinity. */
const MASKED = -1e9;

export class Gpt {
  /** Draws the first weights from Math.random. */
  constructor({ vocabulary, layers, heads, width, context, dropout }) {
    this.shape = { layers, heads, width, context, dropout };
    /** All weights by name, in the order in which they are made: what is saved. */
    this.variables = {};
    this.add('token_embedding', [vocabulary, width]);
    this.add('position_embedding', [context, width]);
    for (let layer = 0; layer < layers; layer++) this.addBlock(`block_${layer}`, width, layers);
    this.addNorm('last_norm', width);
    this.mask = tf.keep(
      tf.tidy(() =>
        tf.linalg
          .bandPart(tf.ones([context, context]), -1, 0)
          .sub(1)
          .mul(-MASKED),
      ),
    );
  }

  add(name, shape, { mean = 0, deviation = 0.1 } = {}) {
    const first = tf.tidy(() => (deviation === 0 ? tf.fill(shape, mean) : tf.randomNormal(shape, mean, deviation)));
    this.variables[name] = tf.variable(first, true, name);
    first.dispose();
  }

  addNorm(name, width) {
    this.add(`${name}/scale`, [width], { mean: 1, deviation: 0 });
    this.add(`${name}/shift`, [width], { deviation: 0 });
  }

  addBlock(name, width, layers) {
    // What is added to the stream grows with the number of layers: smaller weights make up for it.
    const deviation = 0.1 / Math.sqrt(2 * layers);
    this.addNorm(`${name}/attention_norm`, width);
    this.add(`${name}/attention/qkv`, [width, 3 * width]);
    this.add(`${name}/attention/out`, [width, width], { deviation });
    this.addNorm(`${name}/mlp_norm`, width);
    this.add(`${name}/mlp/in`, [width, 4 * width]);
    this.add(`${name}/mlp/in_bias`, [4 * width], { deviation: 0 });
    this.add(`${name}/mlp/out`, [4 * width, width], { deviation });
    this.add(`${name}/mlp/out_bias`, [width], { deviation: 0 });
  }

  get parameters() {
    return Object.values(this.variables).reduce((sum, { size }) => sum + size, 0);
  }

  /** The logits of what follows each token: [batch · length, vocabulary] for tokens of [batch, length]. Call it within a tf.tidy. */
  logits(tokens, { training = false } = {}) {
    const { token_embedding: embedding, position_embedding: positions } = this.variables;
    const { layers, width } = this.shape;
    const [batch, length] = [tokens.length, tokens[0].length];
    // Picking rows as a product with one-hot rows: its gradient is a product, too.
    const oneHot = tf.oneHot(tf.tensor1d(tokens.flat(), 'int32'), embedding.shape[0]).toFloat();
    const rows = tf.matMul(oneHot, embedding).reshape([batch, length, width]);
    let x = this.drop(rows.add(positions.slice([0, 0], [length, width])), training).reshape([batch * length, width]);
    for (let layer = 0; layer < layers; layer++) x = this.block(`block_${layer}`, x, [batch, length], training);
    // The embedding is the head as well.
    return tf.matMul(this.norm('last_norm', x), embedding, false, true);
  }

  block(name, x, size, training) {
    const attended = x.add(this.drop(this.attention(`${name}/attention`, this.norm(`${name}/attention_norm`, x), size), training));
    return attended.add(this.drop(this.mlp(`${name}/mlp`, this.norm(`${name}/mlp_norm`, attended)), training));
  }

  attention(name, x, [batch, length]) {
    const { heads, width } = this.shape;
    const split = tf.matMul(x, this.variables[`${name}/qkv`]).reshape([batch, length, 3, heads, width / heads]);
    const [queries, keys, values] = split.transpose([2, 0, 3, 1, 4]).unstack();
    const scores = tf.matMul(queries, keys, false, true).div(Math.sqrt(width / heads));
    const weights = tf.softmax(scores.add(this.mask.slice([0, 0], [length, length])));
    const mixed = tf
      .matMul(weights, values)
      .transpose([0, 2, 1, 3])
      .reshape([batch * length, width]);
    return tf.matMul(mixed, this.variables[`${name}/out`]);
  }

  mlp(name, x) {
    const inner = tf.matMul(x, this.variables[`${name}/in`]).add(this.variables[`${name}/in_bias`]);
    const gelu = inner.mul(0.5).mul(tf.erf(inner.mul(Math.SQRT1_2)).add(1));
    return tf.matMul(gelu, this.variables[`${name}/out`]).add(this.variables[`${name}/out_bias`]);
  }

  norm(name, x) {
    const { mean, variance } = tf.moments(x, -1, true);
    return x.sub(mean).mul(variance.add(1e-5).rsqrt()).mul(this.variables[`${name}/scale`]).add(this.variables[`${name}/shift`]);
  }

  /** Its mask comes from Math.random. */
  drop(x, training) {
    return training && this.shape.dropout > 0 ? tf.dropout(x, this.shape.dropout) : x;
  }

  /** Mean cross entropy, a scalar. Call it within a tf.tidy. */
  loss({ inputs, targets }, options) {
    const logits = this.logits(inputs, options);
    return tf.losses.softmaxCrossEntropy(tf.oneHot(tf.tensor1d(targets.flat(), 'int32'), logits.shape[1]), logits);
  }

  /** Goes on from `tokens` with `count` more, one after another, drawn with `random()`. The lower the temperature, the more often the likeliest. */
  sample(tokens, count, random, temperature = 0.8) {
    const all = [...tokens];
    for (let i = 0; i < count; i++) {
      const given = all.slice(-this.shape.context);
      const probabilities = tf.tidy(() => {
        const logits = this.logits([given]);
        return tf.softmax(logits.slice([given.length - 1, 0], [1, -1]).div(temperature)).dataSync();
      });
      let rest = random();
      const drawn = probabilities.findIndex((share) => {
        rest -= share;
        return rest < 0;
      });
      all.push(drawn < 0 ? probabilities.length - 1 : drawn);
    }
    return all;
  }
}
