/** What is measured of this library. */
import { CheckpointManager, HoldfastError, keep, type Restored, type TensorInputs, verifyPath } from '../../index.js';
import { loadNative } from '../../native.js';
import { dropCache } from '../drop-cache.js';
import type { TensorShape } from '../workload.js';
import { makeTensors, type Tensor } from './data.js';
import type { Job, MakeJob } from './job.js';
import type { JobSettings } from './messages.js';

/** Saves promised memory, from the call to the acknowledgement. The checkpoint before it is removed behind that: see `after`. */
export async function holdfastSave({ tensors, directory, engine }: JobSettings): Promise<Job> {
  const manager = await CheckpointManager.open(directory, { engine, keep: keep.last(1) });
  const inputs = toInputs(await makeTensors(tensors));
  let step = 0;
  const warnings: string[] = [];
  return {
    warnings,
    run: async () => {
      const { direct } = await manager.save({ step: step++, ...inputs });
      if (!direct && warnings.length === 0) warnings.push('holdfast wrote through the page cache: there is no direct I/O here.');
    },
    // The files of the checkpoint before it are gone then, too: this must not go on beside the run of another contender.
    after: () => manager.flush(),
    close: () => manager.close(),
  };
}

/** Restores into the memory of the restore before it, or into new memory every time. */
export function holdfastLoad(memory: 'used' | 'new'): MakeJob {
  return async (settings) => {
    const { directory, engine } = settings;
    await ensureCheckpoint(settings);
    const manager = await CheckpointManager.open(directory, { engine, readOnly: true });
    let last: Restored | undefined;
    const warnings: string[] = [];
    return {
      warnings,
      before: () => makeCold(settings, warnings),
      run: async () => {
        last = await restore(manager, last);
      },
      after: async () => {
        if (memory === 'used') return;
        last = undefined;
        collectGarbage();
      },
      close: () => manager.close(),
    };
  };
}

/** What `holdfast verify` does. */
export async function holdfastVerify(settings: JobSettings): Promise<Job> {
  const { directory, engine } = settings;
  await ensureCheckpoint(settings);
  const warnings: string[] = [];
  return {
    warnings,
    before: () => makeCold(settings, warnings),
    run: async () => {
      const { ok, problems } = await verifyPath(directory, { engine });
      if (!ok) throw new HoldfastError('ERR_CHECKSUM', `A checkpoint that was just saved is damaged: ${problems[0]?.message}`);
    },
  };
}

/** Several contenders read the same checkpoint; the first one saves it. */
async function ensureCheckpoint({ tensors, directory, engine }: JobSettings): Promise<void> {
  const manager = await CheckpointManager.open(directory, { engine, keep: keep.last(1) });
  try {
    const { done: none } = await manager.list().next();
    if (none === true) await manager.save({ step: 0, ...toInputs(await makeTensors(tensors)) });
  } finally {
    await manager.close();
  }
  // The tensors that were saved must not count as memory of the restore.
  collectGarbage();
}

async function restore(manager: CheckpointManager, into?: Restored): Promise<Restored> {
  const restored = await manager.restore('latest', into === undefined ? {} : { into });
  if (restored === null) throw new HoldfastError('ERR_NOT_FOUND', 'The checkpoint that was saved for this is gone.');
  return restored;
}

function toInputs(tensors: readonly Tensor[]): { tensors: TensorInputs; optimizer?: TensorInputs } {
  const inputs = (role: TensorShape['role']) =>
    tensors
      .filter((tensor) => tensor.role === role)
      .map(({ name, shape, data }) => ({ name, dtype: 'F32' as const, shape, data, stable: true }));
  const optimizer = inputs('optimizer');
  return { tensors: inputs(undefined), ...(optimizer.length === 0 ? {} : { optimizer }) };
}

/** Direct I/O passes the page cache by; where there is none, the cache is emptied. */
async function makeCold({ directory, engine }: JobSettings, warnings: string[]): Promise<void> {
  const direct = engine !== 'portable' && loadNative().addon?.probe(directory).directIo.supported === true;
  // With direct I/O, too: others' manners must not decide what is measured.
  const dropped = await dropCache(directory);
  if (direct || warnings.length > 0) return;
  const how = dropped ? 'which was emptied before' : 'which could not be emptied (GNU dd is missing): its figures are those of memory';
  warnings.push(`holdfast read through the page cache, ${how}: there is no direct I/O here.`);
}

function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}
