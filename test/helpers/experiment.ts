import { appendFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { type Experiment, type ExperimentOptions, openExperiment } from '../../src/experiment/experiment.js';

/** An experiment that the end of the test closes. */
export async function openTestExperiment(root: string, name: string, options: ExperimentOptions = {}): Promise<Experiment> {
  const experiment = await openExperiment(name, { root, ...options });
  onTestFinished(() => experiment.close().catch(() => {}));
  return experiment;
}

export function logFileOf(directory: string): string {
  return path.join(directory, 'logs', 'training.jsonl');
}

/** The lines of the log as they stand in the file; each must be JSON. */
export function logLines(directory: string): Record<string, unknown>[] {
  const text = readFileSync(logFileOf(directory), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** Adds text to the log as a process would that dies before the end of its line. */
export function tear(directory: string, text: string): void {
  appendFileSync(logFileOf(directory), text);
}

/** The warnings of this library that the process gets until the test ends. */
export function collectWarnings(): Error[] {
  const warnings: Error[] = [];
  const listen = (warning: Error) => {
    if (warning.name === 'HoldfastWarning') warnings.push(warning);
  };
  process.on('warning', listen);
  onTestFinished(() => void process.off('warning', listen));
  return warnings;
}
