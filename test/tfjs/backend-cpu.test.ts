/** Capturing and saving on the cpu backend. */
import { describe } from 'vitest';
import { loadBackend } from '../helpers/tfjs-backends.js';
import { captureSuite } from '../helpers/tfjs-capture-suite.js';
import { savingSuite } from '../helpers/tfjs-saving-suite.js';

const { backend, reason } = await loadBackend('cpu');
if (backend === undefined) console.warn(`Tests on cpu are left out: ${reason}.`);

describe.runIf(backend !== undefined)('on cpu', () => {
  if (backend === undefined) return;
  captureSuite(backend);
  savingSuite(backend);
});
