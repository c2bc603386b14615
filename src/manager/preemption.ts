/** Being told to end: finishing what is in flight, and one last save if it fits before the deadline. */
import { isMainThread } from 'node:worker_threads';
import { HoldfastError } from '../errors.js';
import { decidePreemption, type PreemptionDecision } from '../policy/preemption.js';
import { assertKnown, count } from './options.js';
import type { Saver } from './saver.js';

/** Options of `manager.onPreemption`. */
export interface PreemptionOptions {
  /** Default `['SIGTERM']`. */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /** Milliseconds from the signal to the end of the process. Default 25,000: most clusters kill after 30 s. */
  readonly deadlineMs?: number | undefined;
  /**
   * Makes the last save: call `manager.save` or `saveModel` here and return its promise. It runs between two turns of the event loop, so
   * a training step that awaits in its middle must not be saved half-done: wait for the end of the step first.
   */
  readonly save?: (() => unknown) | undefined;
  /** Where one line goes that says what was chosen and why, and one that says how it ended. Default: standard error. */
  readonly log?: ((line: string) => void) | undefined;
}

/** Gives the signals back. */
export interface PreemptionHandle extends Disposable {
  dispose(): void;
}

/** One manager that wants to be asked. */
interface Participant {
  readonly saver: Saver;
  readonly directory: string;
  readonly deadlineMs: number;
  readonly save: (() => unknown) | undefined;
  readonly log: (line: string) => void;
}

const KEYS = ['signals', 'deadlineMs', 'save', 'log'] as const satisfies readonly (keyof PreemptionOptions)[];
const DEFAULT_DEADLINE_MS = 25_000;
/** Kept from the deadline for taking back what is not finished. */
const RESERVE_MS = 500;

/** Signals that this module listens to, and for whom. */
const handlers = new Map<NodeJS.Signals, { readonly participants: Set<Participant>; readonly listener: () => void }>();

/** Listens to the signals on behalf of a manager. */
export function handlePreemption(saver: Saver, directory: string, options: PreemptionOptions): PreemptionHandle {
  assertKnown('onPreemption', options, KEYS);
  const { signals = ['SIGTERM'], deadlineMs = DEFAULT_DEADLINE_MS, save, log = defaultLog } = options;
  if (!isMainThread) throw new HoldfastError('ERR_UNSUPPORTED', 'Signals reach the main thread only: call onPreemption there.');
  if (!Array.isArray(signals) || signals.length === 0 || !signals.every((signal) => /^SIG[A-Z0-9]+$/.test(String(signal)))) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', "signals must be a list of signal names, such as ['SIGTERM'].");
  }
  count('deadlineMs', deadlineMs, 1, 2 ** 31 - 1);
  if (save !== undefined && typeof save !== 'function') throw new HoldfastError('ERR_INVALID_ARGUMENT', 'save must be a function.');
  if (typeof log !== 'function') throw new HoldfastError('ERR_INVALID_ARGUMENT', 'log must be a function.');
  const participant: Participant = { saver, directory, deadlineMs, save, log };
  const joined: NodeJS.Signals[] = [];
  const dispose = () => {
    for (const signal of joined.splice(0)) leave(signal, participant);
  };
  try {
    for (const signal of signals as NodeJS.Signals[]) {
      join(signal, participant);
      joined.push(signal);
    }
  } catch (cause) {
    dispose();
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `This process cannot listen to ${signals.join(', ')}: ${(cause as Error).message}.`, {
      cause,
    });
  }
  return { dispose, [Symbol.dispose]: dispose };
}

function join(signal: NodeJS.Signals, participant: Participant): void {
  let handler = handlers.get(signal);
  if (handler === undefined) {
    const participants = new Set<Participant>();
    let arrived = false;
    // A signal that comes again changes nothing: the deadline runs already.
    const listener = () => {
      if (arrived) return;
      arrived = true;
      void endAll(signal, participants, listener);
    };
    process.on(signal, listener);
    handler = { participants, listener };
    handlers.set(signal, handler);
  }
  handler.participants.add(participant);
}

function leave(signal: NodeJS.Signals, participant: Participant): void {
  const handler = handlers.get(signal);
  if (handler === undefined) return;
  handler.participants.delete(participant);
  if (handler.participants.size > 0) return;
  process.off(signal, handler.listener);
  handlers.delete(signal);
}

/** All managers at once; then the process ends as the signal would have ended it. */
async function endAll(signal: NodeJS.Signals, participants: ReadonlySet<Participant>, listener: () => void): Promise<void> {
  await Promise.allSettled([...participants].map((participant) => endOne(signal, participant)));
  process.off(signal, listener);
  handlers.delete(signal);
  // Whoever else listens has had the signal already, and decides what becomes of the process.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

async function endOne(signal: NodeJS.Signals, { saver, directory, deadlineMs, save, log }: Participant): Promise<void> {
  const until = performance.now() + deadlineMs - RESERVE_MS;
  const { unsettled, last } = saver;
  const decision = decidePreemption({
    deadlineSeconds: deadlineMs / 1000,
    savesInFlight: unsettled.length,
    bytesInFlight: unsettled.reduce((sum, { progress }) => sum + progress.totalBytes - progress.bytes, 0),
    measured:
      last === undefined ? undefined : { bytes: last.bytes, seconds: last.seconds.snapshot + last.seconds.persist + last.seconds.commit },
    canSave: save !== undefined,
  });
  say(log, `${signal}: ${describeChoice(decision, unsettled.length)}, because ${decision.reason}.`);
  saver.events.emit('preempted', { ...decision, directory, signal, deadlineMs, savesInFlight: unsettled.length });
  const work = (async () => {
    await saver.flush();
    if (decision.choice !== 'save') return;
    const made = await save?.();
    // A function may give what saveAsync gives; the save is done when it is committed.
    await (made as { readonly committed?: unknown } | undefined)?.committed;
    await saver.flush();
  })();
  const outcome = await Promise.race([
    work.then(
      () => 'done',
      (error: unknown) => `the last save failed: ${String((error as Error)?.message ?? error)}`,
    ),
    new Promise<'late'>((resolve) => setTimeout(() => resolve('late'), Math.max(0, until - performance.now())).unref()),
  ]);
  if (outcome === 'done')
    return say(log, `${signal}: done${saver.last === undefined ? '' : `, the newest checkpoint is ${saver.last.name}`}.`);
  if (outcome !== 'late') return say(log, `${signal}: ${outcome}`);
  const given = await saver.giveUp('The process was told to end, and the deadline came first.');
  say(
    log,
    `${signal}: the deadline of ${deadlineMs} ms came first; given up: ${given.length === 0 ? 'nothing' : `step ${given.join(', ')}`}.`,
  );
}

function describeChoice({ choice }: PreemptionDecision, savesInFlight: number): string {
  const inFlight =
    savesInFlight === 0 ? 'nothing is in flight' : `finishing ${savesInFlight} save${savesInFlight === 1 ? '' : 's'} in flight`;
  if (choice === 'save') return `${inFlight}, then a last save`;
  return `${inFlight}, no last save`;
}

/** Says a line; a log that throws must not cost the save. */
function say(log: (line: string) => void, line: string): void {
  try {
    log(`holdfast: ${line}`);
  } catch (error) {
    process.emitWarning(`log of onPreemption threw, and is ignored: ${String(error)}`, 'HoldfastWarning');
  }
}

function defaultLog(line: string): void {
  process.stderr.write(`${line}\n`);
}
