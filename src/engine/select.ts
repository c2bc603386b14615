/** Chooses the engine. */
import { HoldfastError } from '../errors.js';
import { loadNative } from '../native.js';
import type { Engine, EngineName } from './contract.js';
import { NativeEngine } from './native/index.js';
import { PortableEngine } from './portable/index.js';

/**
 * The engine of that name; `auto` takes the native one where it loads. Throws
 * `ERR_NATIVE_UNAVAILABLE` where `native` is asked for and cannot be had.
 */
export function selectEngine(wanted: EngineName | 'auto' = 'auto'): Engine {
  if (wanted === 'portable') return new PortableEngine();
  const native = loadNative();
  if (native.addon !== undefined) return new NativeEngine(native.addon);
  if (wanted === 'auto') return new PortableEngine();
  throw new HoldfastError(
    'ERR_NATIVE_UNAVAILABLE',
    `The native engine cannot be loaded: ${native.reason}. Run "npm rebuild holdfast --foreground-scripts": it says what is missing. Or use engine: "portable".`,
  );
}
