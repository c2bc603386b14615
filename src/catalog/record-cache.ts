/** What was read of manifests before: a directory is looked at around every save, and most of it has not changed. */
import path from 'node:path';
import { MANIFEST_NAME } from '../format/names.js';
import { type CheckpointRecord, recordOf } from '../format/record.js';
import { lstatExactly } from '../fs.js';

/** A record, and which file it was read from. */
export interface StampedRecord {
  /** Device, inode, size and change times of the manifest. */
  readonly stamp: string;
  readonly record: CheckpointRecord;
}

/** Remembers the records of one directory by the checkpoints' names, each as long as its manifest is the same file, unchanged. */
export class RecordCache {
  private readonly known: Map<string, StampedRecord>;
  /** Whether something was learned or forgotten that `known`, as it was given, does not say. */
  private changed = false;

  constructor(known: ReadonlyMap<string, StampedRecord> = new Map()) {
    this.known = new Map(known);
  }

  get isChanged(): boolean {
    return this.changed;
  }

  /** The record of the checkpoint in `directory`; `read` is called where its manifest is new or has changed, and may throw. */
  async read(directory: string, read: (directory: string) => Promise<CheckpointRecord>): Promise<CheckpointRecord> {
    const name = path.basename(directory);
    const stamp = await stampOf(directory);
    const known = this.known.get(name);
    if (known !== undefined && known.stamp === stamp) return known.record;
    if (this.known.delete(name)) this.changed = true;
    const record = recordOf(await read(directory));
    if (stamp !== undefined) this.set(name, { stamp, record });
    return record;
  }

  /** The record of a checkpoint that was just written to `directory`. */
  async add(directory: string, record: CheckpointRecord): Promise<void> {
    const stamp = await stampOf(directory);
    if (stamp !== undefined) this.set(path.basename(directory), { stamp, record: recordOf(record) });
  }

  /** What is known of a checkpoint. */
  get(name: string): StampedRecord | undefined {
    return this.known.get(name);
  }

  /** Forgets what is not among `names` any more. */
  retain(names: Iterable<string>): void {
    const present = new Set(names);
    for (const name of this.known.keys()) {
      if (present.has(name)) continue;
      this.known.delete(name);
      this.changed = true;
    }
  }

  private set(name: string, stamped: StampedRecord): void {
    this.known.set(name, stamped);
    this.changed = true;
  }
}

async function stampOf(directory: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await lstatExactly(path.join(directory, MANIFEST_NAME));
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    return undefined;
  }
}
