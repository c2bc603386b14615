/** What the command lines of the examples have in common: options are read strictly, and wrong ones end the program with 2 and a sentence. */
import { parseArgs } from 'node:util';
import { isHoldfastError } from 'holdfast';

/** Wrong input: the program says so and exits with 2. */
export class UsageError extends Error {}

/** What the library says of a directory or checkpoint that was named wrongly. */
const WRONG_PLACE = new Set(['ERR_NOT_FOUND', 'ERR_NOT_A_DIRECTORY', 'ERR_MISSING_MANIFEST', 'ERR_MODEL_MISMATCH']);

/**
 * The values of `options` (as `parseArgs` of node:util takes them; texts and switches). Ends the process for --help.
 * Throws UsageError for what is not there, and for arguments without a name.
 */
export function parseOptions(args, help, options) {
  let values;
  try {
    ({ values } = parseArgs({ args, options: { ...options, help: { type: 'boolean', default: false } } }));
  } catch (error) {
    throw new UsageError(`${error.message}\nTry --help.`);
  }
  if (values.help) {
    console.log(help);
    process.exit(0);
  }
  for (const [name, value] of Object.entries(values)) {
    if (value === '') throw new UsageError(`--${name} needs a value.`);
  }
  return values;
}

/** The whole number that an option was given as a text; `undefined` stays. */
export function wholeNumber(name, text, { min = 1, max = Number.MAX_SAFE_INTEGER } = {}) {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return number;
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new UsageError(`${name} must be a whole number ${range}, not ${JSON.stringify(text)}.`);
}

/** Runs the program. Wrong input and what the library refuses are told in a sentence; anything else is a fault of the program, and thrown. */
export async function runMain(main) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError) && !isHoldfastError(error)) throw error;
    console.error(error.message);
    process.exitCode = error instanceof UsageError || WRONG_PLACE.has(error.code) ? 2 : 1;
  }
}
