/** What is converted: a source of any kind, in one form. Its tensors are read when they are asked for. */
import type { Dtype } from '../format/dtype.js';
import type { TensorRole } from '../format/layout.js';
import type { Contents } from '../format/manifest.js';
import type { Json, RunState } from '../format/state.js';
import type { Attachment } from '../manager/save-request.js';
import type { OptimizerRecord } from '../tfjs-record/extension.js';
import type { ModelDocument } from './model-document.js';

/** What can be converted, and into what. */
export type ConvertKind = 'checkpoint' | 'tfjs' | 'safetensors' | 'npz';

export const KINDS: readonly ConvertKind[] = ['checkpoint', 'tfjs', 'safetensors', 'npz'];

/** A tensor of a source. */
export interface SourceTensor {
  readonly name: string;
  readonly role: TensorRole;
  readonly dtype: Dtype;
  /** Sizes per dimension; of strings, which are stored as bytes, the one of these bytes. */
  readonly shape: readonly number[];
  /** Of a string tensor: its shape as strings. */
  readonly strings?: readonly number[] | undefined;
  readonly byteLength: number;
  /** Its bytes, little-endian, in pieces of any size. What the source has checksums for was compared with them. */
  read(signal: AbortSignal | undefined): AsyncIterable<Uint8Array>;
}

/** How a model was trained, as far as files can say it. */
export interface Training {
  /** tfjs' own record of loss, metrics and optimizer. */
  readonly trainingConfig: Json;
  readonly optimizer: OptimizerRecord | null;
}

/** What a checkpoint holds beside tensors and the model. */
export interface RunFacts {
  readonly step: number;
  readonly epoch?: number | undefined;
  readonly metrics?: Readonly<Record<string, number>> | undefined;
  readonly contents: Contents;
  readonly user?: Json | undefined;
  readonly run?: RunState | undefined;
  /** But for that of TensorFlow.js, which is {@link Training}. */
  readonly extensions?: Readonly<Record<string, Json>> | undefined;
  readonly software?: Readonly<Record<string, string>> | undefined;
  /** But for model.json. */
  readonly attachments?: readonly Attachment[] | undefined;
}

/** An open source. */
export interface SourceContents {
  readonly kind: ConvertKind;
  /** What was read: of a directory of checkpoints, the one that was chosen. */
  readonly path: string;
  readonly tensors: readonly SourceTensor[];
  readonly optimizer: readonly SourceTensor[];
  /** The model that the tensors are the weights of, where the source says so. */
  readonly model: ModelDocument | undefined;
  /** Names of the weights in the model's order, where there is one. */
  readonly order: readonly string[] | undefined;
  readonly training: Training | undefined;
  /** `undefined` where the source knows nothing of a run. */
  readonly run: RunFacts | undefined;
  readonly warnings: readonly string[];
  close(): Promise<void>;
}

/** Options of the calls that open a source. */
export interface OpenSourceOptions {
  /** Whether its optimizer is wanted; `undefined`: where there is one. */
  readonly optimizer: boolean | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Where plain files keep the tensors of an optimizer. */
export const OPTIMIZER_PREFIX = 'optimizer/';
