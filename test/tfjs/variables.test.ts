/** Variables of a loop that trains with core operations: saved, restored, and trained on exactly. */
import { describe } from 'vitest';
import { loadBackend } from '../helpers/tfjs-backends.js';
import { variablesSuite } from '../helpers/tfjs-variables-suite.js';

const { backend } = await loadBackend('cpu');

describe('on cpu', () => {
  if (backend !== undefined) variablesSuite(backend);
});
