// A process that trains one case and dies on the way; argument: JSON. Every loss is in `log` before training goes on.
import { appendFileSync } from 'node:fs';
import { loadTf } from './backends.mjs';
import { trainCase } from './workload.mjs';

const { library, backend, log, ...rest } = JSON.parse(process.argv[2]);
await trainCase({
  ...rest,
  tf: await loadTf(backend),
  holdfast: await import(library),
  onStep: (step, loss) => appendFileSync(log, `${JSON.stringify([step, loss])}\n`),
});
// It was to be killed.
process.exitCode = 3;
