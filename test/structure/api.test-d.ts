import { assertType, expectTypeOf, test } from 'vitest';
import {
  allOf,
  anyOf,
  type CheckpointInfo,
  CheckpointManager,
  type ErrorCode,
  every,
  HoldfastError,
  isHoldfastError,
  type Json,
  keep,
  on,
  type PendingSave,
  type RestoredTensor,
  type SaveResult,
  type TensorMatch,
} from '../../src/index.js';

declare const manager: CheckpointManager;
const data = new Float32Array(1);

test('open takes its options and nothing else', () => {
  expectTypeOf(CheckpointManager.open('x')).resolves.toEqualTypeOf<CheckpointManager>();
  assertType(CheckpointManager.open('x', { keep: [keep.last(2)], mode: 'max', monitor: 'acc', engine: 'native', direct: 'required' }));
  // @ts-expect-error misspelled
  assertType(CheckpointManager.open('x', { kep: keep.last(2) }));
  // @ts-expect-error no such mode
  assertType(CheckpointManager.open('x', { monitor: 'acc', mode: 'maximum' }));
});

test('save takes tensors as a list or a record', () => {
  expectTypeOf(manager.save({ step: 1, tensors: [{ name: 'a', dtype: 'F32', shape: [1], data }] })).resolves.toEqualTypeOf<SaveResult>();
  assertType(
    manager.save({
      step: 1,
      tensors: { a: { dtype: 'BF16', shape: [1], data: new SharedArrayBuffer(2), stable: true } },
      state: { nested: [1, 'a', null] },
    }),
  );
  // @ts-expect-error not a safetensors dtype
  assertType(manager.save({ step: 1, tensors: { a: { dtype: 'float32', shape: [1], data } } }));
  // @ts-expect-error a step is needed
  assertType(manager.save({ tensors: {} }));
  // @ts-expect-error JSON has no functions
  assertType(manager.save({ step: 1, tensors: {}, state: { f: () => 1 } }));
});

test('restore may give null', async () => {
  const restored = await manager.restore({ step: 3 });
  // @ts-expect-error null has to be handled
  assertType(restored.tensors);
  if (restored !== null) {
    expectTypeOf(restored.tensors.get('a')).toEqualTypeOf<RestoredTensor | undefined>();
    expectTypeOf(restored.info).toEqualTypeOf<CheckpointInfo>();
  }
  for await (const info of manager.list()) expectTypeOf(info.step).toEqualTypeOf<number | null>();
});

test('step says whether something was saved, and takes functions for what is costly', async () => {
  const trigger = anyOf(every.steps(10), allOf(every.epochs(1), on.improvement({ monitor: 'acc', mode: 'max' })));
  assertType(
    CheckpointManager.open('x', { trigger, keep: [keep.last(3), keep.best(2, { monitor: 'acc' }), keep.youngerThan({ hours: 1 })] }),
  );
  const result = await manager.step({ step: 1, tensors: () => ({ a: { dtype: 'F32', shape: [1], data } }), rng: () => [1, 2] });
  if (result.due) expectTypeOf(result.pending).toEqualTypeOf<PendingSave>();
  else expectTypeOf(result.pending).toEqualTypeOf<undefined>();
  expectTypeOf(manager.shouldSave({ step: 1 })).toEqualTypeOf<string | undefined>();
  // @ts-expect-error a trigger is no number
  assertType(CheckpointManager.open('x', { trigger: 1000 }));
  // @ts-expect-error the tensors are needed
  assertType(manager.step({ step: 1 }));
});

test('what was saved as state has the type that the caller gives it', async () => {
  const restored = await manager.restore<{ readonly notes: string[] }>('latest', {
    expect: { a: { dtype: 'F32', shape: [1] } },
    mode: 'weak',
    rename: { a: 'b' },
  });
  expectTypeOf(restored?.state).toEqualTypeOf<{ readonly notes: string[] } | undefined>();
  expectTypeOf(restored?.rng).toEqualTypeOf<Json | undefined>();
  expectTypeOf(restored?.initialEpoch).toEqualTypeOf<number | undefined>();
  expectTypeOf(restored?.match).toEqualTypeOf<TensorMatch | undefined>();
  // @ts-expect-error no such mode
  assertType(manager.restore('latest', { mode: 'lax' }));
});

test('errors are told apart by code', () => {
  const error: unknown = undefined;
  if (isHoldfastError(error)) expectTypeOf(error.code).toEqualTypeOf<ErrorCode>();
  // @ts-expect-error no such code
  assertType(isHoldfastError(error, 'ERR_TYPO'));
  assertType<Error>(new HoldfastError('ERR_IO', 'x'));
});
