// The library behind the interface that the workload and the checker use; protocol.mjs is the other one.
//
//   open(dir, { keep, buffered }) → session          buffered: no direct I/O, many small files
//   session.save({ step, tensors, state, metrics })   resolves when the library says that it is durable; { direct }
//   session.list()            → [{ name, step, good }], every checkpoint the library sees
//   session.restore(which)    → { step, tensors, state } or null; which: 'latest' | { step }
//   session.verify()          → sentences about what the library itself finds wrong
//   session.engine            what moves the bytes
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

/** Where the build is, unless `--library` names another one (a mutant, an older version). */
export const LIBRARY = path.join(import.meta.dirname, '../../dist');

export const libraryIsBuilt = (library) => existsSync(path.join(library, 'index.js'));

/** Null where this build loads its native addon, else why not. */
export async function nativeIsMissing(library) {
  const { loadNative } = await import(pathToFileURL(path.join(library, 'native.js')).href);
  const loaded = loadNative();
  return loaded.addon === undefined ? loaded.reason : null;
}

export async function open(dir, { keep: keepLast, buffered = false, library }) {
  const { CheckpointManager, keep } = await import(pathToFileURL(path.join(library, 'index.js')).href);
  const manager = await CheckpointManager.open(dir, {
    keep: [keep.last(keepLast)],
    direct: buffered ? 'disabled' : 'optional',
    // Mostly one tensor in a file: more operations per save and per deletion.
    ...(buffered ? { maxShardBytes: 1000, verifyWrites: true } : {}),
  });
  return {
    save: async (request) => {
      const { warnings, direct } = await manager.save(request);
      if (warnings.length > 0) throw new Error(`step ${request.step} was saved with warnings: ${warnings.join('; ')}`);
      return { direct };
    },
    list: async () => {
      const infos = [];
      for await (const { name, step, status } of manager.list()) infos.push({ name, step, good: status === 'good' });
      return infos;
    },
    restore: async (which) => {
      const restored = await manager.restore(which);
      if (restored === null) return null;
      if (restored.skipped.length > 0)
        throw new Error(`skipped ${restored.skipped.map(({ name, code }) => `${name} (${code})`).join(', ')}`);
      return { step: restored.info.step, tensors: restored.tensors, state: restored.state };
    },
    verify: async () => {
      const { ok, problems } = await manager.verify();
      const sentences = problems.map(({ code, message }) => `${code}: ${message}`);
      return ok ? sentences : ['verify() says that something is damaged', ...sentences];
    },
    close: () => manager.close(),
    engine: manager.engineName,
  };
}
