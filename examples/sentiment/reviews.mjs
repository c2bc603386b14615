/** Snippets of movie reviews, rated by people as good or bad, as padded rows of word numbers. */
import { readFileSync } from 'node:fs';

/** Rows are cut or filled up to so many words. */
export const LENGTH = 16;
/** Numbers that are no words: filling, and any word that is not among the commonest. */
const PADDING = 0;
const UNKNOWN = 1;
const FIRST_WORD = 2;

/** @returns {{ text: string, label: 0 | 1 }[]} 1 is good; in an order that tells nothing */
export function readReviews() {
  const [, ...lines] = readFileSync(new URL('reviews.tsv', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => {
    const [, rating, text] = line.split('\t');
    return { text, label: Number(rating) > 0 ? 1 : 0 };
  });
}

const wordsOf = (text) => text.toLowerCase().match(/[a-z]+(?:'[a-z]+)?/g) ?? [];

/** Numbers words by how common they are. */
export class Tokenizer {
  /** Learns the `size` − 2 commonest words of `texts`. */
  constructor(texts, size) {
    const counts = new Map();
    for (const word of texts.flatMap(wordsOf)) counts.set(word, (counts.get(word) ?? 0) + 1);
    // Equally common ones by the alphabet, so that the numbers do not depend on the order of the texts.
    const common = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, size - FIRST_WORD);
    this.size = size;
    this.numbers = new Map(common.map(([word], i) => [word, FIRST_WORD + i]));
  }

  /** A row of LENGTH numbers, filled up in front: what an LSTM has read last it remembers best. */
  encode(text) {
    const numbers = wordsOf(text)
      .slice(0, LENGTH)
      .map((word) => this.numbers.get(word) ?? UNKNOWN);
    return [...Array(LENGTH - numbers.length).fill(PADDING), ...numbers];
  }
}

/** Every fifth review is kept for validation. */
const VALIDATE_EVERY = 5;

/** Rows and labels for training and validation, and the tokenizer that made them. At most `samples` reviews. */
export function loadReviews(vocabulary, samples = Number.POSITIVE_INFINITY) {
  const reviews = readReviews().slice(0, samples);
  const training = reviews.filter((_, i) => i % VALIDATE_EVERY !== 0);
  const validation = reviews.filter((_, i) => i % VALIDATE_EVERY === 0);
  const tokenizer = new Tokenizer(
    training.map(({ text }) => text),
    vocabulary,
  );
  const encode = (set) => ({ rows: set.map(({ text }) => tokenizer.encode(text)), labels: set.map(({ label }) => [label]) });
  return { tokenizer, training: encode(training), validation: encode(validation) };
}
