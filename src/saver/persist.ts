/** One save in a worker, seen from the thread that saves. */
import path from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import type { Persisted } from '../catalog/persist.js';
import type { SmallFile } from '../catalog/write-files.js';
import type { DirectIo, Engine, HeldMemory } from '../engine/contract.js';
import type { Progress } from '../engine/progress.js';
import { abortError, throwIfAborted } from '../engine/system-error.js';
import type { TensorFilePlan } from '../format/layout.js';
import type { Manifest } from '../format/manifest.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { removeTree } from '../storage/local.js';
import { type FromWorker, type JobFile, type JobSegment, receiveError } from './job.js';
import { type OutgoingStream, OutgoingStreams } from './outgoing.js';
import { runInWorker } from './pool.js';

/** What is to be written, and how. */
export interface PersistRequest {
  readonly directory: string;
  /** Basename of the temporary directory to be made. */
  readonly temporary: string;
  readonly files: readonly TensorFilePlan[];
  readonly smallFiles: readonly SmallFile[];
  readonly snapshot: Snapshot;
  readonly record: Omit<Manifest, 'files' | 'createdAt'>;
  readonly engine: Engine;
  readonly direct: DirectIo;
  readonly chunkBytes: number;
  readonly verifyWrites: boolean;
  readonly nice: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

/**
 * Writes the snapshot under its temporary name, durably. When it rejects the temporary directory is gone, and no thread reads
 * the snapshot any more.
 */
export async function persistInWorker(request: PersistRequest): Promise<Persisted> {
  const { signal, engine, smallFiles, directory, temporary, record, nice, direct, chunkBytes, verifyWrites } = request;
  throwIfAborted(signal, 'The save');
  const { port1: port, port2 } = new MessageChannel();
  const { jobFiles, streams } = toJobFiles(request);
  const outgoing = new OutgoingStreams(streams, engine, port);
  const abort = () => port.postMessage({ type: 'abort' });
  port.on('message', (message: FromWorker) => {
    if (message.type === 'progress') request.onProgress(message.progress);
    else if (message.type === 'want') outgoing.start(message.stream);
    else outgoing.taken(message);
  });
  signal.addEventListener('abort', abort, { once: true });
  try {
    const job = {
      engine: engine.name,
      nice,
      directory,
      temporary,
      files: jobFiles,
      smallFiles,
      record,
      direct,
      chunkBytes,
      verifyWrites,
      port: port2,
    };
    const reply = await runInWorker(job, [port2]);
    if ('persisted' in reply) return reply.persisted;
    if (outgoing.failure !== undefined) throw outgoing.failure;
    if (signal.aborted && reply.error.code === 'ERR_ABORTED') throw abortError(signal, 'The save');
    throw receiveError(reply.error);
  } catch (error) {
    // The error that made the save fail is the one to report, whatever becomes of the leftovers.
    await removeTree(path.join(directory, temporary)).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    outgoing.stop();
    port.close();
  }
}

/** The files in a form that can be posted: held memory by handles, streams by number. */
function toJobFiles({ files, snapshot, engine }: PersistRequest): { jobFiles: JobFile[]; streams: OutgoingStream[] } {
  const streams: OutgoingStream[] = [];
  const jobFiles = files.map(({ name, role, head, bytes, tensors }): JobFile => {
    const segments: JobSegment[] = [];
    let batch: HeldMemory[] = [];
    const endBatch = () => {
      if (batch.length > 0) segments.push({ kind: 'memory', shared: engine.share(batch) });
      batch = [];
    };
    for (const tensor of tensors) {
      const captured = snapshot.get(role, tensor.name);
      if (captured.kind === 'memory') {
        batch.push(captured.held);
        continue;
      }
      endBatch();
      segments.push({ kind: 'stream', stream: streams.length });
      streams.push({ ...captured, tensor: tensor.name });
    }
    endBatch();
    const expected = snapshot.hasChecksums
      ? Float64Array.from(tensors, (tensor) => snapshot.checksum(role, tensor.name) ?? Number.NaN)
      : new Float64Array();
    return { name, role, head, bytes, segments, expected };
  });
  return { jobFiles, streams };
}
