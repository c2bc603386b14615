/** Directories of checkpoints with something wrong, and what is asked of them once they are mended. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { openSealed, sealJson } from '../../src/format/sealed.js';
import { keep, type OpenOptions, repairDirectory, type SaveRequest, verifyPath } from '../../src/index.js';
import { hidden } from '../helpers/leftovers.js';
import { find, saveAll } from './checkpoints.js';
import { holdfastJson } from './command.js';

/** What `repair --json` gives. */
export interface Report {
  readonly directory: string;
  readonly dryRun: boolean;
  readonly verified: boolean;
  readonly lockBroken: boolean;
  readonly locked: string | null;
  readonly actions: Record<string, unknown>[];
  readonly left: {
    readonly name: string;
    readonly why: string;
    readonly problems: { readonly code: string; readonly message: string }[];
  }[];
  readonly warnings: string[];
}

/** A directory of which nothing is removed, and the paths of its checkpoints by their steps. */
export interface Saved {
  readonly directory: string;
  readonly at: (step: number) => string;
  readonly name: (step: number) => string;
}

/** Four checkpoints, of the steps 1000 to 4000; the second is the best, the fourth the latest. */
export async function fourCheckpoints(options: OpenOptions = {}): Promise<Saved> {
  const requests: Partial<SaveRequest>[] = [3, 1, 2, 4].map((loss) => ({ metrics: { loss } }));
  const directory = await saveAll(requests, { keep: keep.all(), ...options });
  const names = readdirSync(directory).filter((name) => name.startsWith('checkpoint_'));
  const at = (step: number) => find(directory, names, step);
  return { directory, at, name: (step) => path.basename(at(step)) };
}

export async function repair(directory: string, ...args: string[]): Promise<{ code: number | null; report: Report }> {
  const { code, document } = await holdfastJson(['repair', directory, ...args]);
  return { code, report: document as Report };
}

/** Nothing is left to mend, every byte is right, and nothing hidden is left but what was set aside. */
export async function expectClean(directory: string): Promise<void> {
  expect(await repairDirectory(directory, { dryRun: true })).toMatchObject({ actions: [], left: [], locked: null, warnings: [] });
  expect((await verifyPath(directory)).problems).toEqual([]);
  expect(hidden(directory).filter((name) => name !== '.quarantine')).toEqual([]);
}

/** Changes a sealed document, and seals it again. */
export function reseal(file: string, change: (document: Record<string, unknown>) => Record<string, unknown>): void {
  const opened = openSealed(readFileSync(file));
  if (!opened.ok) throw new Error(opened.reason);
  writeFileSync(file, sealJson(change(JSON.parse(opened.text) as Record<string, unknown>)));
}
