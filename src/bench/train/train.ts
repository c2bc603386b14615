/** The scenario `train`: how much slower a training loop is while a checkpoint is written behind it. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { toHoldfastError } from '../../engine/system-error.js';
import { HoldfastError } from '../../errors.js';
import { describeEnvironment } from '../environment.js';
import { receiveFailure } from '../messages.js';
import { noiseBetween } from '../noise.js';
import type { RowKind, TrainReport, TrainRow } from '../report.js';
import { assertDisk, assertMemory } from '../room.js';
import { TRAIN_RULES } from '../rules.js';
import { chooseTensors, diskWarnings, type RoundsSettings, type ScenarioOptions } from '../scenarios.js';
import { median, summary } from '../stats.js';
import { bytesOf } from '../workload.js';
import { resolveDirectory, withWorkspace } from '../workspace.js';
import { type FromTrain, type LoopName, type ToTrain, type TrainRound, type TrainTrial, VARIANTS } from './messages.js';

/** What is shown, and whose it is. */
const SHOWN = { holdfast: 'ours', 'holdfast-low': 'ours', buffered: 'peer' } as const satisfies Record<string, RowKind>;

export type TrainSettings = Omit<RoundsSettings, 'peers' | 'python'>;

/** Throws `ERR_INVALID_ARGUMENT`, `ERR_NOT_FOUND`, `ERR_PERMISSION`, `ERR_RESOURCES`, `ERR_NO_SPACE`, `ERR_ABORTED`. */
export async function benchTrain(settings: TrainSettings, options: ScenarioOptions = {}): Promise<TrainReport> {
  const base = await resolveDirectory(settings.directory);
  const { tensors, warnings } = await chooseTensors(base, settings);
  const bytes = bytesOf(tensors);
  assertMemory(bytes, `Training beside a save of ${bytes} bytes`);
  // Two managers with the last checkpoint and the next one each, and the buffered file.
  await assertDisk(base, 4 * bytes, `Training beside a save of ${bytes} bytes`);
  const { runs, engine } = settings;
  const found = await withWorkspace(base, (directory) => inProcess({ tensors, runs, engine, directory }, options));
  if (found.rounds.length === 0) throw new HoldfastError('ERR_ABORTED', 'The measurement was stopped before its first round was over.');
  const environment = describeEnvironment(base);
  const loopWarning = '@tensorflow/tfjs is not installed where holdfast is: measured with a multiplication of matrices in JavaScript.';
  return {
    scenario: 'train',
    environment,
    rules: TRAIN_RULES,
    leftOut: [],
    warnings: [...diskWarnings(environment.fileSystem), ...warnings, ...(found.loop === 'plain' ? [loopWarning] : [])],
    partial: found.interrupted,
    settings: { ...settings, bytes: settings.bytes ?? null, model: settings.model ?? null },
    bytes,
    tensors: tensors.length,
    loop: found.loop,
    ...summarizeTraining(found.rounds),
  };
}

/** Rows, noise and the speed alone from the rounds, of which there is one at least. */
export function summarizeTraining(rounds: readonly TrainRound[]): Pick<TrainReport, 'runs' | 'aloneStepsPerSecond' | 'noise' | 'rows'> {
  const alone = rounds.map((round) => round.alone.stepsPerSecond);
  const again = rounds.map((round) => round.again.stepsPerSecond);
  const rows = Object.entries(SHOWN).map(([name, kind]): TrainRow => {
    const runs = rounds.map((round) => round[name as keyof typeof SHOWN]);
    const speeds = runs.map(({ stepsPerSecond }, i) => (2 * stepsPerSecond) / ((alone[i] as number) + (again[i] as number)));
    const seconds = runs.map((run) => run.seconds);
    const speed = summary(speeds);
    const time = summary(seconds);
    const lost = summary(speeds.map((share, i) => (1 - share) * (seconds[i] as number)));
    return {
      name,
      kind,
      speedMedian: speed.median,
      speedMin: speed.min,
      speedMax: speed.max,
      secondsMedian: time.median,
      secondsMin: time.min,
      secondsMax: time.max,
      lostSecondsMedian: lost.median,
      lostSecondsMin: lost.min,
      lostSecondsMax: lost.max,
      cpuSeconds: median(runs.map(({ cpuSeconds }) => cpuSeconds)),
      speeds,
      seconds,
    };
  });
  return { runs: rounds.length, aloneStepsPerSecond: median([...alone, ...again]), noise: noiseBetween(alone, again), rows };
}

interface Found {
  readonly loop: LoopName;
  readonly rounds: readonly TrainRound[];
  readonly interrupted: boolean;
}

function inProcess(trial: TrainTrial, { signal, onProgress }: ScenarioOptions): Promise<Found> {
  const child = fork(fileURLToPath(new URL('./process.js', import.meta.url)), {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const stop = () => child.kill('SIGKILL');
  const total = (trial.runs + 1) * VARIANTS.length;
  let turns = 0;
  return new Promise<Found>((resolve, reject) => {
    let loop: LoopName = 'plain';
    const rounds: TrainRound[] = [];
    let done = false;
    let failure: HoldfastError | undefined;
    child.on('message', (message: FromTrain) => {
      if (message.type === 'loop') loop = message.loop;
      else if (message.type === 'turn') onProgress?.(turns++ / total, `${message.variant}, round ${message.round} of ${trial.runs}`);
      else if (message.type === 'round') rounds.push(message.round);
      else if (message.type === 'failure') failure = receiveFailure(message.failure);
      else done = true;
      if (done || failure !== undefined) child.disconnect();
    });
    child.on('error', (error) => reject(toHoldfastError(error, 'start a process to train in')));
    child.on('exit', (code, killedBy) => {
      if (failure !== undefined) reject(failure);
      else if (done || signal?.aborted) resolve({ loop, rounds, interrupted: !done });
      else reject(new HoldfastError('ERR_RESOURCES', `The process that was training ended (${killedBy ?? `code ${code}`}).`));
    });
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    const message: ToTrain = { type: 'run', trial };
    child.send(message, () => {});
  }).finally(() => signal?.removeEventListener('abort', stop));
}
