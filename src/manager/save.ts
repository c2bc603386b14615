/** One save: from a checked request to a durable checkpoint, its links and what retention removes. */
import type { CatalogEntry, GoodEntry } from '../catalog/checkpoint.js';
import { type Committed, commitCheckpoint } from '../catalog/commit.js';
import { pointLink } from '../catalog/links.js';
import { writeRegistry } from '../catalog/registry.js';
import { removeCheckpoint } from '../catalog/remove.js';
import { summarize, toPolicyEntry } from '../catalog/summary.js';
import type { SmallFile } from '../catalog/write-files.js';
import type { Engine, EngineName } from '../engine/contract.js';
import { guardListener } from '../engine/progress.js';
import { layOutTensors, type TensorFilePlan, type TensorLayout } from '../format/layout.js';
import type { Manifest } from '../format/manifest.js';
import { defaultCheckpointName, STATE_NAME } from '../format/names.js';
import { encodeState } from '../format/state.js';
import { decideRetention } from '../policy/retention.js';
import { Snapshot } from '../snapshot/snapshot.js';
import { SOFTWARE } from '../version.js';
import type { WriterCore } from './core.js';
import type { Settings } from './options.js';
import { type CheckedRequest, checkAttachments } from './save-request.js';

/** A durable checkpoint. */
export interface SaveResult {
  readonly name: string;
  readonly path: string;
  readonly sequence: number;
  readonly bytes: number;
  readonly engine: EngineName;
  /** Whether every tensor file went past the page cache; if not, `directReason` says why. */
  readonly direct: boolean;
  readonly directReason: string;
  /**
   * Seconds: `snapshot` is how long the call blocked before it gave control back, checks included; `total` runs from the call to the
   * acknowledgement, so it includes waiting for earlier saves.
   */
  readonly seconds: {
    readonly snapshot: number;
    readonly write: number;
    readonly sync: number;
    readonly verify: number;
    readonly commit: number;
    readonly total: number;
  };
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
  /** `performance.now()` when `save` was called, and the seconds from there until everything was captured. */
  readonly started: number;
  readonly snapshotSeconds: number;
}

/**
 * Lays the tensors out and captures them, synchronously: what the caller changes after this call does
 * not reach the checkpoint.
 */
export function prepareSave(request: CheckedRequest, started: number, core: WriterCore, engine: Engine, settings: Settings): PreparedSave {
  const { model, optimizerSources } = request;
  const layouts: TensorLayout[] = [layOutTensors('model', model, settings.maxShardBytes)];
  if (optimizerSources !== undefined) layouts.push(layOutTensors('optimizer', optimizerSources, settings.maxShardBytes));
  const files = layouts.flatMap((layout) => layout.files);
  const smallFiles = encodeSmallFiles(request, layouts, files);
  const snapshot = Snapshot.take({ model, optimizer: optimizerSources ?? [] }, engine, core.arena);
  return { request, files, smallFiles, snapshot, started, snapshotSeconds: (performance.now() - started) / 1000 };
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

/** Commits a prepared save; runs under the core's queue. */
export async function runSave(prepared: PreparedSave, core: WriterCore, engine: Engine, settings: Settings): Promise<SaveResult> {
  const { request, snapshot } = prepared;
  let committed: Committed;
  try {
    const record = describe(request, core, await core.scan(), engine, settings);
    const { step, epoch, metrics } = request;
    const name = defaultCheckpointName({ step, epoch, loss: metrics['val_loss'] ?? metrics['loss'] });
    committed = await commitCheckpoint(
      { name, tensorFiles: prepared.files, smallFiles: prepared.smallFiles, snapshot, record },
      {
        ...settings,
        engine,
        directory: core.directory,
        lock: core.lock,
        signal: request.signal,
        onProgress: guardListener(request.onProgress),
      },
    );
  } finally {
    snapshot.release();
  }
  const total = (performance.now() - prepared.started) / 1000;
  const { removed, warnings } = await settle(core, settings);
  return {
    name: committed.name,
    path: committed.path,
    sequence: committed.manifest.sequence,
    bytes: committed.bytes,
    engine: engine.name,
    direct: committed.direct,
    directReason: committed.directReason,
    seconds: { snapshot: prepared.snapshotSeconds, ...committed.seconds, total },
    removed,
    warnings,
  };
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
