/** One save: from a checked request to a durable checkpoint, its links and what retention removes. */
import path from 'node:path';
import type { SmallFile } from '../catalog/write-files.js';
import type { Engine, EngineName } from '../engine/contract.js';
import type { ProgressListener } from '../engine/progress.js';
import { type LaidOutFile, layOutTensors, type TensorFilePlan, type TensorLayout, type TensorRole } from '../format/layout.js';
import type { LayoutCache } from '../format/layout-cache.js';
import type { Manifest } from '../format/manifest.js';
import { defaultCheckpointName, STATE_NAME, TEMPORARY_PREFIX } from '../format/names.js';
import { encodeState, RUN_STATE_KEYS } from '../format/state.js';
import { decideRetention, decideRoom, type RetentionView } from '../policy/retention.js';
import type { Outlook, Written } from '../saver/job.js';
import { type RetentionAnswer, writeInWorker } from '../saver/write-in-worker.js';
import { type FileSources, Snapshot } from '../snapshot/snapshot.js';
import type { Sources } from '../snapshot/source.js';
import { temporaryName } from '../storage/local.js';
import { now } from '../system.js';
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
  /**
   * Writing everything under a temporary name, durably; `write`, `sync` and `verify` are inside. A `save` that has nothing ahead of it writes the
   * first copies while it makes the last ones: `snapshot` and `persist` then overlap.
   */
  readonly persist: number;
  /** Moving the bytes of the tensors, and fsync, each summed over the files, of which some are written at a time. */
  readonly write: number;
  readonly sync: number;
  /** Reading back, with `verifyWrites`. */
  readonly verify: number;
  /** From the training thread's word to the durable checkpoint: lock, rename, fsync of the directory. */
  readonly commit: number;
  /** From the call to the acknowledgement; what is not in the others is time until the threads had a turn. */
  readonly total: number;
}

/** A durable checkpoint. */
export interface SaveResult {
  readonly name: string;
  readonly path: string;
  readonly sequence: number;
  readonly bytes: number;
  readonly engine: EngineName;
  /** Bytes per second from the beginning of the writing to the durable checkpoint; 0 where it is not known. */
  readonly bytesPerSecond: number;
  /** Whether every tensor file went past the page cache; if not, `directReason` says why. */
  readonly direct: boolean;
  readonly directReason: string;
  readonly seconds: SaveSeconds;
  /**
   * Names of checkpoints that retention removed: nobody finds them any more, but their files may still be on the disk. The next save, `flush` and
   * `close` wait until they are not.
   */
  readonly removed: readonly string[];
  /** What went wrong after the checkpoint was durable: a link, the registry, retention. */
  readonly warnings: readonly string[];
}

/** A save whose memory has been captured: it can be committed whenever its turn comes. */
export interface PreparedSave {
  readonly request: CheckedRequest;
  /** Of the checkpoint, or of the link to it. */
  readonly name: string;
  readonly files: readonly LaidOutFile[];
  readonly smallFiles: readonly SmallFile[];
  readonly snapshot: Snapshot;
  /** Of all files but the manifest. */
  readonly bytes: number;
  /** `performance.now()` when the save was called. */
  readonly started: number;
}

/** What all saves of one manager have in common. */
export interface SaveContext {
  readonly core: WriterCore;
  readonly engine: Engine;
  readonly settings: Settings;
  readonly layouts: LayoutCache;
}

/**
 * Lays the tensors out and captures them, synchronously: what the caller changes after this call does
 * not reach the checkpoint. But for the copies, which the snapshot still has to be told to make.
 */
export function prepareSave(request: CheckedRequest, started: number, context: SaveContext): PreparedSave {
  const { core, engine, settings } = context;
  const { model, optimizerSources } = request;
  const name = nameOf(request, settings);
  const layouts = layOut(request, context);
  const files = layouts.flatMap((layout) => layout.files);
  const smallFiles = encodeSmallFiles(request, layouts, files);
  const sourcesOf = ({ role, order }: LaidOutFile): FileSources => {
    return { sources: role === 'model' ? model : (optimizerSources as Sources), order };
  };
  const snapshot = Snapshot.take(files.map(sourcesOf), {
    engine,
    arenas: core.arenasOf(engine),
    budget: settings.memoryBudgetBytes,
    verifyPinned: settings.verifyPinned,
  });
  const tensorBytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const bytes = smallFiles.reduce((sum, small) => sum + small.bytes.length, tensorBytes);
  return { request, name, files, smallFiles, snapshot, bytes, started };
}

function layOut({ model, optimizerSources, attachments }: CheckedRequest, { layouts, settings }: SaveContext): TensorLayout[] {
  const layOutSet = (role: TensorRole, { specs }: Sources) =>
    // A caller's function is given a layout of its own: what it did to a shared one would reach later saves.
    typeof attachments === 'function' ? layOutTensors(role, specs, settings.maxShardBytes) : layouts.layOut(role, specs);
  const ofModel = layOutSet('model', model);
  return optimizerSources === undefined ? [ofModel] : [ofModel, layOutSet('optimizer', optimizerSources)];
}

function encodeSmallFiles(request: CheckedRequest, layouts: readonly TensorLayout[], files: readonly TensorFilePlan[]): SmallFile[] {
  const small: SmallFile[] = layouts.flatMap(({ indexes }) =>
    indexes.map(({ name, content }) => ({ name, role: 'index', bytes: Buffer.from(content, 'utf8') }) as const),
  );
  const { attachments = [], state, extensions = {} } = request;
  small.push(...checkAttachments(typeof attachments === 'function' ? attachments(files) : attachments));
  if (state !== undefined || Object.keys(extensions).length > 0 || RUN_STATE_KEYS.some((key) => request[key] !== undefined)) {
    small.push({ name: STATE_NAME, role: 'state', bytes: encodeState({ user: state, run: request, extensions }) });
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
  const { request, name: wanted, files, smallFiles, snapshot, bytes, started } = prepared;
  const { directory } = core;
  const began = performance.now();
  let acknowledged = Number.NaN;
  let written: Written;
  try {
    const result = await writeInWorker({
      ...settings,
      directory,
      temporary: temporaryName(TEMPORARY_PREFIX),
      name: wanted,
      numbered: settings.name?.isFixed ?? false,
      tags: request.tags,
      files,
      smallFiles,
      snapshot,
      record: describe(request, context),
      highestSequence: core.highestSequence,
      lock: core.lock.claim,
      engine,
      signal,
      onProgress,
      retain: (outlook) => retain(outlook, settings),
      findRoom: (now, then) => decideRoom(viewOf(now), viewOf(then), settings.keep).map(({ name }) => name),
      onCommitted: () => {
        acknowledged = performance.now();
        // Every byte is on disk: what they were read from is not needed for links and retention.
        snapshot.release();
        onProgress({ phase: 'done', bytes, totalBytes: bytes });
      },
    });
    written = result.written;
    core.queue.keepBusy(result.tidied);
  } finally {
    snapshot.release();
  }
  core.noteSequence(written.sequence);
  const { name, sequence, persisted, seconds, removed, warnings } = written;
  return {
    name,
    path: path.join(directory, name),
    sequence,
    bytes,
    bytesPerSecond: seconds.persist > 0 ? bytes / (seconds.persist + seconds.commit) : 0,
    engine: engine.name,
    direct: persisted.direct,
    directReason: persisted.directReason,
    seconds: {
      stall: stallMs() / 1000,
      snapshot: (snapshot.filledAt - started) / 1000,
      queue: Math.max(0, began - snapshot.filledAt) / 1000,
      ...seconds,
      ...persisted.seconds,
      total: ((Number.isNaN(acknowledged) ? performance.now() : acknowledged) - started) / 1000,
    },
    removed,
    warnings: [...warnings, ...askForWarnings(request)],
  };
}

function nameOf({ step, epoch, metrics, naming }: CheckedRequest, { name }: Settings): string {
  return (
    name?.format({ step, epoch, metrics, ...naming }) ??
    defaultCheckpointName({ step, epoch, loss: metrics['val_loss'] ?? metrics['loss'] })
  );
}

/** The manifest, but for what only the worker knows. */
function describe(
  { step, epoch, metrics, contents, software }: CheckedRequest,
  { core, engine }: SaveContext,
): Omit<Manifest, 'files' | 'createdAt' | 'sequence' | 'monitor'> {
  return {
    runId: core.runId,
    contents,
    step,
    ...(epoch === undefined ? {} : { epoch }),
    metrics,
    software: { ...SOFTWARE, engine: engine.name, ...software },
  };
}

/** What the rules let go. The save is durable: a rule that throws becomes a warning, and nothing is removed. */
function retain(outlook: Outlook, { keep }: Settings): RetentionAnswer {
  try {
    return { names: decideRetention(outlook.entries, keep, viewOf(outlook)).removed.map(({ name }) => name), warnings: [] };
  } catch (error) {
    return { names: [], warnings: [`Could not decide which checkpoints may go: ${(error as Error).message}`] };
  }
}

function viewOf({ entries, best, monitor }: Outlook): RetentionView {
  return { entries, best: entries.find(({ name }) => name === best), monitor, now: now() };
}

/** The checkpoint is durable: a caller's function that throws cannot make it fail. */
function askForWarnings({ warnings }: CheckedRequest): readonly string[] {
  try {
    return warnings?.() ?? [];
  } catch (error) {
    return [`Could not ask the caller for warnings: ${(error as Error).message}`];
  }
}
