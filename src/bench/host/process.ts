/** Runs in a process of its own: one contender, so that processor time and memory are its own. */

import type { Measured } from '../contender.js';
import { peakBytes, restartPeak } from '../memory.js';
import { postFailure } from '../messages.js';
import { bareSave, fsLoad, fsSave } from './file-jobs.js';
import { holdfastLoad, holdfastSave, holdfastVerify } from './holdfast-jobs.js';
import type { Job, MakeJob } from './job.js';
import type { FromHost, JobName, ToHost } from './messages.js';
import { tfjsSave } from './tfjs-node.js';

const JOBS: Readonly<Record<JobName, MakeJob>> = {
  'holdfast-save': holdfastSave,
  'holdfast-load': holdfastLoad('used'),
  'holdfast-load-fresh': holdfastLoad('new'),
  'holdfast-verify': holdfastVerify,
  'fs-save': fsSave,
  'fs-load': fsLoad,
  'bare-save': bareSave,
  'tfjs-save': tfjsSave,
};

let job: Job | undefined;
let repeats = 1;
let calls = 0;

// Ctrl-C reaches every process of a terminal; the one that started this one ends it, or is gone.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => {});
process.on('disconnect', () => process.exit(0));
process.on('message', (message: ToHost) => {
  void answer(message).catch((error: unknown) => tell({ type: 'failure', failure: postFailure(error) }));
});

async function answer(message: ToHost): Promise<void> {
  if (message.type === 'start') {
    job = await JOBS[message.job](message.settings);
    repeats = message.settings.repeats;
    tell({ type: 'started' });
  } else if (job !== undefined) {
    tell({ type: 'ran', measured: await run(job, message.round), warnings: job.warnings ?? [] });
  }
}

/** The mean of the calls of one run; what comes between calls is not in it. */
async function run(ready: Job, round: number): Promise<Measured> {
  await ready.before?.(round);
  const before = restartPeak();
  let seconds = 0;
  let cpuSeconds = 0;
  for (let i = 0; i < repeats; i++) {
    const call = calls++;
    const cpu = process.cpuUsage();
    const began = performance.now();
    await ready.run(call);
    seconds += (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    cpuSeconds += (user + system) / 1e6;
    await ready.after?.(call);
  }
  return { seconds: seconds / repeats, cpuSeconds: cpuSeconds / repeats, maxRssBytes: before === null ? null : peakBytes() };
}

function tell(message: FromHost): void {
  // Whoever is gone need not be told.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
