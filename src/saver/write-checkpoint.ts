/** A whole save in a worker: steps 2 to 12 of the commit protocol, so that the training thread is asked once and told twice. */
import path from 'node:path';
import type { CatalogEntry } from '../catalog/checkpoint.js';
import { type PersistFile, persistCheckpoint } from '../catalog/persist.js';
import { publishCheckpoint } from '../catalog/publish.js';
import type { RecordCache } from '../catalog/record-cache.js';
import { readRecords } from '../catalog/registry.js';
import { removeGraves } from '../catalog/remove.js';
import { scanDirectory } from '../catalog/scan.js';
import type { Segment } from '../catalog/write-files.js';
import type { Engine } from '../engine/contract.js';
import { throwIfAborted, untilAborted } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import type { TensorEntry } from '../format/safetensors.js';
import { toManifestMonitor } from '../policy/best.js';
import { Filling } from '../snapshot/filling.js';
import { textOf } from './harmlessly.js';
import type { Inbox } from './inbox.js';
import type { JobFile, SaveJob, UnfinishedCopies } from './job.js';
import { knowHead } from './known-heads.js';
import { makeRoom } from './make-room.js';
import { settle } from './settle.js';
import { freeName, nextSequence, outlookOf, surveyWith, tagsOf } from './survey.js';

/** What is remembered of the directories that this worker has written to, most recently used last. */
const caches = new Map<string, RecordCache>();
const MAX_CACHES = 8;

/** Writes, asks, publishes, tidies up. Throws what keeps the checkpoint from coming to be; what fails after that is a warning. */
export async function writeCheckpoint(job: SaveJob, engine: Engine, inbox: Inbox): Promise<void> {
  const started = performance.now();
  const { directory, temporary, monitor } = job;
  const cache = await cacheOf(directory);
  let found: CatalogEntry[] = [];
  let roomMade: readonly string[] = [];
  const roomFor = async (bytes: number) => {
    roomMade = await makeRoom(job, inbox, cache, bytes);
  };
  const persisting = persistCheckpoint(
    {
      directory,
      temporary,
      files: job.files.map((file) => toFile(file, engine, inbox)),
      smallFiles: job.smallFiles,
      // Late: what was copied into the directory while the files were written counts, and one look is enough.
      record: async () => {
        found = await scanDirectory(directory, cache);
        const sequence = nextSequence(directory, job.highestSequence, found);
        const before = found.flatMap(({ info, record }) => (info.status === 'good' && record !== undefined ? [record] : []));
        const watched = monitor === undefined ? {} : { monitor: toManifestMonitor(monitor, job.record.metrics, before) };
        return { ...job.record, ...watched, sequence };
      },
    },
    {
      engine,
      direct: job.direct,
      chunkBytes: job.chunkBytes,
      verifyWrites: job.verifyWrites,
      signal: inbox.signal,
      onProgress: (progress) => inbox.tell({ type: 'progress', progress }),
      ...(job.makeRoom ? { makeRoom: roomFor } : {}),
    },
  );
  const persisted = await persisting.catch((error: HoldfastError) => {
    throw withRoomMade(error, roomMade);
  });
  const sealed = performance.now();
  throwIfAborted(inbox.signal, 'The save');
  const { manifest } = persisted;
  const { sequence } = manifest;
  const name = job.numbered ? `${job.name}.${sequence}` : job.name;
  const addition = { name: freeName(found, name, sequence), record: manifest, tags: tagsOf(job) };
  const expected = surveyWith(found, directory, addition, monitor);
  inbox.tell({ type: 'ready', sequence, outlook: outlookOf(expected) });
  if (job.ask) await untilAborted(inbox.answer, inbox.signal, 'The save');
  const asked = performance.now();
  const published = await publishCheckpoint({ directory, temporary, name, sequence }, engine, job.lock);
  const committed = performance.now();
  inbox.tell({ type: 'committed', name: published });
  await cache.add(path.join(directory, published), manifest);
  const answer = await inbox.answer;
  const survey = published === addition.name ? expected : surveyWith(found, directory, { ...addition, name: published }, monitor);
  const removable = answer.names.map((each) => (each === addition.name ? published : each));
  const settled = await settle({ job, survey, name: published, tags: addition.tags, removable, cache });
  const removed = [...roomMade, ...settled.removed];
  const warnings = [...answer.warnings, ...settled.warnings];
  const seconds = { persist: (sealed - started) / 1000, commit: (committed - asked) / 1000 };
  inbox.tell({ type: 'settled', written: { name: published, sequence, persisted: persisted.figures, seconds, removed, warnings } });
  // A file system may take as long for this as for the writing: nobody waits for it but the next save.
  await removeGraves(directory, settled.graves).catch((error: unknown) => inbox.tell({ type: 'unremoved', reason: textOf(error) }));
}

/** What retention has removed for a save that then failed: somebody has to be told. */
function withRoomMade(error: HoldfastError, removed: readonly string[]): HoldfastError {
  if (removed.length === 0) return error;
  const { name: _, code, message, stack: __, ...details } = error;
  return new HoldfastError(code, `${message} To make room for it, retention had removed ${removed.join(', ')}.`, details);
}

function toFile(file: JobFile, engine: Engine, inbox: Inbox): PersistFile {
  const facts = knowHead(file.headId, file, (bytes) => engine.crc32c(bytes));
  const segments = file.segments.map(
    (segment): Segment =>
      segment.kind === 'memory'
        ? { kind: 'memory', held: engine.adopt(segment.shared), wait: waiterFor(segment.copies) }
        : { kind: 'pieces', tensor: facts.tensors[segment.tensor] as TensorEntry, pieces: inbox.streams.open(segment.stream) },
  );
  return { ...file, ...facts, segments };
}

/** The copies are made by a thread that does nothing else until they are done: so this one may block. */
function waiterFor(copies: UnfinishedCopies | undefined): ((piece: number) => void) | undefined {
  if (copies === undefined) return undefined;
  const filling = new Filling(copies.counter);
  // Runs are filled in the order of the files: a piece of the caller's own needs none.
  return (piece) => filling.wait(copies.after[piece] ?? 0);
}

/** Manifests that have not changed since this worker, or whoever wrote the registry, has read them are not read again. */
async function cacheOf(directory: string): Promise<RecordCache> {
  const cache = caches.get(directory) ?? (await readRecords(directory));
  caches.delete(directory);
  caches.set(directory, cache);
  for (const oldest of caches.keys()) {
    if (caches.size <= MAX_CACHES) break;
    caches.delete(oldest);
  }
  return cache;
}
