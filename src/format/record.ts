/** What a listing needs of a manifest: all of it but the checksums. Kept in `registry.json`, so that thousands of checkpoints are listed at once. */
import { isFileRole, isTimestamp, type Manifest, type ManifestFile, type ManifestMonitor, METRIC_WORDS } from './manifest.js';
import { encodeMetrics } from './manifest-encode.js';
import { isFileName } from './names.js';

/** A file of a checkpoint, without its checksums. */
export type RecordedFile = Pick<ManifestFile, 'name' | 'role' | 'bytes'>;

/** A manifest without checksums. Every {@link Manifest} is one. */
export interface CheckpointRecord extends Omit<Manifest, 'files'> {
  readonly files: readonly RecordedFile[];
}

/** Leaves the checksums away, which for many tensors are megabytes. */
export function recordOf(manifest: CheckpointRecord): CheckpointRecord {
  return { ...manifest, files: manifest.files.map(({ name, role, bytes }) => ({ name, role, bytes })) };
}

/** As a value for JSON. */
export function encodeRecord({ metrics, ...rest }: CheckpointRecord): object {
  return { ...rest, metrics: encodeMetrics(metrics) };
}

/** A record from parsed JSON; `undefined` where no manifest could say so: what a record says is believed in its place. */
export function decodeRecord(value: unknown): CheckpointRecord | undefined {
  if (!isObject(value)) return undefined;
  const { runId, sequence, contents, step, epoch, metrics, monitor, createdAt, software, files } = value;
  const numbers = metricsOf(metrics);
  const sound =
    typeof runId === 'string' &&
    isCount(sequence) &&
    sequence >= 1 &&
    (contents === 'full' || contents === 'weights') &&
    isCount(step) &&
    (epoch === undefined || isCount(epoch)) &&
    numbers !== undefined &&
    (monitor === undefined || isMonitor(monitor)) &&
    isTimestamp(createdAt) &&
    isObject(software) &&
    Object.values(software).every((version) => typeof version === 'string') &&
    Array.isArray(files) &&
    files.every(isFile);
  return sound ? { ...(value as unknown as CheckpointRecord), metrics: numbers } : undefined;
}

function metricsOf(value: unknown): Record<string, number> | undefined {
  if (!isObject(value)) return undefined;
  const metrics: Record<string, number> = Object.create(null);
  for (const [name, metric] of Object.entries(value)) {
    const number = typeof metric === 'string' && Object.hasOwn(METRIC_WORDS, metric) ? METRIC_WORDS[metric] : metric;
    // As in a manifest, 1e999 is no number.
    if (typeof number !== 'number' || (number === metric && !Number.isFinite(number))) return undefined;
    metrics[name] = number;
  }
  return metrics;
}

function isMonitor(value: unknown): value is ManifestMonitor {
  if (!isObject(value) || typeof value['metric'] !== 'string') return false;
  const { mode, minDelta, threshold, improved } = value;
  const numbers = [minDelta, threshold].every((number) => number === undefined || Number.isFinite(number));
  if (!numbers || (minDelta !== undefined && (minDelta as number) < 0)) return false;
  return (mode === 'min' || mode === 'max') && (improved === undefined || typeof improved === 'boolean');
}

function isFile(value: unknown): value is RecordedFile {
  if (!isObject(value)) return false;
  const { name, role, bytes } = value;
  return typeof name === 'string' && isFileName(name) && isFileRole(role) && isCount(bytes);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
