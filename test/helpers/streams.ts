import type { StreamedData, TensorInput } from '../../src/snapshot/source.js';

/** A promise and what settles it. */
export interface Deferred<T = void> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => {});
  return { promise, resolve, reject };
}

/** A stream that stands still until it is told to go on: its save stays in the middle of being written. */
export class HeldStream implements StreamedData {
  /** How often `release` was called. */
  released = 0;
  /** How often it was read. */
  read = 0;
  private readonly gate = deferred();
  private readonly begun = deferred();

  constructor(
    readonly byteLength = 8,
    private readonly value = 1,
  ) {}

  /** Resolves when the first chunk is asked for. */
  get asked(): Promise<void> {
    return this.begun.promise;
  }

  open(): void {
    this.gate.resolve();
  }

  fail(error: unknown): void {
    this.gate.reject(error);
  }

  release(): void {
    this.released++;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    this.read++;
    this.begun.resolve();
    await this.gate.promise;
    yield new Uint8Array(this.byteLength).fill(this.value);
  }
}

/** A stream of random-access chunks that counts its releases. */
export function chunks(list: readonly Uint8Array[]): StreamedData & { readonly released: number } {
  let released = 0;
  return {
    byteLength: list.reduce((sum, chunk) => sum + chunk.length, 0),
    get released() {
      return released;
    },
    release() {
      released++;
    },
    async *[Symbol.asyncIterator]() {
      yield* list;
    },
  };
}

/** A request whose save stays in the middle of being written until `stream` is opened. */
export function heldRequest(step: number, stream: HeldStream, more: readonly TensorInput[] = []) {
  return { step, tensors: [{ name: 'held', dtype: 'U8' as const, shape: [stream.byteLength], data: stream }, ...more] };
}
