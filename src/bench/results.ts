/** Where results are kept: `compare` reads them, and the advice on intervals takes the newest. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { toHoldfastError } from '../engine/system-error.js';
import type { Report } from './report.js';

/** The directory: `bench` in HOLDFAST_STATE, or in `holdfast` of XDG_STATE_HOME or ~/.local/state. */
export function resultsDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const { HOLDFAST_STATE: own, XDG_STATE_HOME: state } = env;
  // A relative XDG_STATE_HOME is to be ignored (XDG Base Directory Specification).
  const base = state !== undefined && path.isAbsolute(state) ? state : path.join(homedir(), '.local', 'state');
  return path.join(own !== undefined && own !== '' ? path.resolve(own) : path.join(base, 'holdfast'), 'bench');
}

/** Keeps `report` under its scenario and date; gives the path. Throws what the file system says, such as `ERR_PERMISSION`. */
export async function keepResult(report: Report, directory = resultsDirectory()): Promise<string> {
  const date = report.environment.date.replace(/[:.]/g, '-');
  const file = path.join(directory, `${report.scenario}-${date}.json`);
  try {
    await makeDirectories(directory);
    await writeFile(file, toText(report));
  } catch (error) {
    throw toHoldfastError(error, `keep the result in ${file}`, { path: file });
  }
  return file;
}

/** Writes `report` where the user wants it. Throws what the file system says. */
export async function writeResult(report: Report, file: string): Promise<void> {
  try {
    await writeFile(file, toText(report));
  } catch (error) {
    throw toHoldfastError(error, `write ${file}`, { path: file });
  }
}

/** The newest whole result of `scenario` that was kept; `undefined` where there is none that can be read. */
export async function newestResult(scenario: Report['scenario'], directory = resultsDirectory()): Promise<Report | undefined> {
  const names = await readdir(directory).catch(() => []);
  // Dates of the same form sort as texts do.
  for (const name of names
    .filter((entry) => new RegExp(`^${scenario}-\\d{4}-.*\\.json$`).test(entry))
    .sort()
    .reverse()) {
    try {
      const report = JSON.parse(await readFile(path.join(directory, name), 'utf8')) as Report;
      if (report.scenario === scenario && !report.partial) return report;
    } catch {
      // An older one, then.
    }
  }
  return undefined;
}

/** Not mkdir with `recursive`: below /proc, where a missing parent cannot be made, Node.js 20 tries for ever. */
async function makeDirectories(directory: string): Promise<void> {
  try {
    await mkdir(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    const parent = path.dirname(directory);
    if (code !== 'ENOENT' || parent === directory) throw error;
    await makeDirectories(parent);
    await mkdir(directory);
  }
}

function toText(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}
