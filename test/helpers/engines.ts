import type { EngineName } from '../../src/engine/contract.js';
import { loadNative } from '../../src/native.js';

const native = loadNative();
if (native.addon === undefined) console.warn(`Tests of the native engine are left out: ${native.reason}`);

/** The engines that this machine can run. */
export const ENGINES: readonly EngineName[] = native.addon === undefined ? ['portable'] : ['native', 'portable'];
export const HAS_NATIVE = native.addon !== undefined;
