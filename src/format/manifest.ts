/** `manifest.json`, the commit record of a checkpoint. docs/FORMAT.md holds its grammar. */
import { HoldfastError } from '../errors.js';
import { JsonError, JsonFloat, type JsonObject, type JsonValue, parseJson } from './json.js';
import { isFileName, MANIFEST_NAME } from './names.js';
import { openSealed } from './sealed.js';

export const MANIFEST_VERSION = 1;
/** Default and largest chunk over which one CRC32C is kept, in bytes. */
export const DEFAULT_CHUNK_BYTES = 4 * 1024 * 1024;
export const MAX_CHUNK_BYTES = 64 * 1024 * 1024;

/** Files that are kept whole in memory (attachments, indexes) may be at most this long, in bytes. */
export const MAX_ATTACHMENT_BYTES = 256 * 1024 * 1024;

/** `full`: all that training needs to go on. `weights`: for inference and export only. */
export type Contents = 'full' | 'weights';
/** What a file of the checkpoint holds. */
export type FileRole = 'model' | 'optimizer' | 'index' | 'state' | 'attachment';

/** Checksum of one tensor's bytes and where they lie in the file. */
export interface ManifestTensor {
  readonly name: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
  readonly crc32c: string;
}

export interface ManifestFile {
  /** A basename, nothing else. */
  readonly name: string;
  readonly role: FileRole;
  readonly bytes: number;
  /** CRC32C of the whole file, eight lower-case hex digits. */
  readonly crc32c: string;
  readonly chunkBytes: number;
  /** CRC32C of every chunk, the last one may be shorter; none for an empty file. */
  readonly chunks: readonly string[];
  /** In the order of their bytes; only for tensor files. */
  readonly tensors?: readonly ManifestTensor[];
}

/** The metric that decided which checkpoint is best when this one was committed, and which way. */
export interface ManifestMonitor {
  readonly metric: string;
  readonly mode: 'min' | 'max';
  /** By how much a value has to be better than the best to take its place; 0 where it is not there. */
  readonly minDelta?: number;
  /** What the first best has to beat. */
  readonly threshold?: number;
  /** Whether this checkpoint became the best when it was committed. */
  readonly improved?: boolean;
}

export interface Manifest {
  readonly runId: string;
  /** Commit order: 1 + the highest before it. Never reused. */
  readonly sequence: number;
  readonly contents: Contents;
  readonly step: number;
  readonly epoch?: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly monitor?: ManifestMonitor;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Versions of what wrote it. */
  readonly software: Readonly<Record<string, string>>;
  readonly files: readonly ManifestFile[];
}

/** A manifest of a million tensors is about 100 MB; nothing sensible is beyond this. */
export const MAX_MANIFEST_BYTES = 512 * 1024 * 1024;

/** How JSON carries the numbers that it has no words for. */
export const METRIC_WORDS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  '-0': -0,
};

/**
 * Decodes and checks a manifest. Throws `ERR_MANIFEST`, or `ERR_UNSUPPORTED_VERSION` where the seal is
 * right and the version is newer than this library.
 */
export function decodeManifest(bytes: Uint8Array, checkpoint: string): Manifest {
  const opened = openSealed(bytes);
  if (!opened.ok) {
    throw new HoldfastError('ERR_MANIFEST', `The manifest of ${checkpoint} is damaged: ${opened.reason}.`, {
      checkpoint,
      file: MANIFEST_NAME,
      ...(opened.expected === undefined ? {} : { expected: opened.expected, actual: opened.actual as string }),
    });
  }
  let root: JsonValue;
  try {
    root = parseJson(opened.text, 16);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new Decoder(checkpoint).invalid(error.message);
  }
  return new Decoder(checkpoint).manifest(root);
}

const HEX = /^[0-9a-f]{8}$/;
const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const ROLES: ReadonlySet<unknown> = new Set(['model', 'optimizer', 'index', 'state', 'attachment'] satisfies FileRole[]);

/** Whether `value` is a time as manifests write it: ISO 8601, UTC, with milliseconds. */
export function isTimestamp(value: unknown): value is string {
  return typeof value === 'string' && DATE.test(value) && !Number.isNaN(Date.parse(value));
}

export function isFileRole(value: unknown): value is FileRole {
  return ROLES.has(value);
}

class Decoder {
  constructor(private readonly checkpoint: string) {}

  invalid(what: string): HoldfastError {
    return new HoldfastError('ERR_MANIFEST', `The manifest of ${this.checkpoint} breaks the format: ${what}.`, {
      checkpoint: this.checkpoint,
      file: MANIFEST_NAME,
    });
  }

  manifest(root: JsonValue): Manifest {
    if (!(root instanceof Map) || root.get('format') !== 'holdfast') throw this.invalid('it is not a holdfast manifest');
    const version = this.count(root, 'version');
    if (version !== MANIFEST_VERSION) {
      throw new HoldfastError(
        'ERR_UNSUPPORTED_VERSION',
        `The manifest of ${this.checkpoint} has format version ${version}; this holdfast reads version ${MANIFEST_VERSION}. Update holdfast.`,
        { checkpoint: this.checkpoint, file: MANIFEST_NAME, expected: MANIFEST_VERSION, actual: version },
      );
    }
    const contents = this.string(root, 'contents');
    if (contents !== 'full' && contents !== 'weights') throw this.invalid(`contents is ${JSON.stringify(contents)}`);
    const sequence = this.count(root, 'sequence');
    if (sequence < 1) throw this.invalid('sequence is less than 1');
    const monitor = this.monitor(root.get('monitor'));
    return {
      runId: this.string(root, 'runId'),
      sequence,
      contents,
      step: this.count(root, 'step'),
      ...(root.has('epoch') ? { epoch: this.count(root, 'epoch') } : {}),
      metrics: this.metrics(root.get('metrics')),
      ...(monitor === undefined ? {} : { monitor }),
      createdAt: this.date(this.string(root, 'createdAt')),
      software: this.software(root.get('software')),
      files: this.files(root.get('files')),
    };
  }

  private count(object: JsonObject, key: string): number {
    const value = object.get(key);
    if (typeof value !== 'number' || value < 0) throw this.invalid(`${key} is not a non-negative integer`);
    return value;
  }

  private string(object: JsonObject, key: string): string {
    const value = object.get(key);
    if (typeof value !== 'string') throw this.invalid(`${key} is not a string`);
    return value;
  }

  private hex(object: JsonObject, key: string): string {
    const value = object.get(key);
    if (typeof value !== 'string' || !HEX.test(value)) throw this.invalid(`${key} is not eight hex digits`);
    return value;
  }

  private date(text: string): string {
    if (!isTimestamp(text)) throw this.invalid('createdAt is not a date');
    return text;
  }

  private monitor(value: JsonValue | undefined): Manifest['monitor'] {
    if (value === undefined) return undefined;
    if (!(value instanceof Map)) throw this.invalid('monitor is not an object');
    const mode = this.string(value, 'mode');
    if (mode !== 'min' && mode !== 'max') throw this.invalid('monitor.mode is neither min nor max');
    const metric = this.string(value, 'metric');
    const minDelta = this.optionalNumber(value, 'minDelta');
    if (minDelta !== undefined && minDelta < 0) throw this.invalid('monitor.minDelta is less than 0');
    const threshold = this.optionalNumber(value, 'threshold');
    const improved = value.get('improved');
    if (improved !== undefined && typeof improved !== 'boolean') throw this.invalid('monitor.improved is neither true nor false');
    return {
      metric,
      mode,
      ...(minDelta === undefined ? {} : { minDelta }),
      ...(threshold === undefined ? {} : { threshold }),
      ...(improved === undefined ? {} : { improved }),
    };
  }

  private optionalNumber(object: JsonObject, key: string): number | undefined {
    const value = object.get(key);
    if (value === undefined) return undefined;
    const number = value instanceof JsonFloat ? value.value : value;
    if (typeof number !== 'number' || !Number.isFinite(number)) throw this.invalid(`monitor.${key} is not a number`);
    return number;
  }

  private metrics(value: JsonValue | undefined): Record<string, number> {
    if (!(value instanceof Map)) throw this.invalid('metrics is not an object');
    const metrics: Record<string, number> = Object.create(null);
    for (const [name, metric] of value) metrics[name] = this.metric(name, metric);
    return metrics;
  }

  private metric(name: string, value: JsonValue): number {
    if (typeof value === 'number') return value;
    if (value instanceof JsonFloat && Number.isFinite(value.value)) return value.value;
    if (typeof value === 'string' && Object.hasOwn(METRIC_WORDS, value)) return METRIC_WORDS[value] as number;
    throw this.invalid(`the metric ${JSON.stringify(name)} is not a number`);
  }

  private software(value: JsonValue | undefined): Record<string, string> {
    if (!(value instanceof Map)) throw this.invalid('software is not an object');
    const software: Record<string, string> = Object.create(null);
    for (const name of value.keys()) software[name] = this.string(value, name);
    return software;
  }

  private files(value: JsonValue | undefined): ManifestFile[] {
    if (!Array.isArray(value)) throw this.invalid('files is not a list');
    const names = new Set<string>();
    const tensors = new Set<string>();
    let states = 0;
    return value.map((item) => {
      if (!(item instanceof Map)) throw this.invalid('an entry of files is not an object');
      const file = this.file(item);
      if (names.has(file.name)) throw this.invalid(`the file ${JSON.stringify(file.name)} is listed twice`);
      names.add(file.name);
      if (file.role === 'state' && ++states > 1) throw this.invalid('there is more than one state file');
      for (const { name } of file.tensors ?? []) {
        const key = `${file.role}/${name}`;
        if (tensors.has(key)) throw this.invalid(`the ${file.role} tensor ${JSON.stringify(name)} is listed twice`);
        tensors.add(key);
      }
      return file;
    });
  }

  private file(object: JsonObject): ManifestFile {
    const name = this.string(object, 'name');
    if (!isFileName(name)) throw this.invalid(`${JSON.stringify(name)} is not a plain file name`);
    const role = this.string(object, 'role');
    if (!isFileRole(role)) throw this.invalid(`${name} has the unknown role ${JSON.stringify(role)}`);
    const bytes = this.count(object, 'bytes');
    const chunkBytes = this.count(object, 'chunkBytes');
    if (chunkBytes < 1 || chunkBytes > MAX_CHUNK_BYTES) throw this.invalid(`chunkBytes of ${name} is out of range`);
    const chunks = object.get('chunks');
    const wellFormed = Array.isArray(chunks) && chunks.every((crc) => typeof crc === 'string' && HEX.test(crc));
    if (!wellFormed || chunks.length !== Math.ceil(bytes / chunkBytes)) {
      throw this.invalid(`chunks of ${name} are not one checksum per ${chunkBytes} bytes`);
    }
    const isTensorFile = role === 'model' || role === 'optimizer';
    return {
      name,
      role,
      bytes,
      crc32c: this.hex(object, 'crc32c'),
      chunkBytes,
      chunks: chunks as string[],
      ...(isTensorFile ? { tensors: this.tensors(object.get('tensors'), name, bytes) } : {}),
    };
  }

  private tensors(value: JsonValue | undefined, file: string, fileBytes: number): ManifestTensor[] {
    if (!Array.isArray(value)) throw this.invalid(`tensors of ${file} is not a list`);
    let end = 0;
    const tensors = value.map((item, index) => {
      if (!(item instanceof Map)) throw this.invalid(`an entry of tensors of ${file} is not an object`);
      const tensor: ManifestTensor = {
        name: this.string(item, 'name'),
        offset: this.count(item, 'offset'),
        bytes: this.count(item, 'bytes'),
        crc32c: this.hex(item, 'crc32c'),
      };
      if (index > 0 && tensor.offset !== end) throw this.invalid(`tensors of ${file} do not lie one after another`);
      end = tensor.offset + tensor.bytes;
      return tensor;
    });
    if (value.length > 0 && end !== fileBytes) throw this.invalid(`tensors of ${file} do not end with the file`);
    return tensors;
  }
}
