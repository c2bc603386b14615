/** What a comparison of two checkpoints finds. */
import type { JsonDifference } from '../format/compare-json.js';
import type { ValueDifference } from '../format/compare-values.js';
import type { Dtype } from '../format/dtype.js';
import type { TensorRole } from '../format/layout.js';
import type { Contents, Manifest } from '../format/manifest.js';

/** A value on both sides. */
export interface Both<T> {
  readonly a: T;
  readonly b: T;
}

/** What was compared. The fields below `kind` are no differences, and `null` for a bare file. */
export interface DiffSide {
  readonly path: string;
  readonly name: string;
  readonly kind: 'checkpoint' | 'file';
  readonly runId: string | null;
  readonly sequence: number | null;
  /** ISO 8601. */
  readonly createdAt: string | null;
}

/** A tensor of one side. */
export interface DiffTensor {
  readonly dtype: Dtype;
  /** Sizes per dimension; `[]` is a scalar. */
  readonly shape: readonly number[];
  readonly bytes: number;
  /** `null` in a bare file. */
  readonly crc32c: string | null;
}

/** A tensor that only one side has. */
export interface LoneTensor extends DiffTensor {
  readonly name: string;
  readonly role: TensorRole;
}

/** A tensor whose dtype, shape or bytes differ. */
export interface ChangedTensor extends Both<DiffTensor> {
  readonly name: string;
  readonly role: TensorRole;
  /** By how much; `null` where dtype or shape differ, or values were not asked for. */
  readonly values: ValueDifference | null;
}

/** Lists are in the order of roles and names. */
export interface TensorsDiff {
  readonly equal: number;
  /** Only in b. */
  readonly added: readonly LoneTensor[];
  /** Only in a. */
  readonly removed: readonly LoneTensor[];
  readonly changed: readonly ChangedTensor[];
  /** Tensors of the optimizer (or of the model) beside a bare file, which can only hold those of one of them. */
  readonly notCompared: number;
}

/** A value by name that differs; `null` where a side does not have it. */
export interface NamedDifference<T> extends Both<T | null> {
  readonly name: string;
}

/** Length and checksum of an attachment. */
export interface AttachmentSum {
  readonly bytes: number;
  readonly crc32c: string;
}

/** What two manifests say, and the state documents. */
export interface MetadataDiff {
  readonly step: Both<number>;
  readonly epoch: Both<number | null>;
  readonly contents: Both<Contents>;
  readonly monitor: Both<Manifest['monitor'] | null>;
  /** Those that differ. */
  readonly metrics: readonly NamedDifference<number>[];
  /** Those that differ, which by itself makes no difference. */
  readonly software: readonly NamedDifference<string>[];
  /** Up to 100 places, and how many more there are. */
  readonly state: { readonly differences: readonly JsonDifference[]; readonly more: number };
  /** Those that differ. */
  readonly attachments: readonly NamedDifference<AttachmentSum>[];
}

/** What {@link diffPaths} finds. */
export interface DiffReport {
  /** Nothing differs but names, run, sequence, time and software. */
  readonly same: boolean;
  readonly a: DiffSide;
  readonly b: DiffSide;
  readonly tensors: TensorsDiff;
  /** `null` unless both sides are checkpoints. */
  readonly metadata: MetadataDiff | null;
}
