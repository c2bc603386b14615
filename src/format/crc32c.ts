/**
 * CRC32C (Castagnoli polynomial 0x1EDC6F41, reflected 0x82F63B78, RFC 3720 appendix B.4): the
 * portable implementation, sixteen bytes a step, and the combination of two checksums.
 */

const POLYNOMIAL = 0x82f63b78;
const SLICES = 16;

const TABLE = buildTables();

function buildTables(): Uint32Array {
  const table = new Uint32Array(256 * SLICES);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    table[byte] = crc;
  }
  for (let slice = 1; slice < SLICES; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = table[(slice - 1) * 256 + byte] as number;
      table[slice * 256 + byte] = (before >>> 8) ^ (table[before & 0xff] as number);
    }
  }
  return table;
}

/**
 * CRC32C of `bytes`, continuing from `seed` (the CRC of what came before; 0 to begin).
 * Returns an unsigned 32-bit number.
 */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  const t = TABLE as unknown as number[];
  const b = bytes as unknown as number[];
  const length = bytes.length;
  let crc = ~seed;
  let i = 0;
  // Indices stay in range by construction; the casts spare a bounds check per table look-up.
  for (const end = length - 15; i < end; i += 16) {
    crc =
      t[3840 + ((crc ^ b[i]!) & 0xff)]! ^
      t[3584 + (((crc >>> 8) ^ b[i + 1]!) & 0xff)]! ^
      t[3328 + (((crc >>> 16) ^ b[i + 2]!) & 0xff)]! ^
      t[3072 + ((crc >>> 24) ^ b[i + 3]!)]! ^
      t[2816 + b[i + 4]!]! ^
      t[2560 + b[i + 5]!]! ^
      t[2304 + b[i + 6]!]! ^
      t[2048 + b[i + 7]!]! ^
      t[1792 + b[i + 8]!]! ^
      t[1536 + b[i + 9]!]! ^
      t[1280 + b[i + 10]!]! ^
      t[1024 + b[i + 11]!]! ^
      t[768 + b[i + 12]!]! ^
      t[512 + b[i + 13]!]! ^
      t[256 + b[i + 14]!]! ^
      t[b[i + 15]!]!;
  }
  for (; i < length; i++) crc = (crc >>> 8) ^ t[(crc ^ b[i]!) & 0xff]!;
  return ~crc >>> 0;
}

/** a·b modulo the polynomial, in the reflected representation (bit 31 is x⁰). */
function multiply(a: number, b: number): number {
  let product = 0;
  let term = b;
  for (let mask = 0x80000000; mask !== 0; mask >>>= 1) {
    if (a & mask) product ^= term;
    term = term & 1 ? (term >>> 1) ^ POLYNOMIAL : term >>> 1;
  }
  return product >>> 0;
}

/** x^(8·2^k) for k = 0…52: enough for any byte length that a number holds exactly. */
const BYTE_POWERS = buildBytePowers();

function buildBytePowers(): number[] {
  const powers: number[] = [];
  let power = 0x00800000; // x⁸
  for (let k = 0; k < 53; k++) {
    powers.push(power);
    power = multiply(power, power);
  }
  return powers;
}

/** The CRC32C of A‖B from the CRCs of A and of B and the length of B in bytes. */
export function crc32cCombine(first: number, second: number, secondBytes: number): number {
  let shifted = first;
  let rest = secondBytes;
  for (let k = 0; rest > 0; k++) {
    if (rest % 2 === 1) shifted = multiply(BYTE_POWERS[k] as number, shifted);
    rest = Math.floor(rest / 2);
  }
  return (shifted ^ second) >>> 0;
}

/** The eight lower-case hex digits in which files carry a CRC. */
export function crcHex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
