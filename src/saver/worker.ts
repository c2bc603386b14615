/** Runs in a worker of the pool: one save, from the job to the answer. */
import { selectEngine } from '../engine/select.js';
import { toHoldfastError } from '../engine/system-error.js';
import { blockThisThread } from '../fs.js';
import { Inbox } from './inbox.js';
import { postError, type SaveJob, type SaveReply } from './job.js';
import { writeCheckpoint } from './write-checkpoint.js';

// Nothing else waits for this thread: streams and cancellation are looked at between the steps.
blockThisThread();

/** Never rejects: errors of this library would lose their code on the way. */
export default async function run(job: SaveJob): Promise<SaveReply> {
  try {
    const engine = selectEngine(job.engine);
    if (job.nice > 0) engine.lowerPriority(job.nice);
    await writeCheckpoint(job, engine, new Inbox(job.port, engine));
    return {};
  } catch (error) {
    return { error: postError(toHoldfastError(error, 'write the checkpoint')) };
  } finally {
    job.port.close();
  }
}
