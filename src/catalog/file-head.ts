/** What follows from the head of a tensor file that is about to be written. */
import type { TensorRole } from '../format/layout.js';
import { decodeHeader, LENGTH_BYTES, type TensorEntry } from '../format/safetensors.js';
import { TensorList } from '../format/tensor-list.js';

/** The head of a file, and whose it is. */
export interface FileHeadBytes {
  readonly name: string;
  readonly role: TensorRole;
  /** Length and header: the first bytes of the file. */
  readonly head: Uint8Array;
  /** Length of the whole file. */
  readonly bytes: number;
}

export interface HeadFacts {
  /** CRC32C of the head that all this was read from. */
  readonly headChecksum: number;
  readonly tensors: readonly TensorEntry[];
  /** Lengths in bytes: of the head, then of the tensors in the order of the file. */
  readonly spans: Float64Array;
  /** For the manifest. */
  readonly list: TensorList;
}

/** Reads a head as a reader would: throws for one that no reader would accept. */
export function factsOfHead({ name, role, head, bytes }: FileHeadBytes, checksum: (bytes: Uint8Array) => number): HeadFacts {
  const { tensors } = decodeHeader(head.subarray(LENGTH_BYTES), bytes, name);
  return {
    headChecksum: checksum(head),
    tensors,
    spans: Float64Array.from([head.length, ...tensors.map((tensor) => tensor.bytes)]),
    list: TensorList.of({ name, role, bytes }, tensors),
  };
}
