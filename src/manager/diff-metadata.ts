/** What two manifests say differently, and where two state documents differ. */
import { compareJson } from '../format/compare-json.js';
import type { Manifest, ManifestMonitor } from '../format/manifest.js';
import { RUN_STATE_KEYS } from '../format/state.js';
import type { AttachmentSum, Both, MetadataDiff, NamedDifference } from './diff-report.js';
import type { Side } from './diff-side.js';

const MAX_STATE_DIFFERENCES = 100;

/** Compares manifests and state documents; `null` unless both sides are checkpoints. Throws what is wrong with a state document. */
export async function compareMetadata(a: Side, b: Side, signal: AbortSignal | undefined): Promise<MetadataDiff | null> {
  const [ofA, ofB] = [a.manifest, b.manifest];
  if (ofA === null || ofB === null) return null;
  const both = <T>(pick: (manifest: Manifest) => T): Both<T> => ({ a: pick(ofA), b: pick(ofB) });
  return {
    step: both(({ step }) => step),
    epoch: both(({ epoch = null }) => epoch),
    contents: both(({ contents }) => contents),
    monitor: both(watched),
    metrics: namedDifferences(ofA.metrics, ofB.metrics, isSameNumber),
    software: namedDifferences(ofA.software, ofB.software, (x, y) => x === y),
    state: await compareStates(a, b, signal),
    attachments: namedDifferences(attachmentsOf(ofA), attachmentsOf(ofB), (x, y) => x.bytes === y.bytes && x.crc32c === y.crc32c),
  };
}

/** Whether all is equal that counts. */
export function isSame({ step, epoch, contents, monitor, metrics, state, attachments }: MetadataDiff): boolean {
  const sameMonitor = (['metric', 'mode', 'minDelta', 'threshold'] as const).every((key) => monitor.a?.[key] === monitor.b?.[key]);
  const sameNumbers = step.a === step.b && epoch.a === epoch.b && contents.a === contents.b;
  return sameNumbers && sameMonitor && metrics.length + state.differences.length + attachments.length === 0;
}

/** What was watched; whether the checkpoint became the best is about its neighbours. */
function watched({ monitor }: Manifest): ManifestMonitor | null {
  if (monitor === undefined) return null;
  const { improved: _, ...rest } = monitor;
  return rest;
}

/** NaN equals NaN, and 0 equals −0, as in tensors. */
function isSameNumber(x: number, y: number): boolean {
  return x === y || (Number.isNaN(x) && Number.isNaN(y));
}

/** By name: those of `a` in their order, then those that only `b` has. */
function namedDifferences<T>(
  a: Readonly<Record<string, T>>,
  b: Readonly<Record<string, T>>,
  isSameValue: (x: T, y: T) => boolean,
): NamedDifference<T>[] {
  const differences: NamedDifference<T>[] = [];
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const x = Object.hasOwn(a, name) ? (a[name] as T) : null;
    const y = Object.hasOwn(b, name) ? (b[name] as T) : null;
    if (x === null || y === null || !isSameValue(x, y)) differences.push({ name, a: x, b: y });
  }
  return differences;
}

function attachmentsOf({ files }: Manifest): Record<string, AttachmentSum> {
  const sums: Record<string, AttachmentSum> = Object.create(null);
  for (const { role, name, bytes, crc32c } of files) if (role === 'attachment') sums[name] = { bytes, crc32c };
  return sums;
}

async function compareStates(a: Side, b: Side, signal: AbortSignal | undefined): Promise<MetadataDiff['state']> {
  const [fileA, fileB] = [a.stateFile, b.stateFile];
  if (fileA !== undefined && fileA.bytes === fileB?.bytes && fileA.crc32c === fileB.crc32c) return { differences: [], more: 0 };
  const [stateA, stateB] = [await a.readState(signal), await b.readState(signal)];
  return compareJson(
    [
      { path: 'state', a: stateA.user, b: stateB.user },
      ...RUN_STATE_KEYS.map((key) => ({ path: key, a: stateA.run?.[key], b: stateB.run?.[key] })),
      { path: 'extensions', a: stateA.extensions, b: stateB.extensions },
    ],
    MAX_STATE_DIFFERENCES,
  );
}
