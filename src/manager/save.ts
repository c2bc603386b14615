/** One save: from a checked request to a durable checkpoint, its links and what retention removes. */
import path from 'node:path';
import type { CatalogEntry, GoodEntry } from '../catalog/checkpoint.js';
import { pointLink } from '../catalog/links.js';
import type { Persisted } from '../catalog/persist.js';
import { type Publication, publishCheckpoint } from '../catalog/publish.js';
import { writeRegistry } from '../catalog/registry.js';
import { removeCheckpoint } from '../catalog/remove.js';
import { summarize, toPolicyEntry } from '../catalog/summary.js';
import type { SmallFile } from '../catalog/write-files.js';
import type { Engine, EngineName } from '../engine/contract.js';
import type { ProgressListener } from '../engine/progress.js';
import { throwIfAborted } from '../engine/system-error.js';
import { layOutTensors, type TensorFilePlan, type TensorLayout } from '../format/layout.js';
import type { Manifest } from '../format/manifest.js';
import { defaultCheckpointName, STATE_NAME, TEMPORARY_PREFIX } from '../format/names.js';
import { encodeState } from '../format/state.js';
import { decideRetention } from '../policy/retention.js';
import { persistInWorker } from '../saver/persist.js';
import { Snapshot } from '../snapshot/snapshot.js';
import { removeTree, temporaryName } from '../storage/local.js';
import { SOFTWARE } from '../version.js';
import type { WriterCore } from './core.js';
import type { Settings } from './options.js';
import { type CheckedRequest, checkAttachments } from './save-request.js';

/** What a save took, in seconds. */
export interface SaveSeconds {
  /** How long the call blocked: until `saveAsync` resolved, or `save`. */
  readonly stall: number;
  /** Of that, what the event loop was blocked for: checks, layout and the snapshot itself. */
  readonly snapshot: number;
  /** From the snapshot until earlier saves were done. */
  readonly queue: number;
  /** Writing everything under a temporary name, durably; `write`, `sync` and `verify` are inside. */
  readonly persist: number;
  /** Moving the bytes of the tensors, and fsync, each summed over the files, of which some are written at a time. */
  readonly write: number;
  readonly sync: number;
  /** Reading back, with `verifyWrites`. */
  readonly verify: number;
  /** From there to the acknowledgement: checks, rename, fsync of the directory. */
  readonly commit: number;
  /** From the call to the acknowledgement. */
  readonly total: number;
}

/** A durable checkpoint. */
export interface SaveResult {
  readonly name: string;
  readonly path: string;
  readonly sequence: number;
  readonly bytes: number;
  readonly engine: EngineName;
  /** Bytes per second from the beginning of the writing to the acknowledgement. */
  readonly bytesPerSecond: number;
  /** Whether every tensor file went past the page cache; if not, `directReason` says why. */
  readonly direct: boolean;
  readonly directReason: string;
  readonly seconds: SaveSeconds;
  /** Names of checkpoints that retention removed. */
  readonly removed: readonly string[];
  /** What went wrong after the checkpoint was durable: a link, the registry, retention. */
  readonly warnings: readonly string[];
}

/** A save whose memory has been captured: it can be committed whenever its turn comes. */
export interface PreparedSave {
  readonly request: CheckedRequest;
  readonly files: readonly TensorFilePlan[];
  readonly smallFiles: readonly SmallFile[];
  readonly snapshot: Snapshot;
  /** Of all files but the manifest. */
  readonly bytes: number;
  /** `performance.now()` when the save was called, and when everything was captured. */
  readonly started: number;
  readonly captured: number;
}

/** What all saves of one manager have in common. */
export interface SaveContext {
  readonly core: WriterCore;
  readonly engine: Engine;
  readonly settings: Settings;
}

/**
 * Lays the tensors out and captures them, synchronously: what the caller changes after this call does
 * not reach the checkpoint.
 */
export function prepareSave(request: CheckedRequest, started: number, { core, engine, settings }: SaveContext): PreparedSave {
  const { model, optimizerSources } = request;
  const layouts: TensorLayout[] = [layOutTensors('model', model, settings.maxShardBytes)];
  if (optimizerSources !== undefined) layouts.push(layOutTensors('optimizer', optimizerSources, settings.maxShardBytes));
  const files = layouts.flatMap((layout) => layout.files);
  const smallFiles = encodeSmallFiles(request, layouts, files);
  const snapshot = Snapshot.take(
    { model, optimizer: optimizerSources ?? [] },
    { engine, arenas: core.arenasOf(engine), budget: settings.memoryBudgetBytes, verifyPinned: settings.verifyPinned },
  );
  const tensorBytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const bytes = smallFiles.reduce((sum, small) => sum + small.bytes.length, tensorBytes);
  return { request, files, smallFiles, snapshot, bytes, started, captured: performance.now() };
}

function encodeSmallFiles(request: CheckedRequest, layouts: readonly TensorLayout[], files: readonly TensorFilePlan[]): SmallFile[] {
  const small: SmallFile[] = layouts.flatMap(({ indexes }) =>
    indexes.map(({ name, content }) => ({ name, role: 'index', bytes: Buffer.from(content, 'utf8') }) as const),
  );
  const { attachments = [], state, extensions = {} } = request;
  small.push(...checkAttachments(typeof attachments === 'function' ? attachments(files) : attachments));
  if (state !== undefined || Object.keys(extensions).length > 0) {
    small.push({ name: STATE_NAME, role: 'state', bytes: encodeState({ user: state, extensions }) });
  }
  return small;
}

/** What of a run its caller wants to know while it goes on, and what only he knows. */
export interface RunOptions {
  readonly signal: AbortSignal;
  readonly onProgress: ProgressListener;
  /** Milliseconds that the call blocked; asked for when the save is done. */
  readonly stallMs: () => number;
}

/** Commits a prepared save, when its turn has come. */
export async function runSave(
  prepared: PreparedSave,
  context: SaveContext,
  { signal, onProgress, stallMs }: RunOptions,
): Promise<SaveResult> {
  const { core, engine, settings } = context;
  const { request, files, smallFiles, snapshot } = prepared;
  const { directory } = core;
  const began = performance.now();
  const temporary = temporaryName(TEMPORARY_PREFIX);
  let persisted: Persisted;
  let persistedAt: number;
  let name: string;
  let sequence: number;
  try {
    const record = describe(request, core, await core.scan(), engine, settings);
    ({ sequence } = record);
    persisted = await persistInWorker({
      ...settings,
      directory,
      temporary,
      files,
      smallFiles,
      snapshot,
      record,
      engine,
      signal,
      onProgress,
    });
    persistedAt = performance.now();
    name = await publish(request, snapshot, { directory, temporary, sequence }, context, signal);
  } finally {
    snapshot.release();
  }
  const acknowledged = performance.now();
  onProgress({ phase: 'done', bytes: prepared.bytes, totalBytes: prepared.bytes });
  const { removed, warnings } = await settle(core, settings);
  const { direct, directReason, seconds } = persisted;
  const persist = (persistedAt - began) / 1000;
  const commit = (acknowledged - persistedAt) / 1000;
  return {
    name,
    path: path.join(directory, name),
    sequence,
    bytes: prepared.bytes,
    bytesPerSecond: prepared.bytes / (persist + commit),
    engine: engine.name,
    direct,
    directReason,
    seconds: {
      stall: stallMs() / 1000,
      snapshot: (prepared.captured - prepared.started) / 1000,
      queue: (began - prepared.captured) / 1000,
      persist,
      ...seconds,
      commit,
      total: (acknowledged - prepared.started) / 1000,
    },
    removed,
    warnings: [...warnings, ...askForWarnings(request)],
  };
}

/** Gives what was persisted its name, or removes it. */
async function publish(
  { step, epoch, metrics }: CheckedRequest,
  snapshot: Snapshot,
  what: Omit<Publication, 'name'>,
  { core, engine }: SaveContext,
  signal: AbortSignal,
): Promise<string> {
  try {
    throwIfAborted(signal, 'The save');
    snapshot.assertIntact();
    const name = defaultCheckpointName({ step, epoch, loss: metrics['val_loss'] ?? metrics['loss'] });
    return await publishCheckpoint({ ...what, name }, engine, core.lock);
  } catch (error) {
    await removeTree(path.join(what.directory, what.temporary)).catch(() => {});
    throw error;
  }
}

/** The checkpoint is durable: a caller's function that throws cannot make it fail. */
function askForWarnings({ warnings }: CheckedRequest): readonly string[] {
  try {
    return warnings?.() ?? [];
  } catch (error) {
    return [`Could not ask the caller for warnings: ${(error as Error).message}`];
  }
}

function describe(
  { step, epoch, metrics, contents, software = {} }: CheckedRequest,
  core: WriterCore,
  entries: readonly CatalogEntry[],
  engine: Engine,
  settings: Settings,
): Omit<Manifest, 'files' | 'createdAt'> {
  return {
    runId: core.runId,
    sequence: core.takeSequence(entries),
    contents,
    step,
    ...(epoch === undefined ? {} : { epoch }),
    metrics,
    ...(settings.monitor === undefined ? {} : { monitor: settings.monitor }),
    software: { ...SOFTWARE, engine: engine.name, ...software },
  };
}

/**
 * Steps 11 and 12: registry, links, retention. The checkpoint is durable already, so nothing that
 * fails here makes the save fail.
 */
async function settle(core: WriterCore, settings: Settings): Promise<{ removed: string[]; warnings: string[] }> {
  const warnings: string[] = [];
  const removed: string[] = [];
  const attempt = async (what: string, work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      warnings.push(`Could not ${what}: ${(error as Error).message}`);
    }
  };
  const { directory } = core;
  await attempt('update the directory after the save', async () => {
    const entries = await core.scan();
    const { good, latest, best } = summarize(entries, settings.monitor);
    if (latest !== undefined) await attempt('update the link "latest"', () => pointLink(directory, 'latest', latest.info.name));
    if (best !== undefined) await attempt('update the link "best"', () => pointLink(directory, 'best', best.info.name));
    const policyEntries = good.map(toPolicyEntry);
    const bestEntry = policyEntries.find(({ name }) => name === best?.info.name);
    const byName = new Map(good.map((entry) => [entry.info.name, entry]));
    await attempt('decide which checkpoints may go', async () => {
      for (const { name } of decideRetention(policyEntries, settings.keep, bestEntry).removed) {
        await attempt(`remove ${name}`, async () => {
          await removeCheckpoint(directory, byName.get(name) as GoodEntry);
          removed.push(name);
        });
      }
    });
    const left = entries.filter(({ info }) => !removed.includes(info.name));
    const registry = { runId: core.runId, highestSequence: core.highestSequence };
    await attempt('write registry.json', () => writeRegistry(directory, registry, left));
  });
  return { removed, warnings };
}
