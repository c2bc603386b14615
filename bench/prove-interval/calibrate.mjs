// What a step, a restart and a save take, measured in lives that end by themselves.
import { median } from '../lib/stats.mjs';

/** Of a life, until its steps count as those of a process that has warmed up. */
const WARM_UP = 1 / 3;

/** What a step takes in the life of a process that has warmed up, and what its start took beyond its steps: loading, warming up. Pure. */
export function steadyOf(events) {
  const signs = events.filter(({ event }) => event === 'step');
  const restored = events.find(({ event }) => event === 'restored');
  const first = signs[Math.ceil(WARM_UP * signs.length)];
  const last = signs.at(-1);
  if (restored === undefined || first === undefined || last.step === first.step) {
    throw new Error('The training is too slow on this machine to be measured in so short a time: it came to no two signs of life.');
  }
  const step_s = (last.at_s - first.at_s) / (last.step - first.step);
  return { step_s, restart_s: last.at_s - (last.step - restored.step) * step_s };
}

/** Of several lives. */
export function summarizeSteady(lives) {
  return { step_s: median(lives.map(({ step_s }) => step_s)), restart_s: median(lives.map(({ restart_s }) => restart_s)) };
}

/** What a save cost in lives that saved often: directly where training waited for it, else by how much longer they took than their steps. */
export function costOf(lives, step_s, mode) {
  const saves = lives.flat().filter(({ event }) => event === 'saved');
  if (saves.length === 0)
    throw new Error('No save came to its end in the time in which its cost was to be measured: give a smaller --state.');
  if (mode === 'sync') return { cost_s: mean(saves.map(({ cost_s }) => cost_s)), persist_s: 0, saves: saves.length };
  const persist_s = mean(saves.map(({ persist_s }) => persist_s));
  const stall_s = mean(saves.map(({ cost_s }) => cost_s));
  const extra_s = lives.map((events) => {
    const signs = events.filter(({ event }) => event === 'step');
    const [first, last] = [signs[0], signs.at(-1)];
    return last.at_s - first.at_s - (last.step - first.step) * step_s;
  });
  const slowed_s = extra_s.reduce((sum, each) => sum + each, 0) / saves.length;
  return { cost_s: Math.min(stall_s + persist_s, Math.max(stall_s, slowed_s)), persist_s, saves: saves.length };
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
