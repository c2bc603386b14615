/** Runs in a worker of the pool: some runs of a job under every policy. */
import { isHoldfastError } from '../errors.js';
import { policyOf } from '../interval/simulate/registry.js';
import { simulateRuns } from '../interval/simulate/simulate.js';
import type { Batch, BatchReply } from './batch.js';

/** Never rejects for what the caller did wrong: such an error would lose its code on the way. */
export default function run({ job, policies, seed, from, count }: Batch): BatchReply {
  try {
    return { runs: simulateRuns(job, policies.map(policyOf), { seed, from, count }) };
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return { error: { code: error.code, message: error.message } };
  }
}
