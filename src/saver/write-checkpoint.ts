/** A whole save in a worker: steps 2 to 12 of the commit protocol, so that the training thread is asked once and told twice. */
import path from 'node:path';
import type { CatalogEntry } from '../catalog/checkpoint.js';
import { ManifestCache } from '../catalog/manifest-cache.js';
import { type PersistFile, persistCheckpoint } from '../catalog/persist.js';
import { publishCheckpoint } from '../catalog/publish.js';
import { removeGraves } from '../catalog/remove.js';
import { scanDirectory } from '../catalog/scan.js';
import { toPolicyEntry } from '../catalog/summary.js';
import type { Segment } from '../catalog/write-files.js';
import type { Engine } from '../engine/contract.js';
import { throwIfAborted, untilAborted } from '../engine/system-error.js';
import type { Manifest } from '../format/manifest.js';
import type { TensorEntry } from '../format/safetensors.js';
import { Filling } from '../snapshot/filling.js';
import { textOf } from './harmlessly.js';
import type { Inbox } from './inbox.js';
import type { JobFile, SaveJob, UnfinishedCopies } from './job.js';
import { knowHead } from './known-heads.js';
import { settle } from './settle.js';
import { freeName, nextSequence, surveyWith } from './survey.js';

/** Manifests of the directories that this worker has written to, most recently used last. */
const caches = new Map<string, ManifestCache>();
const MAX_CACHES = 8;

/** Writes, asks, publishes, tidies up. Throws what keeps the checkpoint from coming to be; what fails after that is a warning. */
export async function writeCheckpoint(job: SaveJob, engine: Engine, inbox: Inbox): Promise<void> {
  const started = performance.now();
  const { directory, temporary, name, monitor } = job;
  const { scan, remember } = scannerOf(directory);
  let found: CatalogEntry[] = [];
  const persisted = await persistCheckpoint(
    {
      directory,
      temporary,
      files: job.files.map((file) => toFile(file, engine, inbox)),
      smallFiles: job.smallFiles,
      // Late: what was copied into the directory while the files were written counts, and one look is enough.
      record: async () => {
        found = await scan();
        return { ...job.record, sequence: nextSequence(directory, job.highestSequence, found) };
      },
    },
    {
      engine,
      direct: job.direct,
      chunkBytes: job.chunkBytes,
      verifyWrites: job.verifyWrites,
      signal: inbox.signal,
      onProgress: (progress) => inbox.tell({ type: 'progress', progress }),
    },
  );
  const sealed = performance.now();
  throwIfAborted(inbox.signal, 'The save');
  const { manifest } = persisted;
  const { sequence } = manifest;
  const free = freeName(found, name, sequence);
  const expected = surveyWith(found, directory, free, manifest, monitor);
  inbox.tell({ type: 'ready', sequence, entries: expected.good.map(toPolicyEntry), best: expected.best?.info.name });
  if (job.ask) await untilAborted(inbox.answer, inbox.signal, 'The save');
  const asked = performance.now();
  const published = await publishCheckpoint({ directory, temporary, name, sequence }, engine, job.lock);
  const committed = performance.now();
  inbox.tell({ type: 'committed', name: published });
  await remember(published, manifest);
  const answer = await inbox.answer;
  const survey = published === free ? expected : surveyWith(found, directory, published, manifest, monitor);
  const names = answer.names.map((each) => (each === free ? published : each));
  const { removed, graves, warnings: troubles } = await settle(job, survey, names);
  const warnings = [...answer.warnings, ...troubles];
  const seconds = { persist: (sealed - started) / 1000, commit: (committed - asked) / 1000 };
  inbox.tell({ type: 'settled', written: { name: published, sequence, persisted: persisted.figures, seconds, removed, warnings } });
  // A file system may take as long for this as for the writing: nobody waits for it but the next save.
  await removeGraves(directory, graves).catch((error: unknown) => inbox.tell({ type: 'unremoved', reason: textOf(error) }));
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

interface Scanner {
  scan(): Promise<CatalogEntry[]>;
  /** The manifest of a checkpoint that this worker has just written. */
  remember(name: string, manifest: Manifest): Promise<void>;
}

/** Looks at a directory; manifests that have not changed are not read again. */
function scannerOf(directory: string): Scanner {
  const cache = caches.get(directory) ?? new ManifestCache();
  caches.delete(directory);
  caches.set(directory, cache);
  for (const oldest of caches.keys()) {
    if (caches.size <= MAX_CACHES) break;
    caches.delete(oldest);
  }
  return {
    scan: async () => {
      const entries = await scanDirectory(directory, cache);
      cache.retain(entries.map(({ info }) => info.path));
      return entries;
    },
    remember: (name, manifest) => cache.add(path.join(directory, name), manifest),
  };
}
