/**
 * The `tensors` of a file in a manifest. Names, offsets and lengths follow from the layout and stay the same from save to save, so their JSON is
 * made and checked once; a save only fills in the checksums.
 */
import { randomUUID } from 'node:crypto';
import { MAX_CHUNK_BYTES, type ManifestFile } from './manifest.js';
import { assertReadable, encodeManifestParts } from './manifest-encode.js';
import type { TensorEntry } from './safetensors.js';

const ENCODER = new TextEncoder();
const ENTRY_END = '"}';
const NO_CHECKSUM = '00000000';
/** The ASCII codes of every byte's two hex digits. */
const HEX_DIGITS = ENCODER.encode(Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0')).join(''));

/** The list but for its checksums. */
export class TensorList {
  private constructor(
    /** With checksums of zeros. */
    private readonly json: Uint8Array,
    /** Where the digits of each checksum begin. */
    private readonly places: Uint32Array,
  ) {}

  /** Of a tensor file of `bytes` bytes whose `tensors` are in the order of their bytes. Throws `ERR_INVALID_ARGUMENT` for what no manifest may hold. */
  static of(file: Pick<ManifestFile, 'name' | 'role' | 'bytes'>, tensors: readonly TensorEntry[]): TensorList {
    const places = new Uint32Array(tensors.length);
    let at = 1;
    const members = tensors.map(({ name, offset, bytes }, i) => {
      const member = JSON.stringify({ name, offset, bytes, crc32c: NO_CHECKSUM });
      at += Buffer.byteLength(member);
      places[i] = at - ENTRY_END.length - NO_CHECKSUM.length;
      at++;
      return member;
    });
    const list = new TensorList(ENCODER.encode(`[${members.join(',')}]`), places);
    list.assertReadable(file);
    return list;
  }

  /** The JSON with the CRC32Cs `checksums[from]`, `checksums[from + 1]` and so on. */
  encode(checksums: Uint32Array, from: number): Uint8Array {
    const json = this.json.slice();
    const { places } = this;
    for (let i = 0; i < places.length; i++) {
      const crc = checksums[from + i] as number;
      let at = places[i] as number;
      for (let shift = 24; shift >= 0; shift -= 8) {
        const digits = ((crc >>> shift) & 0xff) * 2;
        json[at++] = HEX_DIGITS[digits] as number;
        json[at++] = HEX_DIGITS[digits + 1] as number;
      }
    }
    return json;
  }

  /** A manifest with this list is one that readers accept. */
  private assertReadable({ name, role, bytes }: Pick<ManifestFile, 'name' | 'role' | 'bytes'>): void {
    const chunks = Array.from({ length: Math.ceil(bytes / MAX_CHUNK_BYTES) }, () => NO_CHECKSUM);
    const file: ManifestFile = { name, role, bytes, crc32c: NO_CHECKSUM, chunkBytes: MAX_CHUNK_BYTES, chunks };
    const manifest = { ...ANY_MANIFEST, runId: randomUUID(), files: [file] };
    assertReadable(encodeManifestParts(manifest, new Map([[name, this.json]])));
  }
}

const ANY_MANIFEST = {
  sequence: 1,
  contents: 'full',
  step: 0,
  metrics: {},
  createdAt: '2000-01-01T00:00:00.000Z',
  software: {},
} as const;
