/** Calls of what callers gave us, which may throw or reject with anything and must not cost the save, nor the process. */

/** Calls `callback`; what it throws, or what the promise that it gives rejects with, becomes a warning of the process. `who` begins a sentence. */
export function harmlessly(who: string, callback: () => unknown): void {
  guard(callback, (error) => process.emitWarning(`${who} threw, and is ignored: ${textOf(error)}`, 'HoldfastWarning'));
}

/** The same for what is called again and again: warns once. */
export function harmlessOften(who: string): (callback: () => unknown) => void {
  let warned = false;
  const warn = (error: unknown) => {
    if (!warned) process.emitWarning(`${who} threw, and is ignored: ${textOf(error)}`, 'HoldfastWarning');
    warned = true;
  };
  return (callback) => guard(callback, warn);
}

function guard(callback: () => unknown, warn: (error: unknown) => void): void {
  try {
    const returned = callback();
    // A thenable of another realm or library is no Promise of ours, and rejects all the same.
    if (typeof returned === 'object' && returned !== null) Promise.resolve(returned).catch(warn);
  } catch (error) {
    warn(error);
  }
}

/** What was thrown, for people; it may be no error, and need not even have a text. */
export function textOf(error: unknown): string {
  try {
    return String((error as { readonly message?: unknown } | null)?.message ?? error);
  } catch {
    return 'something that has no text';
  }
}
