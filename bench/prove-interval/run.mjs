#!/usr/bin/env node
// The proof by real failures; `--help` says what it does and takes.
//
// schedule.mjs   when lives end, and who lives where and when      → proof.mjs runs them, one turn after the other
// life.mjs       one process from its start to its kill            → child.mjs is that process, job.mjs what it trains
// record.mjs     what is kept of a life, and what must be true     → analysis.mjs: realised against predicted
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { whatIsMissing } from '../lib/missing.mjs';
import { killAll } from './life.mjs';
import { readSettings } from './options.mjs';
import { plotOf } from './plot.mjs';
import { Interrupted, Proof } from './proof.mjs';
import { markdown, printed } from './report.mjs';

const given = readSettings();
if (given !== undefined) process.exitCode = await main(given);

async function main({ out, dir, json, isResumed, settings }) {
  const progress = (text) => process.stderr.write(`${text}\n`);
  if (Proof.exists(out) !== isResumed) {
    const wrong = isResumed
      ? `there are no results in ${out} to go on with`
      : `${out} holds results already: --resume ${out} goes on with them, or give another --out`;
    console.error(`${wrong}. --help shows what there is.`);
    return 2;
  }
  const proof = isResumed ? Proof.resume({ out, dir, progress }) : Proof.begin({ out, dir, settings, progress });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => proof.stop());
  process.on('exit', killAll);
  let isInterrupted = false;
  try {
    await proof.run();
  } catch (error) {
    isInterrupted = error instanceof Interrupted;
    const missing = whatIsMissing(error);
    if (missing === undefined && !isInterrupted) throw error;
    if (missing !== undefined) {
      console.error(`Left out: ${missing}`);
      return 3;
    }
    proof.save('interrupted');
    progress(`Interrupted: --resume ${out} goes on. Until then the checkpoints are in ${proof.work}.`);
  }
  proof.conclude();
  const { results } = proof;
  const plot = await plotOf(results);
  if (plot !== undefined) writeFileSync(path.join(out, 'plot.svg'), plot);
  writeFileSync(path.join(out, 'fragment.md'), markdown(results));
  process.stdout.write(`${json ? JSON.stringify(results, null, 2) : printed(results)}\n`);
  if (isInterrupted) return 130;
  const isWrong = results.lost.length > 0 || (results.settings.backend === 'cpu' && results.losses.different > 0);
  return isWrong ? 1 : 0;
}
