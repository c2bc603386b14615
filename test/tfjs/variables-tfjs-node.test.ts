/** Variables of a loop of core operations, and the memory of a restore, on tfjs-node. */
import { describe } from 'vitest';
import { loadBackend } from '../helpers/tfjs-backends.js';
import { restoreMemorySuite } from '../helpers/tfjs-restore-memory-suite.js';
import { variablesSuite } from '../helpers/tfjs-variables-suite.js';

const { backend, reason } = await loadBackend('tensorflow');
if (backend === undefined) console.warn(`Tests on tensorflow are left out: ${reason}.`);

describe.runIf(backend !== undefined)('on tensorflow', () => {
  if (backend === undefined) return;
  variablesSuite(backend);
  restoreMemorySuite(backend, 200);
});
