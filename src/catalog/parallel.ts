/** Several things at a time, of which the first failure stops the others. */

/**
 * Runs `tasks`, `atOnce` at a time, and gives their results in order. When one fails the others are aborted and waited for, and its
 * error is thrown: nothing goes on behind the caller's back.
 */
export async function firstFailure<T>(
  signal: AbortSignal | undefined,
  atOnce: number,
  tasks: readonly ((signal: AbortSignal) => Promise<T>)[],
): Promise<T[]> {
  const stop = new AbortController();
  const forward = () => stop.abort(signal?.reason);
  if (signal?.aborted) forward();
  signal?.addEventListener('abort', forward, { once: true });
  const results: T[] = new Array(tasks.length);
  let failure: { readonly error: unknown } | undefined;
  let next = 0;
  const work = async () => {
    while (failure === undefined && next < tasks.length) {
      const index = next++;
      try {
        results[index] = await (tasks[index] as (signal: AbortSignal) => Promise<T>)(stop.signal);
      } catch (error) {
        failure ??= { error };
        stop.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, tasks.length) }, work));
  signal?.removeEventListener('abort', forward);
  if (failure !== undefined) throw failure.error;
  return results;
}
