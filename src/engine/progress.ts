/** Progress of long work. */

/** What a save, restore or verification is doing right now. */
export interface Progress {
  /** `queue`: waiting for earlier saves. `done`: committed. */
  readonly phase: 'queue' | 'write' | 'sync' | 'verify' | 'commit' | 'done' | 'read';
  /** Bytes done and bytes in all, over the whole call. */
  readonly bytes: number;
  readonly totalBytes: number;
  /** Checkpoint and file at work, where there is one. */
  readonly checkpoint?: string;
  readonly file?: string;
}

export type ProgressListener = (progress: Progress) => void;

/** A listener that cannot hurt: what it throws becomes a warning of the process, once, and the work goes on. */
export function guardListener(listener: ProgressListener | undefined): ProgressListener | undefined {
  if (listener === undefined) return undefined;
  let warned = false;
  return (progress) => {
    try {
      listener(progress);
    } catch (error) {
      if (!warned) process.emitWarning(`onProgress threw, and is ignored: ${String(error)}`, 'HoldfastWarning');
      warned = true;
    }
  };
}

const INTERVAL_MS = 100;

/** Reports `measure()` at a steady pace while `work` runs, and once at its end. */
export async function withProgress<T>(listener: ProgressListener | undefined, measure: () => Progress, work: () => Promise<T>): Promise<T> {
  if (listener === undefined) return work();
  const timer = setInterval(() => listener(measure()), INTERVAL_MS);
  try {
    listener(measure());
    const result = await work();
    listener(measure());
    return result;
  } finally {
    clearInterval(timer);
  }
}
