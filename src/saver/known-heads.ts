/** Heads of files that this worker has written: a training run writes the same ones again and again. */
import { type FileHeadBytes, factsOfHead, type HeadFacts } from '../catalog/file-head.js';

const MAX_KNOWN = 8;
const known = new Map<string, HeadFacts>();

/** As {@link factsOfHead}, of the head that `headId` stands for. */
export function knowHead(headId: string, head: FileHeadBytes, checksum: (bytes: Uint8Array) => number): HeadFacts {
  const facts = known.get(headId) ?? factsOfHead(head, checksum);
  // The most recently used are last.
  known.delete(headId);
  known.set(headId, facts);
  for (const oldest of known.keys()) {
    if (known.size <= MAX_KNOWN) break;
    known.delete(oldest);
  }
  return facts;
}
