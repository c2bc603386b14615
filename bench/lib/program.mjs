// What all benchmarks have in common: a directory of their own, output, and an end without leftovers.
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describeEnvironment } from './environment.mjs';
import { whatIsMissing } from './missing.mjs';
import { readOptions, wholeNumber } from './options.mjs';

const DEFAULT_BASE = 'bench-run';

/** Milliseconds between runs: what the last one has left to the disk (discarding removed files) must not slow the next one down. */
export const REST = wholeNumber(200, 0);

/**
 * Runs a benchmark: `measure(settings, { directory, progress })` gives the result, `print(result)` the words for it. Every one takes
 * --json, --out FILE, --dir DIRECTORY and --help. The directory is a new one, and is removed however the program ends. Where something that it needs
 * is missing, that is one line, and the exit code is 3.
 */
export async function runBenchmark({ name, help, options = {}, flags = [], measure, print }) {
  const settings = readOptions(help, options, flags);
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
  } catch (error) {
    const missing = whatIsMissing(error);
    if (missing === undefined) throw error;
    console.error(`Left out: ${missing}`);
    process.exitCode = 3;
  } finally {
    workspace.remove();
  }
}

/** The first line of a report in words. */
export function describeMachine({ cpu, cores, mount, kernel, node }) {
  return `on ${cpu}, ${cores} cores, ${mount}, ${kernel}, Node.js ${node}`;
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
