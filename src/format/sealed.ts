/**
 * JSON documents that carry their own checksum: the last member is, literally,
 * `,"crc32c":"<8 hex>"}` and a newline, and that CRC32C covers every byte before the comma.
 */
import { crc32c, crcHex } from './crc32c.js';

const TAIL = /^,"crc32c":"([0-9a-f]{8})"\}\n$/;
const TAIL_BYTES = ',"crc32c":"00000000"}\n'.length;

/** Encodes a non-empty object with its seal. `value` must not have a member `crc32c` of its own. */
export function sealJson(value: Readonly<Record<string, unknown>>): Uint8Array {
  return sealBytes([Buffer.from(JSON.stringify(value).slice(0, -1), 'utf8')], crc32c);
}

/** Seals an object whose JSON, but for the closing brace, is `parts` one behind the other. */
export function sealBytes(parts: readonly Uint8Array[], checksum: (bytes: Uint8Array) => number): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, TAIL_BYTES));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  bytes.set(Buffer.from(`,"crc32c":"${crcHex(checksum(bytes.subarray(0, at)))}"}\n`), at);
  return bytes;
}

/** What {@link openSealed} found: the text without its seal (a complete JSON object), or why it is damaged. */
export type Unsealed =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly reason: string; readonly expected?: string; readonly actual?: string };

/** Checks the seal of `bytes`; never throws. */
export function openSealed(bytes: Uint8Array): Unsealed {
  const cut = bytes.length - TAIL_BYTES;
  const tail = cut > 0 ? TAIL.exec(Buffer.from(bytes.subarray(cut)).toString('latin1')) : null;
  if (tail === null) return { ok: false, reason: 'it does not end with its checksum, so it was cut off or rewritten' };
  const body = bytes.subarray(0, cut);
  const expected = tail[1] as string;
  const actual = crcHex(crc32c(body));
  if (actual !== expected) return { ok: false, reason: `its checksum is ${actual}, not ${expected}`, expected, actual };
  try {
    return { ok: true, text: `${new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)}}` };
  } catch {
    return { ok: false, reason: 'it is not valid UTF-8' };
  }
}
