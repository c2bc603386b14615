// What all benchmarks have in common: options, a directory of their own, output, and an end without leftovers.
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { describeEnvironment } from './environment.mjs';

const DEFAULT_BASE = 'bench-run';

/** An option that must be a whole number of at least `least`. */
export function wholeNumber(value, least = 1) {
  return { value, parse: (text) => (/^\d{1,15}$/.test(text) && Number(text) >= least ? Number(text) : undefined) };
}

/** An option that must be a number greater than 0. */
export function positiveNumber(value) {
  return { value, parse: (text) => (Number(text) > 0 && Number.isFinite(Number(text)) ? Number(text) : undefined) };
}

/** An option that must be one of `choices`; the first is the default. */
export function choice(choices) {
  return { value: choices[0], parse: (text) => (choices.includes(text) ? text : undefined) };
}

/** An option that must be a list of whole numbers of at least 1, such as 1,2,4. */
export function wholeNumbers(value) {
  return { value, parse: (text) => (/^[1-9]\d*(,[1-9]\d*)*$/.test(text) ? text.split(',').map(Number) : undefined) };
}

/**
 * Runs a benchmark: `measure(settings, { directory, progress })` gives the result, `print(result)` the words for it. Every one takes
 * --json, --out FILE, --dir DIRECTORY and --help. The directory is a new one, and is removed however the program ends.
 */
export async function runBenchmark({ name, help, options = {}, flags = [], measure, print }) {
  const settings = readSettings(help, options, flags);
  if (settings === undefined) return;
  const { json, out, dir, ...rest } = settings;
  const workspace = makeWorkspace(dir, name);
  const progress = (text) => {
    if (!json || process.stderr.isTTY) process.stderr.write(`${text}\n`);
  };
  try {
    const { settings: more = {}, ...measured } = await measure(rest, { directory: workspace.directory, progress });
    const environment = describeEnvironment(workspace.directory);
    const result = { benchmark: name, environment, settings: { ...rest, ...more }, ...measured };
    const text = JSON.stringify(result, null, 2);
    if (out !== undefined) writeFileSync(out, `${text}\n`);
    process.stdout.write(`${json ? text : print(result)}\n`);
  } finally {
    workspace.remove();
  }
}

/** The first line of a report in words. */
export function describeMachine({ cpu, cores, mount, kernel, node }) {
  return `on ${cpu}, ${cores} cores, ${mount}, ${kernel}, Node.js ${node}`;
}

function readSettings(help, options, flags) {
  const strings = Object.entries(options).map(([key, { value }]) => [key, { type: 'string', default: String(value) }]);
  const booleans = ['json', ...flags].map((key) => [key, { type: 'boolean', default: false }]);
  const common = { dir: { type: 'string' }, out: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } };
  try {
    const { values } = parseArgs({ options: { ...Object.fromEntries([...strings, ...booleans]), ...common } });
    const { help: asked, ...settings } = values;
    if (asked) {
      console.log(help);
      return undefined;
    }
    for (const [key, { parse }] of Object.entries(options)) {
      const parsed = parse(settings[key]);
      if (parsed === undefined) throw new Error(`--${key} cannot be ${JSON.stringify(settings[key])}.`);
      settings[key] = parsed;
    }
    return settings;
  } catch (error) {
    console.error(`${error.message} --help shows what there is.`);
    process.exit(2);
  }
}

function makeWorkspace(dir, name) {
  const base = path.resolve(dir ?? DEFAULT_BASE);
  mkdirSync(base, { recursive: true });
  const directory = mkdtempSync(path.join(base, `${name}-`));
  const remove = () => {
    rmSync(directory, { recursive: true, force: true });
    if (dir !== undefined) return;
    try {
      rmdirSync(base);
    } catch {
      // Another benchmark runs beside this one.
    }
  };
  process.on('exit', remove);
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ]) {
    process.on(signal, () => process.exit(code));
  }
  return { directory, remove };
}
