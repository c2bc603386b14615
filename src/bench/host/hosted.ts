/** A contender that runs in a Node.js process of its own. */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from '../../errors.js';
import type { Contender, Measured } from '../contender.js';
import { receiveFailure } from '../messages.js';
import type { RowKind } from '../report.js';
import { bytesOf } from '../workload.js';
import type { FromHost, JobName, JobSettings, ToHost } from './messages.js';

/** What Node.js, its compiled code and the buffers of a save take. */
const PROCESS_BYTES = 192 * 2 ** 20;

export interface HostedOptions {
  readonly name: string;
  readonly kind: RowKind;
  readonly job: JobName;
  readonly settings: JobSettings;
  /** How many times the bytes of the tensors it holds at worst, in memory and on the disk. */
  readonly memoryFactor: number;
  readonly diskFactor: number;
  /** Bytes of a run, where they are not those of the tensors. */
  readonly bytes?: number;
  readonly note?: string | undefined;
  readonly unavailable?: () => Promise<string | undefined>;
  /** Called once with each thing that makes its figures doubtful. */
  readonly onWarning?: (text: string) => void;
}

export class Hosted implements Contender {
  readonly name: string;
  readonly kind: RowKind;
  readonly bytes: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly note: string | undefined;
  private child: ChildProcess | undefined;
  private readonly warned = new Set<string>();

  constructor(private readonly options: HostedOptions) {
    const { name, kind, settings, memoryFactor, diskFactor } = options;
    const bytes = bytesOf(settings.tensors);
    this.name = name;
    this.kind = kind;
    this.bytes = options.bytes ?? bytes;
    this.memoryBytes = memoryFactor * bytes + PROCESS_BYTES;
    this.diskBytes = diskFactor * bytes;
    this.note = options.note;
  }

  async unavailable(): Promise<string | undefined> {
    return this.options.unavailable?.();
  }

  async start(): Promise<void> {
    const { job, settings } = this.options;
    await mkdir(settings.directory, { recursive: true });
    this.child = fork(fileURLToPath(new URL('./process.js', import.meta.url)), {
      // Without the options of this process: a benchmark under a debugger or a test runner is still one of plain Node.js.
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    await this.ask({ type: 'start', job, settings });
  }

  async run(round: number): Promise<Measured> {
    const answer = await this.ask({ type: 'run', round });
    if (answer.type !== 'ran') throw new HoldfastError('ERR_INTERNAL', `${this.name} gave "${answer.type}" for a run.`);
    for (const text of answer.warnings) {
      if (!this.warned.has(text)) this.options.onWarning?.(text);
      this.warned.add(text);
    }
    return answer.measured;
  }

  async stop(): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      // It holds nothing that must be put in order: its files are removed.
      child.kill('SIGKILL');
    });
  }

  private ask(message: ToHost): Promise<FromHost> {
    const { child } = this;
    if (child === undefined) return Promise.reject(new HoldfastError('ERR_ABORTED', `${this.name} was stopped.`));
    return new Promise<FromHost>((resolve, reject) => {
      const settle = (done: () => void) => {
        child.off('message', onMessage).off('exit', onExit).off('error', onError);
        done();
      };
      const onMessage = (answer: FromHost) =>
        settle(() => (answer.type === 'failure' ? reject(receiveFailure(answer.failure)) : resolve(answer)));
      const onExit = (code: number | null, signal: string | null) =>
        settle(() => reject(new HoldfastError('ERR_RESOURCES', `the process of ${this.name} ended (${signal ?? `code ${code}`})`)));
      const onError = (error: Error) => settle(() => reject(error));
      child.on('message', onMessage).on('exit', onExit).on('error', onError);
      child.send(message, () => {});
    });
  }
}
