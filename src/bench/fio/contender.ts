/** The bare disk as a contender: fio with direct I/O and the same number of bytes. */
import { access, mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Contender, Measured } from '../contender.js';
import type { RowKind } from '../report.js';
import { type FioRun, type FioWay, fioArguments, fioBytes, startFio } from './command.js';

const PROCESS_BYTES = 128 * 2 ** 20;

export interface FioOptions {
  readonly name: string;
  readonly kind: RowKind;
  readonly way: FioWay;
  readonly direction: 'write' | 'read';
  readonly bytes: number;
  /** It is made if it is not there. */
  readonly directory: string;
}

/** In words, for the note of its row. */
export function describeWay({ engine, blockBytes, depth, fixedBuffers }: FioWay): string {
  const block = `${blockBytes / 2 ** 20} MiB a request`;
  if (engine === 'threads') return `psync, ${depth} threads, ${block}`;
  return `io_uring, ${depth} in flight${fixedBuffers === true ? ', registered buffers' : ''}, ${block}`;
}

export class Fio implements Contender {
  readonly name: string;
  readonly kind: RowKind;
  readonly bytes: number;
  readonly memoryBytes = PROCESS_BYTES;
  readonly diskBytes: number;
  readonly note: string;
  private readonly file: string;
  private running: FioRun | undefined;

  constructor(private readonly options: FioOptions) {
    const { name, kind, bytes, way, directory } = options;
    this.name = name;
    this.kind = kind;
    this.bytes = fioBytes(bytes, way);
    this.diskBytes = this.bytes;
    this.note = `${describeWay(way)}; direct I/O, buffers in huge pages`;
    this.file = path.join(directory, 'fio.bin');
  }

  async unavailable(): Promise<undefined> {
    return undefined;
  }

  async start(): Promise<void> {
    const { directory, direction } = this.options;
    await mkdir(directory, { recursive: true });
    if (direction === 'read' && !(await exists(this.file))) await this.fio('write');
  }

  async run(): Promise<Measured> {
    const { direction } = this.options;
    try {
      return await this.fio(direction);
    } finally {
      if (direction === 'write') await rm(this.file, { force: true });
    }
  }

  async stop(): Promise<void> {
    this.running?.stop();
    await this.running?.result.catch(() => {});
  }

  private async fio(direction: 'write' | 'read'): Promise<Measured> {
    this.running = startFio(fioArguments(this.file, this.options.bytes, this.options.way, direction));
    try {
      return await this.running.result;
    } finally {
      this.running = undefined;
    }
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
