/** What is wrong with a directory of checkpoints, and what would mend it. Nothing is changed here. */
import path from 'node:path';
import { type CatalogEntry, isGood } from '../catalog/checkpoint.js';
import { MOVING_LINKS, readLink } from '../catalog/links.js';
import { RecordCache } from '../catalog/record-cache.js';
import { readRegistry } from '../catalog/registry.js';
import { scanDirectory } from '../catalog/scan.js';
import { summarize } from '../catalog/summary.js';
import { type VerifyOptions, verifyTarget } from '../catalog/verify.js';
import type { ErrorCode } from '../errors.js';
import { QUARANTINE_NAME, REGISTRY_NAME, TEMPORARY_PREFIX } from '../format/names.js';
import { exists, listDirectory } from '../storage/local.js';
import { assertNoCheckpoint } from './assert-directory.js';

/** One thing to mend. */
export type RepairAction =
  /** Takes away what a writer that died has left. */
  | { readonly action: 'sweep'; readonly name: string }
  /** Moves a damaged checkpoint to `to`, relative to the directory. */
  | { readonly action: 'quarantine'; readonly name: string; readonly to: string; readonly problems: readonly RepairProblem[] }
  /** Points a link anew, or takes it away (`to` is null). `from`: where it points now. */
  | { readonly action: 'link'; readonly name: string; readonly from: string | null; readonly to: string | null }
  /** Makes registry.json of the manifests. */
  | { readonly action: 'registry'; readonly why: string };

/** What is wrong with a checkpoint. */
export interface RepairProblem {
  readonly code: ErrorCode;
  readonly message: string;
}

/** A checkpoint with problems that stays where it is, and why. */
export interface LeftAlone {
  readonly name: string;
  readonly why: string;
  readonly problems: readonly RepairProblem[];
}

export interface RepairPlan {
  readonly actions: readonly RepairAction[];
  readonly left: readonly LeftAlone[];
}

export interface RepairPlanOptions extends VerifyOptions {
  /** Looks at manifests and sizes only, not at the bytes. */
  readonly quick: boolean;
}

/** Not known to be damage: nobody may look, a newer version wrote it, or the disk did not answer. */
const NOT_TO_BE_MOVED: Readonly<Partial<Record<ErrorCode, string>>> = {
  ERR_PERMISSION: 'it may not be read, so whether it is damaged is not known',
  ERR_UNSUPPORTED_VERSION: 'a newer version of holdfast wrote it',
  ERR_IO: 'the disk failed to read it, which may pass: look at the disk first (dmesg, smartctl)',
};

/** Throws `ERR_INVALID_ARGUMENT` for a checkpoint instead of a directory of them, and `ERR_ABORTED`. */
export async function planRepair(directory: string, options: RepairPlanOptions): Promise<RepairPlan> {
  const registry = await readRegistry(directory);
  const cache = new RecordCache(registry?.records);
  const entries = await scanDirectory(directory, cache);
  await assertNoCheckpoint(directory, entries.length, 'Repair');
  const problems = options.quick ? quickProblems(entries) : await allProblems(directory, entries, options);
  const { moved, left } = await chooseQuarantine(directory, entries, problems);
  const gone = new Set(moved.map(({ name }) => name));
  const staying = entries.filter(({ info }) => !gone.has(info.name));
  const actions: RepairAction[] = [...(await leftovers(directory)), ...moved, ...(await linksToMend(directory, staying, problems))];
  const why = registryProblem(registry !== undefined, await exists(path.join(directory, REGISTRY_NAME)), cache.isChanged, entries.length);
  if (why !== undefined) actions.push({ action: 'registry', why });
  return { actions, left };
}

function quickProblems(entries: readonly CatalogEntry[]): Map<string, RepairProblem[]> {
  return new Map(entries.flatMap(({ info }) => (info.problem === undefined ? [] : [[info.name, [info.problem]] as const])));
}

async function allProblems(
  directory: string,
  entries: readonly CatalogEntry[],
  options: VerifyOptions,
): Promise<Map<string, RepairProblem[]>> {
  const found = new Map<string, RepairProblem[]>();
  if (entries.length === 0) return found;
  const { problems } = await verifyTarget(directory, options);
  for (const { checkpoint, code, message } of problems) {
    if (checkpoint !== null) found.set(checkpoint, [...(found.get(checkpoint) ?? []), { code, message }]);
  }
  return found;
}

async function leftovers(directory: string): Promise<RepairAction[]> {
  const names = (await listDirectory(directory)).map(({ name }) => name).filter((name) => name.startsWith(TEMPORARY_PREFIX));
  return names.sort().map((name) => ({ action: 'sweep', name }));
}

/** Damaged ones go aside, but never the last: a directory without a checkpoint looks like a first run. */
async function chooseQuarantine(
  directory: string,
  entries: readonly CatalogEntry[],
  problems: ReadonlyMap<string, readonly RepairProblem[]>,
): Promise<{ moved: Extract<RepairAction, { action: 'quarantine' }>[]; left: LeftAlone[] }> {
  const left: LeftAlone[] = [];
  const moved: Extract<RepairAction, { action: 'quarantine' }>[] = [];
  const survivors = entries.some(({ info }) => !problems.has(info.name));
  for (const { info } of entries) {
    const found = problems.get(info.name);
    if (found === undefined) continue;
    const why = found.map(({ code }) => NOT_TO_BE_MOVED[code]).find((reason) => reason !== undefined);
    if (why !== undefined) left.push({ name: info.name, why, problems: found });
    else if (!survivors)
      left.push({
        name: info.name,
        why: 'no good checkpoint is left, and an empty directory would look like a first run',
        problems: found,
      });
    else moved.push({ action: 'quarantine', name: info.name, to: await freePlace(directory, info.name), problems: found });
  }
  return { moved, left };
}

async function freePlace(directory: string, name: string): Promise<string> {
  for (let n = 1; ; n++) {
    const place = path.join(QUARANTINE_NAME, n === 1 ? name : `${name}.${n}`);
    if (!(await exists(path.join(directory, place)))) return place;
  }
}

/** `latest` and `best` that point elsewhere than they should, and other links that point at nothing. */
async function linksToMend(
  directory: string,
  staying: readonly CatalogEntry[],
  problems: ReadonlyMap<string, unknown>,
): Promise<RepairAction[]> {
  const { latest, best } = summarize(staying.filter((entry) => isGood(entry) && !problems.has(entry.info.name)));
  const wanted = { latest: latest?.info.name, best: best?.info.name };
  const actions: RepairAction[] = [];
  for (const name of MOVING_LINKS) {
    const from = (await readLink(directory, name)) ?? null;
    const to = wanted[name] ?? null;
    // What is no link is somebody's.
    if (from === to || (from === null && (await exists(path.join(directory, name))))) continue;
    actions.push({ action: 'link', name, from, to });
  }
  const names = new Set(staying.map(({ info }) => info.name));
  for (const entry of await listDirectory(directory)) {
    if (!entry.isSymbolicLink() || entry.name.startsWith('.') || (MOVING_LINKS as readonly string[]).includes(entry.name)) continue;
    const from = (await readLink(directory, entry.name)) ?? '';
    if (path.basename(from) !== from || names.has(from)) continue;
    // The link of a name without fields points at `NAME.<sequence>`: the newest of those takes its place.
    const next = staying.findLast(
      ({ info }) =>
        info.status === 'good' && /^\d+$/.test(info.name.slice(entry.name.length + 1)) && info.name.startsWith(`${entry.name}.`),
    );
    actions.push({ action: 'link', name: entry.name, from, to: next?.info.name ?? null });
  }
  return actions;
}

function registryProblem(readable: boolean, there: boolean, changed: boolean, checkpoints: number): string | undefined {
  if (!readable && there) return 'it is damaged, or of another version';
  if (!readable) return checkpoints > 0 ? 'it is missing' : undefined;
  return changed ? 'it does not say what the manifests say' : undefined;
}
