// Judges mounted crash states: one long-lived process, so that the library is loaded once; every state is
// opened anew. Forked by run.mjs, which sends one message per state.
//
//   → { dir, acked, begun, deep }      acked, begun: steps acknowledged, or at least begun, before the crash
//   ← { violations, good, newest }     violations: [{ code, message }]
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { difference, metricsOf, stateOf, tensorsOf } from './contents.mjs';

const { protocol, library, seed, keep } = JSON.parse(process.argv[2]);
const { open } = await import(protocol === 'library' ? './adapter.mjs' : './protocol.mjs');

process.on('message', async (state) => {
  try {
    process.send(await check(state));
  } catch (error) {
    process.send({ violations: [{ code: 'CHECKER', message: describe(error) }], good: 0, newest: 0 });
  }
});
process.on('disconnect', () => process.exit(1));
process.send({ ready: true });

async function check({ dir, acked, begun, deep }) {
  const violations = [];
  const violate = (code, message) => violations.push({ code, message });
  if (!existsSync(dir)) {
    if (acked.length > 0) violate('LOST_DIRECTORY', `the directory is gone, and with it step ${acked.at(-1)}`);
    return { violations, good: 0, newest: 0 };
  }
  let session;
  try {
    session = await open(dir, { keep, library });
  } catch (error) {
    violate('OPEN_FAILED', `opening after the crash: ${describe(error)}`);
    return { violations, good: 0, newest: 0 };
  }
  let listed = [];
  try {
    checkSwept(dir, violate);
    listed = await checkListed(session, { acked, begun }, violate);
    await checkLatest(session, { acked, listed }, violate);
    for (const sentence of await session.verify()) violate('VERIFY', sentence);
    if (deep) await checkContinues(session, begun, violate);
  } catch (error) {
    violate('CHECK_FAILED', describe(error));
  } finally {
    await session.close().catch((error) => violate('CLOSE_FAILED', describe(error)));
  }
  const good = listed.filter((entry) => entry.good).map((entry) => entry.step);
  return { violations, good: good.length, newest: Math.max(0, ...good) };
}

/** Opening sweeps what dead writers left. */
function checkSwept(dir, violate) {
  const left = readdirSync(dir).filter((name) => name.startsWith('.tmp-'));
  if (left.length > 0) violate('NOT_SWEPT', `left after opening: ${left.join(', ')}`);
}

/** All that stands under a visible name is good, exactly what was saved, and as many as retention promises. */
async function checkListed(session, { acked, begun }, violate) {
  const listed = await session.list();
  for (const { name, step, good } of listed) {
    if (!good) {
      violate('DAMAGED', `${name} is visible and damaged`);
      continue;
    }
    if (!begun.includes(step)) violate('FROM_NOWHERE', `${name} was never begun`);
    try {
      judge(await session.restore({ step }), step, violate);
    } catch (error) {
      violate('GOOD_BUT_UNREADABLE', `${name} is listed as good: ${describe(error)}`);
    }
  }
  const good = listed.filter((entry) => entry.good).length;
  const promised = Math.min(keep, acked.length);
  if (good < promised) violate('TOO_FEW', `${good} good checkpoints; ${acked.length} were acknowledged, the last ${keep} are kept`);
  return listed;
}

/** Invariant I: the newest acknowledged checkpoint, or a newer one. */
async function checkLatest(session, { acked, listed }, violate) {
  const newestAcked = acked.length > 0 ? Math.max(...acked) : undefined;
  let restored;
  try {
    restored = await session.restore('latest');
  } catch (error) {
    violate('RESTORE_FAILED', `restore('latest'): ${describe(error)}`);
    return;
  }
  if (restored === null) {
    if (newestAcked !== undefined) violate('LOST', `nothing to restore; step ${newestAcked} was acknowledged`);
    else if (listed.length > 0) violate('LOST', `nothing to restore; ${listed.length} checkpoints are listed`);
    return;
  }
  if (newestAcked !== undefined && restored.step < newestAcked) {
    violate('LOST', `restored step ${restored.step}; step ${newestAcked} was acknowledged`);
  }
  judge(restored, restored.step, violate);
}

/** Training goes on: the next save works and is what the next restore gives. */
async function checkContinues(session, begun, violate) {
  const step = 1 + Math.max(0, ...begun);
  await session.save({ step, tensors: tensorsOf(seed, step), state: stateOf(seed, step), metrics: metricsOf(seed, step) });
  const restored = await session.restore('latest');
  if (restored?.step !== step) violate('STUCK', `saved step ${step} after the crash, restored ${restored?.step}`);
  else judge(restored, step, violate);
}

function judge(restored, step, violate) {
  if (restored === null) {
    violate('GOOD_BUT_UNREADABLE', `step ${step} is listed as good and restore gives null`);
    return;
  }
  if (restored.step !== step) violate('WRONG_STEP', `asked for step ${step}, got ${restored.step}`);
  const differs = difference(seed, step, restored.tensors, restored.state);
  if (differs) violate('WRONG_BYTES', `step ${step} restored without an error: ${differs}`);
}

function describe(error) {
  return [error?.code, error?.message ?? String(error), path.basename(String(error?.path ?? ''))].filter(Boolean).join(' · ');
}
