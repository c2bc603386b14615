import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Dtype } from '../../src/format/dtype.js';
import { encodeHeader } from '../../src/format/safetensors.js';
import { freshDirectory } from './directory.js';

/** A tensor of a file that no checkpoint knows. */
export interface BareTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: ArrayBufferView;
}

/** Writes a safetensors file into a directory of its own, and gives its path. */
export function bareFile(tensors: Readonly<Record<string, BareTensor>>, name = 'bare.safetensors'): string {
  const file = path.join(freshDirectory(), name);
  const entries = Object.entries(tensors).map(([tensor, { dtype, shape, data }]) => ({
    name: tensor,
    dtype,
    shape,
    bytes: data.byteLength,
  }));
  const bytes = Object.values(tensors).map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  writeFileSync(file, Buffer.concat([encodeHeader(entries, {}), ...bytes]));
  return file;
}
