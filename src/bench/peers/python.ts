/** The Python process that all peers from Python share: src/bench/peers/peers.py, one JSON document per line in either direction. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { HoldfastError } from '../../errors.js';
import type { Measured } from '../contender.js';
import type { TensorShape } from '../workload.js';

/** What the process says of itself when it starts. */
export interface PythonReady {
  /** Of python, numpy, torch and safetensors; `null` for what is not installed. */
  readonly versions: Readonly<Record<string, string | null>>;
  /** Of every peer, why it cannot take part and how that could be helped; `null` where it can. */
  readonly peers: Readonly<Record<string, string | null>>;
  /** By action and peer, what a reader must know to judge its figures. */
  readonly notes: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** A measured request's answer. */
export interface PythonMeasured extends Measured {
  /** How long an asynchronous one held up its caller; `null` for others. */
  readonly stallSeconds: number | null;
  /** Of a load: the share of its files' pages that could not be dropped from the page cache before it. `null` for others, and where it cannot be told. */
  readonly cachedShare: number | null;
}

const SCRIPT = fileURLToPath(new URL('./peers.py', import.meta.url));

export class Python {
  private child: ChildProcessWithoutNullStreams | undefined;
  private waiting: { resolve(value: Record<string, unknown>): void; reject(error: Error): void } | undefined;
  private firstLine: Promise<PythonReady> | undefined;
  private users = 0;
  private made: Promise<unknown> | undefined;
  private errors = '';

  constructor(
    /** The interpreter: a path, or a name that PATH has. */
    readonly command: string,
    private readonly tensors: readonly TensorShape[],
    private readonly script = SCRIPT,
  ) {}

  /** Starts the process if it does not run. Rejects with `ERR_NOT_FOUND` where there is no such interpreter, `ERR_UNSUPPORTED` if it fails. */
  ready(): Promise<PythonReady> {
    this.firstLine ??= this.launch();
    return this.firstLine;
  }

  /** Makes the tensors for one more user; the first call does it. */
  async acquire(): Promise<void> {
    this.users++;
    await this.prepare();
  }

  /** One user less; the last one ends the process. */
  async release(): Promise<void> {
    this.users = Math.max(0, this.users - 1);
    if (this.users === 0) await this.end();
  }

  /** Saves into the existing empty directory `path`, or loads from it. */
  async measure(action: 'save' | 'load', peer: string, path: string): Promise<PythonMeasured> {
    await this.prepare();
    const answer = await this.ask({ do: action, peer, path });
    const number = (key: string) => (typeof answer[key] === 'number' ? (answer[key] as number) : null);
    const seconds = number('seconds');
    if (seconds === null) throw new HoldfastError('ERR_INTERNAL', `${peer} gave no seconds.`);
    return {
      seconds,
      cpuSeconds: number('cpuSeconds'),
      maxRssBytes: number('maxRssBytes'),
      stallSeconds: number('stallSeconds'),
      cachedShare: number('cachedShare'),
    };
  }

  /** Ends the process, whatever it is doing. */
  async end(): Promise<void> {
    const { child } = this;
    this.forget();
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
      child.kill('SIGKILL');
    });
  }

  private forget(): void {
    this.child = undefined;
    this.firstLine = undefined;
    this.made = undefined;
  }

  /** Starts it anew if it has died: what killed one peer need not kill the next one. */
  private async prepare(): Promise<void> {
    if (this.users === 0) throw new HoldfastError('ERR_ABORTED', 'Python was stopped.');
    await this.ready();
    this.made ??= this.ask({ do: 'make', tensors: this.tensors.map(({ name, shape }) => ({ name, shape })), seed: 1 });
    await this.made;
  }

  private async launch(): Promise<PythonReady> {
    // In a process group of its own: Ctrl-C is for the one who started it. It ends when its input does, so it cannot be left behind.
    const child = spawn(this.command, [this.script], { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    this.child = child;
    this.errors = '';
    const fail = (error: Error) => {
      if (this.child === child) this.forget();
      this.waiting?.reject(error);
      this.waiting = undefined;
    };
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors = (this.errors + text).slice(-2000);
    });
    // It is told by 'exit'.
    child.stdin.on('error', () => {});
    child.on('error', (error: NodeJS.ErrnoException) => {
      fail(new HoldfastError(error.code === 'ENOENT' ? 'ERR_NOT_FOUND' : 'ERR_UNSUPPORTED', `${this.command}: ${error.message}`));
    });
    child.on('close', (code, signal) => {
      const said = this.errors.trim().split('\n').at(-1) ?? '';
      fail(new HoldfastError('ERR_UNSUPPORTED', `${this.command} ended (${signal ?? `code ${code}`})${said === '' ? '' : `: ${said}`}`));
    });
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { waiting } = this;
      this.waiting = undefined;
      try {
        waiting?.resolve(JSON.parse(line) as Record<string, unknown>);
      } catch {
        waiting?.reject(new HoldfastError('ERR_INTERNAL', `${this.command} said what is no JSON: ${line.slice(0, 80)}`));
      }
    });
    const { versions = {}, peers = {}, notes = {} } = (await this.answer()) as Partial<PythonReady>;
    return { versions, peers, notes };
  }

  private async ask(request: Record<string, unknown>): Promise<Record<string, unknown>> {
    const { child } = this;
    if (child === undefined) throw new HoldfastError('ERR_ABORTED', 'Python was stopped.');
    const answer = this.answer();
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { ok, error, ...rest } = await answer;
    if (ok === true) return rest;
    throw new HoldfastError('ERR_UNSUPPORTED', typeof error === 'string' ? error : 'Python gave no reason');
  }

  /** The next line; requests come one at a time. */
  private answer(): Promise<Record<string, unknown>> {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }
}
