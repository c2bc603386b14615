/** What is wrong with a directory of checkpoints, and what would mend it. Nothing is changed here. */
import path from 'node:path';
import { type CatalogEntry, type CheckpointInfo, isGood } from '../catalog/checkpoint.js';
import { MOVING_LINKS, readLink } from '../catalog/links.js';
import { RecordCache } from '../catalog/record-cache.js';
import { readRegistry } from '../catalog/registry.js';
import { scanDirectory } from '../catalog/scan.js';
import { summarize } from '../catalog/summary.js';
import { type VerifyOptions, verifyTarget } from '../catalog/verify.js';
import type { Progress } from '../engine/progress.js';
import { isDamage, throwIfAborted } from '../engine/system-error.js';
import { DAMAGE_CODES, type ErrorCode, HoldfastError } from '../errors.js';
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

/** Why one with another problem stays where it is. */
const NOT_KNOWN = 'it could not be looked at, so whether it is damaged is not known';
const WHY_IT_STAYS: Readonly<Partial<Record<ErrorCode, string>>> = {
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
  const problems = options.quick ? quickProblems(entries) : await allProblems(entries, options);
  const { moved, left } = await chooseQuarantine(directory, entries, problems);
  const gone = new Set(moved.map(({ name }) => name));
  const staying = entries.filter(({ info }) => !gone.has(info.name));
  const actions: RepairAction[] = [...(await leftovers(directory)), ...moved, ...(await linksToMend(directory, staying, gone, problems))];
  const why = registryProblem(registry !== undefined, await exists(path.join(directory, REGISTRY_NAME)), cache.isChanged, entries.length);
  if (why !== undefined) actions.push({ action: 'registry', why });
  return { actions, left };
}

function quickProblems(entries: readonly CatalogEntry[]): Map<string, RepairProblem[]> {
  return new Map(entries.flatMap(({ info }) => (info.problem === undefined ? [] : [[info.name, [info.problem]] as const])));
}

async function allProblems(entries: readonly CatalogEntry[], options: VerifyOptions): Promise<Map<string, RepairProblem[]>> {
  const found = new Map<string, RepairProblem[]>();
  const totalBytes = entries.reduce((sum, { info }) => sum + (info.bytes ?? 0), 0);
  let before = 0;
  for (const { info } of entries) {
    throwIfAborted(options.signal, 'The repair');
    const done = before;
    const onProgress = (progress: Progress) => options.onProgress?.({ ...progress, bytes: done + progress.bytes, totalBytes });
    const problems = await problemsOf(info, { ...options, onProgress: options.onProgress && onProgress });
    if (problems.length > 0) found.set(info.name, problems);
    before += info.bytes ?? 0;
  }
  return found;
}

/** Each by itself: what else lies in the directory, and what of it may not be read, is nothing to this one. */
async function problemsOf({ path: checkpoint, problem, sequence }: CheckpointInfo, options: VerifyOptions): Promise<RepairProblem[]> {
  const known = problem === undefined ? [] : [problem];
  // Of a manifest that cannot be read nothing follows.
  if (sequence === null) return known;
  try {
    const { problems } = await verifyTarget(checkpoint, options);
    return problems.length === 0 ? known : problems.map(({ code, message }) => ({ code, message }));
  } catch (error) {
    if (!(error instanceof HoldfastError) || !isDamage(error)) throw error;
    // Without a lock (a dry run) it may have gone meanwhile.
    return (await exists(checkpoint)) ? [{ code: error.code, message: error.message }] : known;
  }
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
    const doubt = found.find(({ code }) => !DAMAGE_CODES.has(code));
    if (doubt !== undefined) left.push({ name: info.name, why: WHY_IT_STAYS[doubt.code] ?? NOT_KNOWN, problems: found });
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

type LinkAction = Extract<RepairAction, { action: 'link' }>;

/** `latest` and `best` that point elsewhere than they should, and other links that point at nothing. */
async function linksToMend(
  directory: string,
  staying: readonly CatalogEntry[],
  gone: ReadonlySet<string>,
  problems: ReadonlyMap<string, unknown>,
): Promise<LinkAction[]> {
  const good = staying.filter((entry) => isGood(entry) && !problems.has(entry.info.name));
  const moving = await movingLinksToMend(directory, good, gone);
  const away = new Set(gone);
  for (const { name, to } of moving) if (to === null) away.add(name);
  return [...moving, ...(await danglingLinks(directory, good, away))];
}

async function movingLinksToMend(directory: string, good: readonly CatalogEntry[], gone: ReadonlySet<string>): Promise<LinkAction[]> {
  const { latest, best } = summarize(good);
  const wanted = { latest: latest?.info.name, best: best?.info.name };
  const actions: LinkAction[] = [];
  for (const name of MOVING_LINKS) {
    const from = (await readLink(directory, name)) ?? null;
    const to = wanted[name] ?? null;
    // What is no link is somebody's.
    if (from === to || (from === null && (await exists(path.join(directory, name))))) continue;
    // Nothing is known to be better than where it points.
    if (to === null && from !== null && !gone.has(from) && (await exists(path.resolve(directory, from)))) continue;
    actions.push({ action: 'link', name, from, to });
  }
  return actions;
}

/** Links beside the checkpoints that point at nothing, or will when what is in `away` is; of several in a row all. */
async function danglingLinks(directory: string, good: readonly CatalogEntry[], away: Set<string>): Promise<LinkAction[]> {
  const links = new Map<string, string>();
  for (const { name } of (await listDirectory(directory)).filter((entry) => entry.isSymbolicLink())) {
    const from = name.startsWith('.') || (MOVING_LINKS as readonly string[]).includes(name) ? undefined : await readLink(directory, name);
    if (from !== undefined && path.basename(from) === from) links.set(name, from);
  }
  const actions: LinkAction[] = [];
  for (let known = -1; known < actions.length; ) {
    known = actions.length;
    for (const [name, from] of links) {
      if (!away.has(from) && (await exists(path.join(directory, from)))) continue;
      const to = successorOf(name, from, good) ?? null;
      actions.push({ action: 'link', name, from, to });
      links.delete(name);
      if (to === null) away.add(name);
    }
  }
  return actions;
}

/** The link of a name without fields points at `NAME.<sequence>`: the newest of those takes the place of one that has gone. */
function successorOf(link: string, from: string, good: readonly CatalogEntry[]): string | undefined {
  const isNumbered = (name: string) => name.startsWith(`${link}.`) && /^\d+$/.test(name.slice(link.length + 1));
  return isNumbered(from) ? good.findLast(({ info }) => isNumbered(info.name))?.info.name : undefined;
}

function registryProblem(readable: boolean, there: boolean, changed: boolean, checkpoints: number): string | undefined {
  if (readable) return changed ? 'it does not say what the manifests say' : undefined;
  // Where there is no checkpoint, what has its name may be somebody else's.
  if (checkpoints === 0) return undefined;
  return there ? 'it is damaged, or of another version' : 'it is missing';
}
