// Options of a benchmark: what they may be, --help, and a line for what is wrong with them.
import { parseArgs } from 'node:util';
import { parseSize } from '../../dist/terminal/sizes.js';

/** An option that must be a whole number of at least `least`. */
export function wholeNumber(value, least = 1) {
  return { value, parse: (text) => (/^\d{1,15}$/.test(text) && Number(text) >= least ? Number(text) : undefined) };
}

/** An option that must be a number greater than 0. */
export function positiveNumber(value) {
  return { value, parse: (text) => (Number(text) > 0 && Number.isFinite(Number(text)) ? Number(text) : undefined) };
}

/** An option that must be a size such as 64MiB, of a whole number of `unit` bytes. */
export function sizeOf(value, unit) {
  return {
    value,
    parse: (text) => {
      const bytes = parseSize(text);
      return bytes !== undefined && bytes > 0 && bytes % unit === 0 ? bytes : undefined;
    },
  };
}

/** An option that must be one of `choices`; the first is the default. */
export function choice(choices) {
  return { value: choices[0], parse: (text) => (choices.includes(text) ? text : undefined) };
}

/** An option that must be a list of whole numbers of at least 1, such as 1,2,4. */
export function wholeNumbers(value) {
  return { value, parse: (text) => (/^[1-9]\d*(,[1-9]\d*)*$/.test(text) ? text.split(',').map(Number) : undefined) };
}

/** An option that names a file; empty by default. */
export function fileName() {
  return { value: '', parse: (text) => text };
}

/**
 * The options of the command line, with --json, --out, --dir and `flags` among them; `undefined` after --help, which prints `help`. What is wrong
 * with them is one line on stderr and ends the process with 2.
 */
export function readOptions(help, options, flags) {
  const strings = Object.entries(options).map(([key, { value }]) => [key, { type: 'string', default: String(value) }]);
  const booleans = ['json', ...flags].map((key) => [key, { type: 'boolean', default: false }]);
  const common = { dir: { type: 'string' }, out: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } };
  const { help: asked, ...settings } = parse({ ...Object.fromEntries([...strings, ...booleans]), ...common });
  if (asked) {
    console.log(help);
    return undefined;
  }
  for (const [key, { parse: read }] of Object.entries(options)) {
    const value = read(settings[key]);
    if (value === undefined) refuse(`--${key} cannot be ${JSON.stringify(settings[key])}`);
    settings[key] = value;
  }
  return settings;
}

function parse(options) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    // Its first sentence has the option's name; the others are advice for other cases.
    return refuse(error.message.split(/\.\s|\n/)[0].replace(/\.$/, ''));
  }
}

/** One line on stderr, and the end of the process with 2. */
export function refuse(why) {
  console.error(`${why}. --help shows what there is.`);
  process.exit(2);
}
