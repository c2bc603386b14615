/** What `holdfast simulate` prints for people. */
import { DEFAULT_WALL_S, type PolicySummary, type Scenario, type SimulatedJob, type Varying } from '../../interval/simulate/index.js';
import { formatInteger, plural } from '../../terminal/format.js';
import { escapeText, wrap } from '../../terminal/text.js';
import { formatDuration_s } from '../duration.js';
import { outputWidth, paint, print, printError } from '../output.js';
import { type Column, layOut } from '../table.js';
import type { Plan } from './simulate-options.js';
import { warningsOf } from './simulate-warnings.js';

const COLUMNS: readonly Column<PolicySummary>[] = [
  { title: 'POLICY', value: ({ name }) => escapeText(name) },
  { title: 'INTERVAL', value: formatInterval, align: 'right' },
  { title: 'USEFUL', value: ({ usefulFraction }) => percent(usefulFraction.mean, 3), align: 'right' },
  { title: '±', value: formatHalf, align: 'right' },
  { title: 'PREDICTED', value: ({ predicted }) => (predicted === null ? '' : percent(predicted, 3)), align: 'right' },
  { title: 'SAVING', value: ({ lost }) => percent(lost.saving, 2), align: 'right', dispensable: 2 },
  { title: 'REWORK', value: ({ lost }) => percent(lost.rework, 2), align: 'right', dispensable: 1 },
  { title: 'RESTART', value: ({ lost }) => percent(lost.restart, 2), align: 'right', dispensable: 3 },
  { title: 'SLOWED', value: ({ lost }) => (lost.slowdown === 0 ? '' : percent(lost.slowdown, 2)), align: 'right', dispensable: 4 },
];

export function printSimulation(plan: Plan, seed: number, policies: readonly PolicySummary[]): void {
  const { header, lines } = layOut(COLUMNS, policies, outputWidth());
  print(paint('bold', header));
  for (const line of lines) print(line);
  for (const text of [describe(plan, seed, policies), legend(plan.job, policies)]) {
    print('');
    for (const line of wrap(text, Math.min(outputWidth(), 100))) print(paint('dim', line));
  }
  for (const warning of warningsOf(plan, policies)) printError(`! ${escapeText(warning)}`);
}

export function printScenarios(scenarios: readonly Scenario[]): void {
  for (const [i, { name, description }] of scenarios.entries()) {
    print(`${i === 0 ? '' : '\n'}${paint('bold', name)}`);
    for (const line of wrap(description, Math.min(outputWidth(), 100) - 2)) print(`  ${line}`);
  }
}

function percent(share: number, digits: number): string {
  // Rounding makes a zero of what is nearly one, and it has no sign.
  return `${(100 * share).toFixed(digits).replace(/^-(0\.?0*)$/, '$1')} %`;
}

function formatInterval({ interval_s, constant }: PolicySummary): string {
  if (interval_s === null) return '';
  return constant ? formatDuration_s(interval_s) : `~ ${formatDuration_s(interval_s)}`;
}

function formatHalf({ usefulFraction: { low, high } }: PolicySummary): string {
  return low === null || high === null ? '' : percent((high - low) / 2, 3);
}

function describe({ scenario, job, runs }: Plan, seed: number, policies: readonly PolicySummary[]): string {
  const { wall_s, work_s, stall_s, persist_s = 0, synchronous = false, slowdown = 0, maxInFlight = 1, restart_s = 0 } = job;
  const length =
    work_s === undefined ? `${formatDuration_s(wall_s ?? DEFAULT_WALL_S)} of wall time` : `${formatDuration_s(work_s)} of work`;
  const durable =
    persist_s === 0
      ? ''
      : synchronous
        ? ` and ${formatVarying(persist_s, job)} more until they are durable`
        : `, durable ${formatVarying(persist_s, job)} later`;
  const saves = `training waits ${formatVarying(stall_s, job)} for saves${durable}`;
  const others = [
    slowdown > 0 ? `${percent(slowdown, 1)} slower meanwhile` : '',
    maxInFlight > 1 ? `${maxInFlight} at a time` : '',
    `restarts of ${formatVarying(restart_s, job)}`,
    formatFailures(job, policies),
    `${plural(runs, 'run')} from seed ${seed}`,
  ];
  const name = scenario === null ? '' : `${scenario}: `;
  return `${name}${[length, saves, ...others].filter((each) => each !== '').join('; ')}.`;
}

function formatVarying(varying: Varying, { work_s }: SimulatedJob): string {
  if (typeof varying === 'number') return formatDuration_s(varying);
  if (!('end' in varying)) return formatDuration_s(varying.start);
  // When a job of some work ends, nobody knows.
  const when = work_s === undefined ? 'at the end' : `after ${formatDuration_s(varying.over_s)}`;
  return `${formatDuration_s(varying.start)}, ${when} ${formatDuration_s(varying.end)}`;
}

function formatFailures(job: SimulatedJob, policies: readonly PolicySummary[]): string {
  const { failures } = job;
  const mean = policies[0]?.failures ?? 0;
  const count = `${mean >= 100 ? formatInteger(Math.round(mean)) : mean.toFixed(1).replace(/\.0$/, '')} a run`;
  const warned =
    failures.warning_s === undefined || failures.warning_s === 0 ? '' : `, announced ${formatDuration_s(failures.warning_s)} before`;
  if (failures.kind === 'trace') return `${plural(failures.times_s.length, 'failure')} of a trace, ${count}${warned}`;
  const kind = failures.kind === 'poisson' ? '' : ` (Weibull, shape ${failures.shape})`;
  return `one failure per ${formatVarying(failures.mtbf_s, job)}${kind}, ${count}${warned}`;
}

function legend({ failures }: SimulatedJob, policies: readonly PolicySummary[]): string {
  const some = (text: string, when: boolean) => (when ? ` ${text}` : '');
  const any = (is: (policy: PolicySummary) => boolean) => policies.some(is);
  const predicted = any((each) => each.predicted !== null);
  const spread = any(({ usefulFraction }) => usefulFraction.low !== null);
  const sentences = [
    `USEFUL: work that was not lost, by wall time, the mean of the runs${some('with ± for its 95 % interval', spread)}.`,
    ` INTERVAL: work between saves${some(
      '(~: the mean)',
      any(({ constant }) => !constant),
    )}.`,
    some('PREDICTED: by the closed form, for a long run.', predicted),
    some('It takes failures to be independent of one another, which these are not.', predicted && failures.kind !== 'poisson'),
    ' SAVING, REWORK, RESTART: shares of the wall time lost by waiting for saves, by doing again what was lost, and by restarts.',
    some(
      'SLOWED: by training more slowly while saves are persisted.',
      any(({ lost }) => lost.slowdown !== 0),
    ),
  ];
  return sentences.join('');
}
