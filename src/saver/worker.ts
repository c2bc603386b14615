/** Runs in a worker of the pool: writes one checkpoint and makes it durable under its temporary name. */
import type { MessagePort } from 'node:worker_threads';
import { type PersistFile, persistCheckpoint } from '../catalog/persist.js';
import type { Segment } from '../catalog/write-files.js';
import type { Engine } from '../engine/contract.js';
import { selectEngine } from '../engine/select.js';
import { toHoldfastError } from '../engine/system-error.js';
import { decodeHeader, LENGTH_BYTES } from '../format/safetensors.js';
import { IncomingStreams } from './incoming.js';
import { type FromWorker, type JobFile, type PersistJob, type PersistReply, postError, type ToWorker } from './job.js';

/** Never rejects: errors of this library would lose their code on the way. */
export default async function persist(job: PersistJob): Promise<PersistReply> {
  const { port } = job;
  const cancelled = new AbortController();
  try {
    const engine = selectEngine(job.engine);
    if (job.nice > 0) engine.lowerPriority(job.nice);
    const streams = new IncomingStreams(port, engine, cancelled.signal);
    port.on('message', (message: ToWorker) => {
      if (message.type === 'abort') cancelled.abort();
      else streams.receive(message);
    });
    const { direct, chunkBytes, verifyWrites } = job;
    const persisted = await persistCheckpoint(
      { ...job, files: job.files.map((file) => toFile(file, engine, streams)) },
      {
        engine,
        direct,
        chunkBytes,
        verifyWrites,
        signal: cancelled.signal,
        onProgress: (progress) => tell(port, { type: 'progress', progress }),
      },
    );
    return { persisted };
  } catch (error) {
    return { error: postError(toHoldfastError(error, 'write the checkpoint')) };
  } finally {
    port.close();
  }
}

function toFile(file: JobFile, engine: Engine, streams: IncomingStreams): PersistFile {
  const { tensors } = decodeHeader(file.head.subarray(LENGTH_BYTES), file.bytes, file.name);
  const segments = file.segments.map(
    (segment): Segment =>
      segment.kind === 'memory'
        ? { kind: 'memory', held: engine.adopt(segment.shared) }
        : { kind: 'pieces', pieces: streams.open(segment.stream) },
  );
  return { ...file, tensors, segments };
}

function tell(port: MessagePort, message: FromWorker): void {
  port.postMessage(message);
}
