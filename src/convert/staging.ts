/**
 * Where a target is written until it is whole: beside its place, under a name of its own. It takes its place in one step when all of it is durable;
 * what fails or is killed before leaves what was there as it was.
 */
import { constants } from 'node:fs';
import path from 'node:path';
import { selectEngine } from '../engine/select.js';
import { throwIfAborted, toHoldfastError } from '../engine/system-error.js';
import { HoldfastError } from '../errors.js';
import { lstat, type OpenFile, open, realpath, rename } from '../fs.js';
import { listDirectory, makeDirectories, makeDirectory, removeTree, syncDirectory } from '../storage/local.js';
import { hostName, isRunning, processId, randomHex } from '../system.js';

/** What a target is. */
export type Shape = 'file' | 'directory';

/** Names of which a directory consists that may be replaced: nobody's other files go with it. */
const REPLACEABLE = /^(model\.json|.+\.bin|.+\.safetensors|.+\.safetensors\.index\.json)$/;

/** Something that is going to be at `target`. */
export class Staging {
  private constructor(
    private readonly target: string,
    private readonly shape: Shape,
    /** Where it is written. */
    readonly path: string,
    private readonly replaces: Shape | undefined,
  ) {}

  /** Throws `ERR_EXISTS` where something is at `target` that may not be replaced. Makes the directories above it, and removes what dead processes have left. */
  static async begin(given: string, shape: Shape, force: boolean): Promise<Staging> {
    try {
      const { target, replaces } = await lookAt(given, shape, force);
      const directory = path.dirname(target);
      await makeDirectories(directory);
      await sweep(directory);
      const staged = path.join(directory, temporaryName());
      if (shape === 'directory') await makeDirectory(staged);
      return new Staging(target, shape, staged, replaces);
    } catch (error) {
      throw toHoldfastError(error, `write ${given}`, { path: given });
    }
  }

  /** Puts it into its place, durably. What was there goes. */
  async publish(): Promise<void> {
    const { target, path: staged, shape, replaces } = this;
    const directory = path.dirname(target);
    try {
      if (shape === 'directory') await syncDirectory(staged);
      if (replaces === 'directory') await this.exchange(directory);
      else if (replaces === 'file') await rename(staged, target);
      else await selectEngine().renameNoReplace(staged, target);
      await syncDirectory(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw inTheWay(target, 'It was made while this was being converted.');
      throw toHoldfastError(error, `write ${target}`, { path: target });
    }
  }

  /** Removes what was written. */
  async discard(): Promise<void> {
    await removeTree(this.path).catch(() => {});
  }

  /** A directory with files in it cannot be replaced in one step: the old one steps aside first, and comes back if the new one cannot take its place. */
  private async exchange(directory: string): Promise<void> {
    const aside = path.join(directory, temporaryName());
    await rename(this.target, aside);
    try {
      await rename(this.path, this.target);
    } catch (error) {
      await rename(aside, this.target);
      throw error;
    }
    await syncDirectory(directory);
    await removeTree(aside);
  }
}

const PREFIX = '.holdfast-convert-';

/** Says whose it is, so that it can be removed when that process is gone. */
function temporaryName(): string {
  return `${PREFIX}${hostMark()}-${processId()}-${randomHex(6)}`;
}

function hostMark(): string {
  return Buffer.from(hostName()).toString('hex').slice(0, 32);
}

async function sweep(directory: string): Promise<void> {
  for (const { name } of await listDirectory(directory)) {
    const [, host, pid] = /^\.holdfast-convert-([0-9a-f]*)-(\d+)-[0-9a-f]+$/.exec(name) ?? [];
    if (host === hostMark() && !isRunning(Number(pid))) await removeTree(path.join(directory, name)).catch(() => {});
  }
}

async function lookAt(given: string, shape: Shape, force: boolean): Promise<{ target: string; replaces: Shape | undefined }> {
  // The place that a link leads to, not the link.
  const target = await realpath(given).catch(() => path.resolve(given));
  const found = await lstat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return { target, replaces: undefined };
  const there: Shape | undefined = found.isDirectory() ? 'directory' : found.isFile() ? 'file' : undefined;
  const entries = there === 'directory' ? await listDirectory(target) : [];
  if (there === 'directory' && shape === 'directory' && entries.length === 0) return { target, replaces: 'directory' };
  if (there !== shape) throw inTheWay(given, `It is ${there === 'directory' ? 'a directory' : 'no directory'}; choose another name.`);
  if (!force) throw inTheWay(given, 'Choose another name, or replace it with --force.');
  const others = entries.filter((entry) => !entry.isFile() || !REPLACEABLE.test(entry.name)).map(({ name }) => name);
  if (others.length === 0) return { target, replaces: there };
  throw inTheWay(
    given,
    `It holds ${others.slice(0, 3).join(', ')}${others.length > 3 ? ', …' : ''}, which is none of a model's; it is not replaced.`,
  );
}

function inTheWay(place: string, what: string): HoldfastError {
  return new HoldfastError('ERR_EXISTS', `There is something at ${place} already. ${what}`, { path: path.resolve(place) });
}

/** How far a conversion is. */
export class Meter {
  bytes = 0;
  file = '';

  constructor(readonly signal: AbortSignal | undefined) {}
}

/** A file that is being written. */
export class NewFile {
  /** Bytes written so far. */
  bytes = 0;

  private constructor(
    private readonly path: string,
    private readonly handle: OpenFile,
    private readonly meter: Meter,
  ) {}

  static async create(file: string, meter: Meter): Promise<NewFile> {
    const handle = await open(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o644).catch((error: unknown) => {
      throw toHoldfastError(error, `write ${file}`, { path: file });
    });
    meter.file = path.basename(file);
    return new NewFile(file, handle, meter);
  }

  /** Writes a file with `fill`, durably. */
  static async write(file: string, meter: Meter, fill: (file: NewFile) => Promise<void>): Promise<number> {
    const created = await NewFile.create(file, meter);
    try {
      await fill(created);
      await created.sync();
    } finally {
      await created.handle.close();
    }
    return created.bytes;
  }

  async append(bytes: Uint8Array): Promise<void> {
    throwIfAborted(this.meter.signal, 'The conversion');
    try {
      for (let at = 0; at < bytes.length; ) {
        const written = await this.handle.write(bytes, at, bytes.length - at, this.bytes);
        at += written;
        this.bytes += written;
        this.meter.bytes += written;
      }
    } catch (error) {
      throw toHoldfastError(error, `write ${this.path}`, { path: this.path });
    }
  }

  private async sync(): Promise<void> {
    await this.handle.sync().catch((error: unknown) => {
      throw toHoldfastError(error, `write ${this.path}`, { path: this.path });
    });
  }
}
