/** Text as numbers, character by character, and the order in which training goes through it. */
import { readFileSync } from 'node:fs';
import { Random } from '../quickstart/random.mjs';

/** Of every ten pieces of the text, the last is kept for validation. */
const PARTS = 10;

/** A text with its characters numbered. */
export class Corpus {
  /** Throws for a text that has not enough characters for `context`. */
  constructor(text, context) {
    this.characters = [...new Set(text)].sort();
    this.context = context;
    const numberOf = new Map(this.characters.map((character, i) => [character, i]));
    const tokens = Int32Array.from(text, (character) => numberOf.get(character));
    const cut = Math.floor((tokens.length * (PARTS - 1)) / PARTS);
    this.train = tokens.subarray(0, cut);
    this.validation = tokens.subarray(cut);
  }

  static read(context) {
    return new Corpus(readFileSync(new URL('opticks.txt', import.meta.url), 'utf8'), context);
  }

  get size() {
    return this.characters.length;
  }

  encode(text) {
    return Array.from(text, (character) => this.characters.indexOf(character));
  }

  decode(tokens) {
    return tokens.map((token) => this.characters[token]).join('');
  }

  /** `context` characters from each of `starts` on, and for each of them the one that follows. */
  windows(tokens, starts) {
    const take = (shift) => starts.map((start) => Array.from(tokens.subarray(start + shift, start + shift + this.context)));
    return { inputs: take(0), targets: take(1) };
  }
}

/**
 * Where training is in the data: each epoch goes once through all windows of the text, in an order that follows from seed and epoch. Its position
 * is two numbers.
 */
export class WindowCursor {
  constructor({ length, context, batch, seed }) {
    this.settings = { length, context, batch, seed };
    this.move({ epoch: 0, batch: 0 });
  }

  /** Goes on from a position: `epoch` epochs are done, and `batch` batches of the next. */
  move({ epoch, batch }) {
    const { length, context, seed } = this.settings;
    const random = new Random(seed + epoch);
    // Every epoch cuts the text elsewhere.
    const offset = random.below(context);
    this.order = random.permutation(Math.floor((length - 1 - offset) / context)).map((window) => offset + window * context);
    this.position = { epoch, batch };
  }

  get batchesPerEpoch() {
    return Math.floor((this.settings.length - 1 - this.settings.context) / this.settings.context / this.settings.batch);
  }

  /** Where the windows of the next batch begin. */
  next() {
    const { epoch, batch } = this.position;
    if (batch === this.batchesPerEpoch) {
      this.move({ epoch: epoch + 1, batch: 0 });
      return this.next();
    }
    const { batch: size } = this.settings;
    this.position = { epoch, batch: batch + 1 };
    return this.order.slice(batch * size, (batch + 1) * size);
  }
}
