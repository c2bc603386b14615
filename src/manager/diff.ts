/** What differs between two checkpoints, or safetensors files: tensors, metadata, state, attachments. */
import type { EngineName } from '../engine/contract.js';
import { type Progress, withProgress } from '../engine/progress.js';
import { selectEngine } from '../engine/select.js';
import { throwIfAborted } from '../engine/system-error.js';
import type { ValueDifference } from '../format/compare-values.js';
import { compareUtf8 } from '../format/names.js';
import { assertKnown } from '../known-options.js';
import { compareMetadata, isSame } from './diff-metadata.js';
import type { ChangedTensor, DiffReport, DiffSide, DiffTensor, LoneTensor, TensorsDiff } from './diff-report.js';
import { openSide, type Side, type SideTensor } from './diff-side.js';
import { comparePairs, type TensorPair } from './diff-values.js';
import { assertPath, type CallOptions, checkCallOptions, oneOf } from './options.js';

/** Options of {@link diffPaths}. */
export interface DiffOptions extends CallOptions {
  readonly engine?: EngineName | 'auto';
  /** By how much tensors differ. Default true; false spares reading those whose checksums say that they do. */
  readonly values?: boolean;
}

/**
 * Compares two checkpoint directories, links to them, or bare safetensors files, in any combination. Tensors of equal dtype, shape and
 * CRC32C are equal and are not read. All others are read in pieces, whatever their size, and every byte is checked. Throws
 * `ERR_NOT_FOUND`, `ERR_PERMISSION`, `ERR_ABORTED`, and what is damaged on either side.
 */
export async function diffPaths(a: string, b: string, given: DiffOptions = {}): Promise<DiffReport> {
  assertKnown('diffPaths', given, ['engine', 'values', 'signal', 'onProgress']);
  const { engine = 'auto', values = true, ...rest } = given;
  assertPath('diffPaths', a);
  assertPath('diffPaths', b);
  oneOf('engine', engine, ['auto', 'native', 'portable']);
  oneOf('values', values, [true, false]);
  const options = { ...checkCallOptions('diffPaths', rest), values };
  throwIfAborted(options.signal, 'The comparison');
  const selected = selectEngine(engine);
  const sideA = await openSide(a, selected);
  try {
    const sideB = await openSide(b, selected);
    try {
      return await compareSides(sideA, sideB, options);
    } finally {
      await sideB.close();
    }
  } finally {
    await sideA.close();
  }
}

interface CheckedOptions extends CallOptions {
  readonly values: boolean;
}

async function compareSides(a: Side, b: Side, options: CheckedOptions): Promise<DiffReport> {
  const metadata = await compareMetadata(a, b, options.signal);
  const tensors = await compareTensors(a, b, options);
  const same = tensors.added.length + tensors.removed.length + tensors.changed.length === 0 && (metadata === null || isSame(metadata));
  return { same, a: describeSide(a), b: describeSide(b), tensors, metadata };
}

function describeSide({ path, name, manifest }: Side): DiffSide {
  const { runId = null, sequence = null, createdAt = null } = manifest ?? {};
  return { path, name, kind: manifest === null ? 'file' : 'checkpoint', runId, sequence, createdAt };
}

async function compareTensors(a: Side, b: Side, { values, signal, onProgress }: CheckedOptions): Promise<TensorsDiff> {
  const [ofA, ofB] = [comparableTensors(a, b), comparableTensors(b, a)];
  const removed: LoneTensor[] = [];
  const changed: ChangedTensor[] = [];
  const unsure: TensorPair[] = [];
  let equal = 0;
  for (const [key, tensor] of ofA) {
    const other = ofB.get(key);
    if (other === undefined) removed.push(loneTensor(tensor));
    else if (!hasSameKind(tensor, other)) changed.push(changedTensor(tensor, other, null));
    else if (tensor.crc32c === null || other.crc32c === null) unsure.push({ a: tensor, b: other });
    else if (tensor.crc32c === other.crc32c) equal++;
    else if (values) unsure.push({ a: tensor, b: other });
    else changed.push(changedTensor(tensor, other, null));
  }
  const reading = new Reading(a.name, unsure);
  const results = await withProgress(
    onProgress,
    () => reading.now(),
    () => comparePairs(unsure, { values, signal, onRead: reading.add }),
  );
  unsure.forEach((pair, i) => {
    const difference = results[i];
    if (difference === undefined) equal++;
    else changed.push(changedTensor(pair.a, pair.b, values ? difference : null));
  });
  const added = [...ofB].filter(([key]) => !ofA.has(key)).map(([, tensor]) => loneTensor(tensor));
  const notCompared = a.tensors.length - ofA.size + b.tensors.length - ofB.size;
  return {
    equal,
    added: added.sort(byRoleAndName),
    removed: removed.sort(byRoleAndName),
    changed: changed.sort(byRoleAndName),
    notCompared,
  };
}

/** How far the reading of both sides is. */
class Reading {
  private bytes = 0;
  private file: string | undefined;
  private readonly totalBytes: number;

  constructor(
    private readonly checkpoint: string,
    pairs: readonly TensorPair[],
  ) {
    this.totalBytes = pairs.reduce((sum, { a }) => sum + 2 * a.entry.bytes, 0);
  }

  readonly add = (bytes: number, { a }: TensorPair): void => {
    this.bytes += bytes;
    this.file = a.file.name;
  };

  now(): Progress {
    const { bytes, totalBytes, checkpoint, file } = this;
    return { phase: 'read', bytes, totalBytes, checkpoint, ...(file === undefined ? {} : { file }) };
  }
}

/** The tensors of `side` that `other` could have as well, by role and name. */
function comparableTensors(side: Side, other: Side): Map<string, SideTensor> {
  const keyed = (tensors: readonly SideTensor[]) => new Map(tensors.map((tensor) => [`${tensor.role}/${tensor.entry.name}`, tensor]));
  const { bareRole } = other;
  if (bareRole === undefined) return keyed(side.tensors);
  // A bare file is one set of tensors: against a checkpoint that of its role, against another one whatever both are called.
  if (side.bareRole === undefined) return keyed(side.tensors.filter(({ role }) => role === bareRole));
  const role = side.bareRole === bareRole ? bareRole : 'model';
  return keyed(side.tensors.map((tensor) => ({ ...tensor, role })));
}

function hasSameKind({ entry: a }: SideTensor, { entry: b }: SideTensor): boolean {
  return a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((size, i) => size === b.shape[i]);
}

function describeTensor({ entry: { dtype, shape, bytes }, crc32c }: SideTensor): DiffTensor {
  return { dtype, shape, bytes, crc32c };
}

function loneTensor(tensor: SideTensor): LoneTensor {
  return { name: tensor.entry.name, role: tensor.role, ...describeTensor(tensor) };
}

function changedTensor(a: SideTensor, b: SideTensor, values: ValueDifference | null): ChangedTensor {
  return { name: a.entry.name, role: a.role, a: describeTensor(a), b: describeTensor(b), values };
}

type Named = Pick<LoneTensor, 'role' | 'name'>;

function byRoleAndName(a: Named, b: Named): number {
  return compareUtf8(a.role, b.role) || compareUtf8(a.name, b.name);
}
