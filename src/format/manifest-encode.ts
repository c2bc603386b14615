/** From what is known of a checkpoint to the bytes of its `manifest.json`. */
import { HoldfastError } from '../errors.js';
import { crc32c } from './crc32c.js';
import { decodeManifest, MANIFEST_VERSION, MAX_MANIFEST_BYTES, type Manifest, type ManifestFile } from './manifest.js';
import { sealBytes } from './sealed.js';

/** CRC32C of `bytes`: an engine's is faster than the portable one. */
export type Checksum = (bytes: Uint8Array) => number;

/**
 * Encodes a manifest with its seal. Non-finite metrics and −0 become strings. Throws `ERR_INVALID_ARGUMENT` for a manifest
 * that `decodeManifest` would refuse: what cannot be read back must not be acknowledged.
 */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const bytes = encodeManifestParts(manifest, new Map());
  assertReadable(bytes);
  return bytes;
}

/**
 * The same of a manifest whose files lack their `tensors`, and the JSON of these by the file's name: lists that were checked before. Everything else
 * is checked here. Gives the bytes, and the manifest as a reader has it, but for the lists.
 */
export function encodeManifestWith(
  manifest: Manifest,
  lists: ReadonlyMap<string, Uint8Array>,
  checksum: Checksum,
): { readonly bytes: Uint8Array; readonly decoded: Manifest } {
  const empty = new TextEncoder().encode('[]');
  const decoded = assertReadable(encodeManifestParts(manifest, new Map([...lists.keys()].map((name) => [name, empty]))));
  const bytes = encodeManifestParts(manifest, lists, checksum);
  assertLength(bytes);
  return { bytes, decoded };
}

/** The sealed bytes, whatever they say. */
export function encodeManifestParts(
  { runId, sequence, contents, step, epoch, metrics, monitor, createdAt, software, files }: Manifest,
  lists: ReadonlyMap<string, Uint8Array>,
  checksum: Checksum = crc32c,
): Uint8Array {
  const record = JSON.stringify({
    format: 'holdfast',
    version: MANIFEST_VERSION,
    runId,
    sequence,
    contents,
    step,
    ...(epoch === undefined ? {} : { epoch }),
    metrics: encodeMetrics(metrics),
    ...(monitor === undefined ? {} : { monitor }),
    createdAt,
    software,
  });
  const parts: Uint8Array[] = [Buffer.from(`${record.slice(0, -1)},"files":[`)];
  files.forEach((file, i) => {
    if (i > 0) parts.push(Buffer.from(','));
    parts.push(...encodeFile(file, lists.get(file.name)));
  });
  parts.push(Buffer.from(']'));
  return sealBytes(parts, checksum);
}

function encodeFile(file: ManifestFile, tensors: Uint8Array | undefined): Uint8Array[] {
  const json = JSON.stringify(file);
  if (tensors === undefined) return [Buffer.from(json)];
  return [Buffer.from(`${json.slice(0, -1)},"tensors":`), tensors, Buffer.from('}')];
}

/** Metrics as JSON carries them. */
export function encodeMetrics(metrics: Readonly<Record<string, number>>): Record<string, number | string> {
  const result: Record<string, number | string> = Object.create(null);
  for (const [name, value] of Object.entries(metrics)) {
    result[name] = Object.is(value, -0) ? '-0' : Number.isFinite(value) ? value : String(value);
  }
  return result;
}

/** Decodes `bytes`. Throws `ERR_INVALID_ARGUMENT` where a reader would refuse them. */
export function assertReadable(bytes: Uint8Array): Manifest {
  assertLength(bytes);
  try {
    return decodeManifest(bytes, 'this checkpoint');
  } catch (error) {
    throw unreadable(error as Error);
  }
}

function assertLength(bytes: Uint8Array): void {
  if (bytes.length <= MAX_MANIFEST_BYTES) return;
  throw unreadable(new Error(`it would be ${bytes.length} bytes long; the limit is ${MAX_MANIFEST_BYTES}`));
}

function unreadable(cause: Error): HoldfastError {
  return new HoldfastError('ERR_INVALID_ARGUMENT', `Nothing was saved, because the manifest could not be read back: ${cause.message}`, {
    cause,
  });
}
