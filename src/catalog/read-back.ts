/** Step 5 of a commit: read what was just written and compare. */
import path from 'node:path';
import { withProgress } from '../engine/progress.js';
import { toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import type { ManifestFile } from '../format/manifest.js';
import { checkDigest } from './check-digest.js';
import type { WriteOptions } from './write-files.js';

/** Throws `ERR_CHECKSUM` where the tensor files in `directory` are not what the manifest is going to say. */
export async function readBack(directory: string, files: readonly ManifestFile[], options: WriteOptions): Promise<void> {
  const { engine, direct, signal, onProgress } = options;
  const tensorFiles = files.filter(({ tensors }) => tensors !== undefined);
  const total = tensorFiles.reduce((sum, { bytes }) => sum + bytes, 0);
  let before = 0;
  for (const file of tensorFiles) {
    const { name, chunkBytes, bytes, tensors = [] } = file;
    try {
      const reader = await engine.openReader(path.join(directory, name), direct);
      try {
        const spans = [{ bytes: tensors[0]?.offset ?? bytes }, ...tensors];
        const measure = () => ({ phase: 'verify' as const, bytes: before + reader.readBytes(), totalBytes: total, file: name });
        const digest = await withProgress(onProgress, measure, () => reader.read({ chunkBytes, spans, signal }));
        const [problem] = checkDigest(file, digest);
        if (problem !== undefined) {
          throw new HoldfastError(
            'ERR_CHECKSUM',
            `What was written does not read back: ${problem.message} The disk or its driver is failing; nothing was committed.`,
            {
              file: name,
              tensors: problem.tensors,
            },
          );
        }
      } finally {
        await reader.close();
      }
    } catch (error) {
      throw toHoldfastError(error, `read back ${name}`, { file: name });
    }
    before += bytes;
  }
}
