/** One simulated machine with its disk, clock and chance, in the place of the real ones while a history runs. */
import { HoldfastError } from '../../src/errors.js';
import { replaceFileOperations } from '../../src/fs.js';
import type { SaveJob, SaveReply } from '../../src/saver/job.js';
import { runJobsWith } from '../../src/saver/pool.js';
import runJob from '../../src/saver/worker.js';
import { replaceSystem } from '../../src/system.js';
import { SimulatedClock } from './clock.js';
import { Disk } from './disk.js';
import { type Breakage, SimulatedFileSystem } from './file-system.js';
import { Ledger } from './ledger.js';
import { Random } from './prng.js';
import type { SimulatedProcess } from './process.js';
import { Trace } from './trace.js';

export interface WorldOptions {
  /** What is wrong with the machine, to see that it is found out. */
  readonly breakage?: Breakage | undefined;
  /** Nothing is late, and nothing moves in part. */
  readonly isCalm?: boolean | undefined;
  /** Gets a line for everything that happens. */
  readonly log?: ((line: string) => void) | undefined;
}

/** Histories so far: what the library remembers of the paths of one must mean nothing to the next. */
let histories = 0;

export class World {
  private readonly tag = `${++histories}`;
  /** Of the decisions of the history; what the machine decides has chance of its own. */
  readonly plan: Random;
  private readonly chance: Random;
  readonly trace: Trace;
  readonly clock: SimulatedClock;
  readonly disk: Disk;
  readonly files: SimulatedFileSystem;
  readonly ledger: Ledger;
  /** Where the checkpoints are, from the root of the disk. */
  readonly directory: string;
  /** Warnings of the process. */
  readonly warnings: string[] = [];
  private boots = 0;
  private readonly workers = new Map<SimulatedProcess, SimulatedProcess>();
  private readonly emitWarning = process.emitWarning;
  private readonly stackTraceLimit = Error.stackTraceLimit;
  private readonly exitListeners = new Set(process.listeners('exit'));

  constructor(
    readonly seed: number,
    private readonly options: WorldOptions,
  ) {
    this.plan = new Random(seed, 1);
    this.chance = new Random(seed, 2);
    this.trace = new Trace(options.log);
    this.clock = new SimulatedClock(new Random(seed, 3), this.plan.pick([1, 1, 1000, 4000]));
    this.disk = new Disk(this.clock, this.chance);
    const chosen = { yields: this.plan.pick([0, 0, 0.02, 0.2]), short: this.plan.pick([0, 0, 0.1]) };
    const unsteadiness = options.isCalm ? { yields: 0, short: 0 } : chosen;
    this.files = new SimulatedFileSystem(this.disk, this.clock, this.chance, this.trace, unsteadiness, options.breakage ?? {});
    this.directory = this.plan.pick(['checkpoints', 'runs/checkpoints', 'data/runs/a']);
    this.files.checkpoints = `/${this.directory}`;
    this.ledger = new Ledger(this.disk, this.directory.split('/'));
    this.boot();
    this.install();
  }

  /** The machine starts (again); of what was not durable some is lost. */
  boot(): void {
    this.boots++;
    this.files.bootId = `boot-${this.seed}-${this.boots}`;
  }

  /** A process of the machine; for the lock it is the one that the library sees itself as. */
  start(name: string): SimulatedProcess {
    return this.files.start(`${this.tag}.${name}`);
  }

  pathFor(process: SimulatedProcess): string {
    return `${process.mount}/${this.directory}`;
  }

  /** Some turns of the event loop. */
  async turns(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  private install(): void {
    replaceFileOperations(this.files);
    replaceSystem(this.clock);
    runJobsWith((job) => this.runJob(job));
    // Half of all operations fail here, and every stack takes longer to be written down than the operation.
    if (this.options.log === undefined) Error.stackTraceLimit = 0;
    process.emitWarning = (warning: string | Error) => {
      this.warnings.push(String(warning));
      this.trace.say('warning: ', String(warning));
    };
  }

  /** Gives the real machine back. */
  uninstall(): void {
    replaceFileOperations();
    replaceSystem();
    runJobsWith();
    Error.stackTraceLimit = this.stackTraceLimit;
    // What dead processes have failed to save is no news at the end of this one.
    for (const listener of process.listeners('exit')) if (!this.exitListeners.has(listener)) process.off('exit', listener);
    process.emitWarning = this.emitWarning;
  }

  /** As a worker does it: what crosses to it and back is cloned, it begins later, and it may die. */
  private async runJob(job: SaveJob): Promise<SaveReply> {
    const worker = this.workerOf(this.files.processOf(job.directory) as SimulatedProcess);
    const directory = this.pathFor(worker);
    const posted = structuredClone({ ...job, directory, lock: { ...job.lock, file: `${directory}/.lock` } }, { transfer: [job.port] });
    const died = new Promise<never>((_, reject) => {
      worker.onEnd = () => {
        // What it has said is heard; what it would still say is not. It waits for nothing any more.
        posted.port.close();
        posted.port.emit('message', { type: 'abort' });
        reject(new HoldfastError('ERR_WORKER', 'The simulated worker died.'));
      };
    });
    const work = async () => {
      await this.turns(this.chance.below(2));
      const reply = await runJob(posted);
      await this.turns(this.chance.below(2));
      return structuredClone(reply);
    };
    try {
      return await Promise.race([work(), died]);
    } finally {
      worker.onEnd = undefined;
    }
  }

  /** The thread of a process that writes, a new one if the last one died. */
  workerOf(process: SimulatedProcess): SimulatedProcess {
    const known = this.workers.get(process);
    if (known?.alive) return known;
    const worker = this.files.start(`${process.tag}-worker${known === undefined ? '' : `-${process.operations}`}`, process);
    this.workers.set(process, worker);
    return worker;
  }
}
