/** Capturing and saving on the tfjs-node backend. */
import { describe } from 'vitest';
import { loadBackend } from '../helpers/tfjs-backends.js';
import { captureSuite } from '../helpers/tfjs-capture-suite.js';
import { savingSuite } from '../helpers/tfjs-saving-suite.js';

const { backend, reason } = await loadBackend('tensorflow');
if (backend === undefined) console.warn(`Tests on tfjs-node are left out: ${reason}.`);

describe.runIf(backend !== undefined)('on tfjs-node', () => {
  if (backend === undefined) return;
  captureSuite(backend);
  savingSuite(backend);
});
