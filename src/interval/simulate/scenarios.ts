/** Jobs with published failure rates. What they do not publish, costs of saves and restarts, is assumed, and said to be. */
import { YEAR_S } from '../failures.js';
import { DEFAULT_WALL_S, type SimulatedJob } from './job.js';

export interface Scenario {
  readonly name: string;
  /** What it is, where the rate was published, and what is assumed. */
  readonly description: string;
  readonly job: SimulatedJob;
}

const DAY_S = 86_400;

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'llama3',
    description:
      'Llama 3 405B on 16,384 GPUs: 419 unexpected interruptions in 54 days (Grattafiori et al. 2024, The Llama 3 Herd of Models, section 3.3.4). Assumed: asynchronous saves with a stall of 5 s, durable after 2 min, restarts of 5 min.',
    job: poisson((54 * DAY_S) / 419, { stall_s: 5, persist_s: 120, restart_s: 300 }),
  },
  {
    name: 'opt175b',
    description:
      "OPT-175B on about 1,000 GPUs: one interruption per 7.5 h (Meta's logbook of 2021, as collected by Lockwood, glennklockwood.com/garden/job-reliability). Assumed: synchronous saves of 60 s, restarts of 30 min.",
    job: poisson(7.5 * 3600, { stall_s: 60, restart_s: 1800, synchronous: true }),
  },
  {
    name: 'mlcommons',
    description:
      '100,000 accelerators of 50,000 h between failures each, so one failure per 0.5 h (MLCommons 2025, MLPerf Storage v2.0). Assumed: asynchronous saves with a stall of 5 s, durable after 30 s, restarts of 2 min.',
    job: poisson(1800, { stall_s: 5, persist_s: 30, restart_s: 120 }),
  },
  {
    name: 'spot',
    description:
      'Spot machines with 64 GPUs: 127 preemptions in 24 h (Thorpe et al. 2023, Bamboo). Assumed: preemptions independent of one another and announced 30 s before, asynchronous saves with a stall of 1 s, durable after 20 s, restarts of 1 min.',
    job: {
      ...{ wall_s: DAY_S, stall_s: 1, persist_s: 20, restart_s: 60 },
      failures: { kind: 'poisson', mtbf_s: DAY_S / 127, warning_s: 30 },
    },
  },
  {
    name: 'nodes64',
    description: '64 nodes that fail once a year each. Assumed: synchronous saves of 2 min, restarts of 10 min.',
    job: poisson(YEAR_S / 64, { stall_s: 120, restart_s: 600, synchronous: true }),
  },
  {
    name: 'daly',
    description:
      'The example of Daly 2006 (A higher order estimate of the optimum checkpoint interval for restart dumps): one failure per 6 h, synchronous saves of 5 min, restarts of 10 min.',
    job: poisson(6 * 3600, { stall_s: 300, restart_s: 600, synchronous: true }),
  },
];

function poisson(mtbf_s: number, costs: Omit<SimulatedJob, 'failures'>): SimulatedJob {
  return { wall_s: DEFAULT_WALL_S, ...costs, failures: { kind: 'poisson', mtbf_s } };
}
