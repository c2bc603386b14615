/** What policies know of a checkpoint. */
import type { Contents } from '../format/manifest.js';

/** A good checkpoint, as pure data. */
export interface PolicyEntry {
  readonly name: string;
  /** Commit order; unique. */
  readonly sequence: number;
  readonly step: number;
  readonly epoch: number | undefined;
  /** Commit time in milliseconds since 1970. */
  readonly time: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly bytes: number;
  readonly contents: Contents;
}
