// A process that runs histories for run.mjs: it is sent ranges of seeds, and tells what came of each.
import { CONTROLS } from '../../build/simulation/test/simulation/controls.js';
import { runHistory } from '../../build/simulation/test/simulation/history.js';

process.on('message', async ({ from, count, control }) => {
  const breakage = CONTROLS[control]?.breakage;
  const sum = { operations: 0, acknowledged: 0, failures: [] };
  for (let seed = from; seed < from + count; seed += 1) {
    process.send({ type: 'begun', seed });
    const { violations, operations, acknowledged } = await runHistory(seed, { breakage });
    sum.operations += operations;
    sum.acknowledged += acknowledged;
    if (violations.length > 0) sum.failures.push({ seed, violations });
  }
  process.send({ type: 'done', count, ...sum });
});
