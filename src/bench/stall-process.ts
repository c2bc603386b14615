/** Runs in a process of its own: one trial, so that no trial finds memory or compiled code that another one has left. */
import { rmSync } from 'node:fs';
import { type FromTrial, postFailure, type ToTrial } from './messages.js';
import { measureStall, type StallTrial } from './stall-trial.js';

const stop = new AbortController();

// Ctrl-C reaches every process of a terminal; the one that started this one says when to stop, or is gone.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => {});
process.on('disconnect', () => stop.abort());
process.on('message', (message: ToTrial) => {
  if (message.type === 'stop') stop.abort();
  else void run(message.trial);
});

async function run(trial: StallTrial): Promise<void> {
  try {
    const onProgress = (bytes: number, what: string) => tell({ type: 'progress', bytes, what });
    tell({ type: 'row', row: await measureStall(trial, { signal: stop.signal, onProgress }) });
  } catch (error) {
    tell({ type: 'failure', failure: postFailure(error) });
  } finally {
    rmSync(trial.directory, { recursive: true, force: true });
    if (process.connected) process.disconnect();
  }
}

function tell(message: FromTrial): void {
  // Whoever is gone need not be told.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
