/** A peer from Python as a contender. All of them share one process and one set of tensors. */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { isHoldfastError } from '../../errors.js';
import type { Contender, Measured } from '../contender.js';
import { bytesOf, type TensorShape } from '../workload.js';
import type { Python } from './python.js';

/** The peers that peers.py has. */
export const PYTHON_PEERS = ['torch.save', 'torch-dcp', 'torch-dcp-async', 'safetensors'] as const;

export type PythonPeerName = (typeof PYTHON_PEERS)[number];

/** The interpreter and the libraries that are loaded. */
const PROCESS_BYTES = 512 * 2 ** 20;

/** Copies of the tensors that each makes in memory, besides the tensors themselves. */
const COPIES: Readonly<Record<PythonPeerName, number>> = { 'torch.save': 0, 'torch-dcp': 1, 'torch-dcp-async': 2, safetensors: 1 };

/** Of the pages of what is read: less than that in the page cache makes no difference. */
const MOST_CACHED = 0.01;

export interface PythonPeerOptions {
  readonly name: PythonPeerName;
  readonly python: Python;
  readonly action: 'save' | 'load';
  readonly tensors: readonly TensorShape[];
  /** It is made if it is not there. */
  readonly directory: string;
  /** Called at most once, with what makes its figures doubtful. */
  readonly onWarning?: (text: string) => void;
}

export class PythonPeer implements Contender {
  readonly name: PythonPeerName;
  readonly kind = 'peer';
  readonly bytes: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  note: string | undefined;
  private started = false;
  private saved = false;
  private warned = false;

  constructor(private readonly options: PythonPeerOptions) {
    this.name = options.name;
    this.bytes = bytesOf(options.tensors);
    this.memoryBytes = (1 + COPIES[options.name]) * this.bytes + PROCESS_BYTES;
    this.diskBytes = this.bytes;
  }

  async unavailable(): Promise<string | undefined> {
    const { python, name } = this.options;
    try {
      const { peers } = await python.ready();
      return peers[name] === null ? undefined : (peers[name] ?? 'the Python process does not know it');
    } catch (error) {
      if (isHoldfastError(error, 'ERR_NOT_FOUND')) {
        return `there is no ${python.command}: install Python 3 and "pip install torch safetensors numpy", or name an interpreter by --python`;
      }
      return (error as Error).message;
    }
  }

  async start(): Promise<void> {
    const { python, action, directory } = this.options;
    this.started = true;
    await python.acquire();
    this.note = await this.describe();
    if (action === 'save' || this.saved) return;
    await this.emptyDirectory();
    await python.measure('save', this.name, directory);
    this.saved = true;
  }

  async run(): Promise<Measured> {
    const { python, action, directory } = this.options;
    if (action === 'load') return this.load();
    await this.emptyDirectory();
    try {
      const { seconds, cpuSeconds, maxRssBytes, stallSeconds } = await python.measure('save', this.name, directory);
      if (stallSeconds !== null) {
        const waited = `its caller waited ${stallSeconds.toFixed(2)} s of it in the last run`;
        this.note = [await this.describe(), waited].filter((text) => text !== undefined).join('; ');
      }
      return { seconds, cpuSeconds, maxRssBytes };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  async stop(): Promise<void> {
    if (!this.started) return;
    this.started = false;
    await this.options.python.release();
  }

  private async load(): Promise<Measured> {
    const { python, directory, onWarning } = this.options;
    const { seconds, cpuSeconds, maxRssBytes, cachedShare } = await python.measure('load', this.name, directory);
    if (cachedShare !== null && cachedShare > MOST_CACHED && !this.warned) {
      this.warned = true;
      const percent = `${Math.ceil(100 * cachedShare)} %`;
      onWarning?.(
        `${this.name}: ${percent} of its files stayed in the page cache before a read, so its figures are partly those of memory.`,
      );
    }
    return { seconds, cpuSeconds, maxRssBytes };
  }

  /** The note of what it does here, as peers.py has it. */
  private async describe(): Promise<string | undefined> {
    const { notes } = await this.options.python.ready();
    return notes[this.options.action]?.[this.name];
  }

  private async emptyDirectory(): Promise<void> {
    const { directory } = this.options;
    await rm(directory, { recursive: true, force: true });
    await mkdir(path.resolve(directory), { recursive: true });
  }
}
