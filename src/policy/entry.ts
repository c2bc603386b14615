/** What policies know of a checkpoint. */
import type { Contents, ManifestMonitor } from '../format/manifest.js';

/** A good checkpoint, as pure data. */
export interface PolicyEntry {
  readonly name: string;
  /** Commit order; unique. */
  readonly sequence: number;
  readonly step: number;
  readonly epoch: number | undefined;
  /** Commit time in milliseconds since 1970, by a clock that may have jumped. */
  readonly time: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly bytes: number;
  readonly contents: Contents;
  /** What was watched when it was committed. */
  readonly monitor?: ManifestMonitor | undefined;
  /** Names that somebody gave it: it stays as long as it has one. */
  readonly tags?: readonly string[] | undefined;
}
