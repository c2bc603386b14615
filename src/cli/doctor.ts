/** What this machine, this installation and this disk can do for checkpoints: the facts behind `holdfast doctor`. */
import { access, constants, stat, statfs } from 'node:fs/promises';
import { endianness } from 'node:os';
import { HoldfastError } from '../errors.js';
import { crc32c } from '../format/crc32c.js';
import { loadNative, type NativeIoUring, type NativeLoad, type NativeProbe } from '../native.js';
import { fileSystemName, fileSystemWarnings } from '../storage/file-systems.js';
import { formatBytes } from '../terminal/format.js';
import { VERSION } from '../version.js';

/** The facts. */
export interface Diagnosis {
  /** Version of Node.js, such as `v20.20.2`. */
  readonly node: string;
  /** Such as `linux-x64`. */
  readonly platform: string;
  /** The engine that `engine: 'auto'` takes. */
  readonly engine: 'native' | 'portable';
  /** Path of the native addon; `null` where there is none. */
  readonly addon: string | null;
  /** Type of the file system of the directory, such as `ext4`; `unknown(0x…)` where it has no name here. */
  readonly fileSystem: string;
  /** `alignment`, in bytes, is what memory, offsets and lengths must all be multiples of; `null` where unsupported. */
  readonly directIo: { readonly supported: boolean; readonly alignment: number | null };
  /** `used`: whether transfers go through it, and `why` (not). */
  readonly ioUring: { readonly available: boolean; readonly reason: string; readonly used: boolean; readonly why: string };
  /** `bytesPerSecond` of one core over data in its cache. */
  readonly crc32c: { readonly implementation: string; readonly bytesPerSecond: number };
  /** What deserves attention, each with what to do about it. */
  readonly warnings: readonly string[];
}

/** Major versions that the tests run on. */
const TESTED_NODE = [20, 22, 24];
const MEASURED_BYTES = 256 * 1024;
const MEASURED_MS = 100;
const LITTLE_SPACE_BYTES = 2 * 1024 ** 3;

/** Examines `directory`. Throws `ERR_NOT_FOUND`, `ERR_NOT_A_DIRECTORY` or `ERR_PERMISSION`. */
export async function diagnose(directory: string): Promise<Diagnosis> {
  await assertDirectory(directory);
  const native = loadNative();
  const probe = native.addon?.probe(directory);
  const io = native.addon?.ioUring();
  const { type, bavail, bsize } = await statfs(directory);
  const fileSystem = probe?.fileSystem ?? fileSystemName(type);
  const checksum = measureChecksum(native);
  const direct = probe?.directIo.supported === true;
  const refusal = await writeRefusal(directory);
  return {
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    engine: native.addon === undefined ? 'portable' : 'native',
    addon: native.addon === undefined ? null : native.path,
    fileSystem,
    directIo: { supported: direct, alignment: direct ? Math.max(probe.directIo.memoryAlignment, probe.directIo.offsetAlignment) : null },
    ioUring: describeIoUring(io),
    crc32c: checksum,
    warnings: [
      ...nodeWarnings(process.versions.node),
      ...nativeWarnings(native),
      ...(native.addon !== undefined && checksum.implementation === 'portable'
        ? ['This processor has no CRC32C instructions: checksums, and with them saves, are slower than the disk may be.']
        : []),
      ...ioWarnings(io),
      ...fileSystemWarnings(fileSystem),
      // Where no file can be made, direct I/O could not be tried.
      ...(refusal === undefined ? directIoWarnings(probe) : [`Nothing can be saved here: ${refusal}. Direct I/O could not be tried.`]),
      ...spaceWarnings(bavail * bsize),
    ],
  };
}

async function assertDirectory(directory: string): Promise<void> {
  try {
    if ((await stat(directory)).isDirectory()) return;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'EACCES') throw new HoldfastError('ERR_IO', message, { path: directory, cause: error });
    if (code === 'EACCES') throw new HoldfastError('ERR_PERMISSION', `${directory} may not be looked at: ${message}.`, { path: directory });
    throw new HoldfastError('ERR_NOT_FOUND', `${directory} does not exist. Name a directory on the disk in question.`, { path: directory });
  }
  throw new HoldfastError('ERR_NOT_A_DIRECTORY', `${directory} is not a directory.`, { path: directory });
}

function measureChecksum({ addon }: NativeLoad): Diagnosis['crc32c'] {
  const sum = addon === undefined ? crc32c : (bytes: Uint8Array, seed: number) => addon.crc32c(bytes, seed);
  const data = new Uint8Array(MEASURED_BYTES).fill(0x5a);
  let seed = 0;
  // The first rounds fill the cache and let the compiler do its work.
  for (let i = 0; i < 20; i++) seed = sum(data, seed);
  const started = performance.now();
  let rounds = 0;
  let elapsed = 0;
  for (; elapsed < MEASURED_MS; elapsed = performance.now() - started, rounds++) seed = sum(data, seed);
  return {
    implementation: addon?.crc32cImplementations()[0] ?? 'javascript',
    bytesPerSecond: Math.round((rounds * MEASURED_BYTES * 1000) / elapsed),
  };
}

/** Exported for its test. */
export function nodeWarnings(version: string): string[] {
  const warnings: string[] = [];
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 17)) {
    warnings.push(`Node.js ${version} is too old: holdfast needs 20.17 or newer.`);
  } else if (!TESTED_NODE.includes(major)) {
    warnings.push(`holdfast is not tested with Node.js ${version}; it is with ${TESTED_NODE.join(', ')}.`);
  }
  if (endianness() !== 'LE') warnings.push('This machine is big-endian. Checkpoints are little-endian, and there is no conversion yet.');
  return warnings;
}

function nativeWarnings(native: NativeLoad): string[] {
  if (native.addon !== undefined) {
    if (native.addon.version === VERSION) return [];
    return [`The native addon is of version ${native.addon.version}, this is holdfast ${VERSION}. Run "npm rebuild holdfast".`];
  }
  const loss = 'Saves and restores use the portable engine: no direct I/O, checksums in JavaScript.';
  if (process.env['HOLDFAST_ENGINE'] === 'portable') {
    return [`The native engine is switched off: ${native.reason}. ${loss} Unset it to use the native engine.`];
  }
  const remedy =
    process.platform === 'linux'
      ? 'Run "npm rebuild holdfast --foreground-scripts": it says what is missing.'
      : `There is a native engine for Linux only, not for ${process.platform}.`;
  return [`The native engine cannot be loaded: ${native.reason}. ${loss} ${remedy}`];
}

function describeIoUring(io: NativeIoUring | undefined): Diagnosis['ioUring'] {
  if (io === undefined) {
    const reason = 'only the native engine can use it, and it is not loaded';
    return { available: false, reason, used: false, why: reason };
  }
  const { available, reason, wish } = io;
  const used = io.used === 'io_uring';
  const why =
    wish !== 'auto' ? `HOLDFAST_IO=${wish}` : available ? `${io.used === 'io_uring' ? 'it is' : 'threads are'} the default` : reason;
  return { available, reason, used, why };
}

/** Exported for its test. */
export function ioWarnings(io: NativeIoUring | undefined): string[] {
  if (io === undefined) return [];
  if (io.unknownWish !== '') return [`HOLDFAST_IO=${io.unknownWish} means nothing; it can be auto, threads or io_uring. It is ignored.`];
  if (io.wish === 'io_uring' && !io.available) return [`HOLDFAST_IO=io_uring is set, but ${io.reason}. Threads are used instead.`];
  return [];
}

function directIoWarnings(probe: NativeProbe | undefined): string[] {
  if (probe === undefined || probe.directIo.supported) return [];
  return [`No direct I/O here: ${probe.directIo.reason}. Saves go through the page cache, which is slower for large checkpoints.`];
}

/** Why nothing can be written into `directory`, or `undefined` if it can. */
async function writeRefusal(directory: string): Promise<string | undefined> {
  try {
    await access(directory, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS' ? 'the file system is mounted read-only' : 'this user has no permission';
  }
}

function spaceWarnings(free: number): string[] {
  if (free >= LITTLE_SPACE_BYTES) return [];
  return [`Only ${formatBytes(free)} are free here. A save needs room for one more checkpoint before old ones are removed.`];
}
