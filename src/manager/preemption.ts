/** Being told to end: finishing what is in flight, and one last save if it fits before the deadline. */
import { constants } from 'node:os';
import { isMainThread } from 'node:worker_threads';
import { HoldfastError } from '../errors.js';
import { assertKnown } from '../known-options.js';
import { decidePreemption, type PreemptionDecision } from '../policy/preemption.js';
import { harmlessly, textOf } from '../saver/harmlessly.js';
import { monotonicMs } from '../system.js';
import { count } from './options.js';
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
  readonly ended: () => Promise<void>;
}

const KEYS = ['signals', 'deadlineMs', 'save', 'log'] as const satisfies readonly (keyof PreemptionOptions)[];
const DEFAULT_DEADLINE_MS = 25_000;
/** Kept from the deadline for taking back what is not finished; of a short deadline a quarter. */
const RESERVE_MS = 500;

/** What this module does about a signal. */
interface Handler {
  readonly participants: Set<Participant>;
  readonly listener: () => void;
  /** The signal has arrived: until the end it is kept from ending the process by itself. */
  arrived: boolean;
}

const handlers = new Map<NodeJS.Signals, Handler>();
/** Managers that are being brought to their end, once, however many signals say so. */
const endings = new Map<Participant, Promise<void>>();

/** Listens to the signals on behalf of a manager. `ended` writes down that it has ended in good order: it is called when nothing more will be saved. */
export function handlePreemption(
  saver: Saver,
  directory: string,
  options: PreemptionOptions,
  ended: () => Promise<void>,
): PreemptionHandle {
  assertKnown('onPreemption', options, KEYS);
  const { signals = ['SIGTERM'], deadlineMs = DEFAULT_DEADLINE_MS, save, log = defaultLog } = options;
  if (!isMainThread) throw new HoldfastError('ERR_UNSUPPORTED', 'Signals reach the main thread only: call onPreemption there.');
  if (!Array.isArray(signals) || signals.length === 0 || !signals.every((signal) => Object.hasOwn(constants.signals, signal))) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      "signals must be a list of names of signals that this system knows, such as ['SIGTERM'].",
    );
  }
  count('deadlineMs', deadlineMs, 1, 2 ** 31 - 1);
  if (save !== undefined && typeof save !== 'function') throw new HoldfastError('ERR_INVALID_ARGUMENT', 'save must be a function.');
  if (typeof log !== 'function') throw new HoldfastError('ERR_INVALID_ARGUMENT', 'log must be a function.');
  const participant: Participant = { saver, directory, deadlineMs, save, log, ended };
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
    const made: Handler = {
      participants: new Set(),
      arrived: false,
      // A signal that comes again changes nothing: the deadline runs already.
      listener: () => {
        if (made.arrived) return;
        made.arrived = true;
        void endAll(signal, made);
      },
    };
    // First of all, to see the other listeners before those that listen once are gone.
    process.prependListener(signal, made.listener);
    handlers.set(signal, made);
    handler = made;
  }
  handler.participants.add(participant);
}

function leave(signal: NodeJS.Signals, participant: Participant): void {
  const handler = handlers.get(signal);
  if (handler === undefined) return;
  handler.participants.delete(participant);
  if (handler.participants.size === 0 && !handler.arrived) forget(signal, handler);
}

function forget(signal: NodeJS.Signals, handler: Handler): void {
  process.off(signal, handler.listener);
  handlers.delete(signal);
}

/** All managers at once; then the process ends as the signal would have ended it. */
async function endAll(signal: NodeJS.Signals, handler: Handler): Promise<void> {
  // Whoever listens once is off the list by the end, and has had the signal all the same.
  const others = process.rawListeners(signal).some((other) => other !== handler.listener && 'listener' in other);
  for (const participant of handler.participants) {
    if (!endings.has(participant)) endings.set(participant, endOne(signal, participant));
  }
  const concerned = [...endings];
  await Promise.allSettled(concerned.map(([, ending]) => ending));
  for (const [participant] of concerned) endings.delete(participant);
  forget(signal, handler);
  // Others that listen have had the signal already, and decide what becomes of the process.
  if (others || process.listenerCount(signal) > 0) return;
  process.kill(process.pid, signal);
  // Still here: the first process of a container is not ended by signals that it does not listen to.
  process.exit(128 + constants.signals[signal]);
}

async function endOne(signal: NodeJS.Signals, { saver, directory, deadlineMs, save, log, ended }: Participant): Promise<void> {
  const say = (line: string) => harmlessly('log of onPreemption', () => log(`holdfast: ${line}`));
  const usableMs = deadlineMs - Math.min(RESERVE_MS, deadlineMs / 4);
  const { unsettled } = saver;
  const decision = decidePreemption({
    deadlineSeconds: usableMs / 1000,
    savesInFlight: unsettled.length,
    bytesInFlight: unsettled.reduce((sum, { progress }) => sum + progress.totalBytes - progress.bytes, 0),
    measured: measuredBy(saver),
    canSave: save !== undefined,
  });
  const startedMs = monotonicMs();
  const deadline = within(usableMs);
  say(`${signal}: ${describeChoice(decision, unsettled.length)}, because ${decision.reason}.`);
  saver.events.emit('preempted', { ...decision, directory, signal, deadlineMs, savesInFlight: unsettled.length });
  const outcome = await Promise.race([finish(saver, decision.choice === 'save' ? save : undefined, say), deadline.passed]);
  deadline.cancel();
  if (outcome === 'late')
    await giveUp(saver, deadlineMs - usableMs, (what) => say(`${signal}: the deadline of ${deadlineMs} ms came first; ${what}.`));
  else if (outcome !== 'done') say(`${signal}: ${outcome}`);
  else say(`${signal}: done${saver.last === undefined ? '' : `, the newest checkpoint is ${saver.last.name}`}.`);
  sayUnheard(saver, say);
  const end = within(Math.max(0, Math.min(deadlineMs - usableMs, startedMs + deadlineMs - monotonicMs())));
  await Promise.race([ended(), end.passed]);
  end.cancel();
}

/** Everything that is in flight, and the last save. */
async function finish(saver: Saver, save: (() => unknown) | undefined, say: (line: string) => void): Promise<string> {
  await saver.flush();
  if (save === undefined) return 'done';
  // A save that failed in the background must not make the last one fail, which would be the next call on the manager.
  sayUnheard(saver, say);
  try {
    const made = await save();
    // A function may give what saveAsync gives; the save is done when it is committed.
    await (made as { readonly committed?: unknown } | null | undefined)?.committed;
    await saver.flush();
    return 'done';
  } catch (error) {
    return `the last save failed: ${textOf(error)}`;
  }
}

/** Takes back what is in flight; a disk that does not answer must not keep the process beyond its deadline. */
async function giveUp(saver: Saver, withinMs: number, say: (what: string) => void): Promise<void> {
  const end = within(withinMs);
  const given = await Promise.race([saver.giveUp('The process was told to end, and the deadline came first.'), end.passed]);
  end.cancel();
  if (given === 'late') say(`what is in flight could not be taken back in time, and ends with the process`);
  else say(`given up: ${given.length === 0 ? 'nothing' : `step ${given.join(', ')}`}`);
}

/** There will be no next call to throw them. */
function sayUnheard({ failures }: Saver, say: (line: string) => void): void {
  for (const { step, error } of failures.take()) say(`the asynchronous save of step ${step} had failed: ${error.code}: ${error.message}`);
}

/** What the newest save took; of one whose worker died after the commit nothing is known. */
function measuredBy({ last }: Saver): { readonly bytes: number; readonly seconds: number } | undefined {
  if (last === undefined || last.bytesPerSecond === 0) return undefined;
  return { bytes: last.bytes, seconds: last.seconds.snapshot + last.seconds.persist + last.seconds.commit };
}

/** A deadline. Its timer keeps the process alive: what is waited for may not. */
function within(ms: number): { readonly passed: Promise<'late'>; cancel(): void } {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms);
  });
  return { passed, cancel: () => clearTimeout(timer) };
}

function describeChoice({ choice }: PreemptionDecision, savesInFlight: number): string {
  const inFlight =
    savesInFlight === 0 ? 'nothing is in flight' : `finishing ${savesInFlight} save${savesInFlight === 1 ? '' : 's'} in flight`;
  if (choice === 'save') return `${inFlight}, then a last save`;
  return `${inFlight}, no last save`;
}

function defaultLog(line: string): void {
  process.stderr.write(`${line}\n`);
}
