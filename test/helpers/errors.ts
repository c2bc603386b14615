import { expect } from 'vitest';
import { type ErrorCode, HoldfastError } from '../../src/errors.js';

/** The HoldfastError of that code with which `promise` rejects; the test fails if it does not. */
export async function rejection(promise: Promise<unknown>, code: ErrorCode): Promise<HoldfastError> {
  const error = await promise.then(
    (value) => expect.fail(`resolved with ${JSON.stringify(value)} instead of rejecting with ${code}`),
    (reason: unknown) => reason,
  );
  return checked(error, code);
}

/** The HoldfastError of that code that `call` throws. */
export function thrown(call: () => unknown, code: ErrorCode): HoldfastError {
  try {
    call();
  } catch (error) {
    return checked(error, code);
  }
  return expect.fail(`returned instead of throwing ${code}`);
}

function checked(error: unknown, code: ErrorCode): HoldfastError {
  if (!(error instanceof HoldfastError)) throw error;
  expect(error.code, error.message).toBe(code);
  expect(error.message).not.toBe('');
  return error;
}
