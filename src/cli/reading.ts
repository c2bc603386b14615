/** What commands that read checkpoints have in common: by which engine, and how they show how far they are. */
import { Option } from 'commander';
import type { Progress } from '../engine/progress.js';

/** `--engine`. */
export function engineOption(): Option {
  return new Option('--engine <NAME>', 'how to read: native (direct I/O), portable, or auto: native where it loads')
    .choices(['auto', 'native', 'portable'])
    .default('auto');
}

/** Does `work`, with a bar where standard error is a terminal. */
export async function showingProgress<T>(work: (onProgress?: (progress: Progress) => void) => Promise<T>): Promise<T> {
  if (!process.stderr.isTTY) return work();
  const { ProgressBar } = await import('../terminal/progress-bar.js');
  const bar = new ProgressBar({ stream: process.stderr });
  try {
    return await work(bar.update);
  } finally {
    bar.finish();
  }
}
