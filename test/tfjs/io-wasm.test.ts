/** holdfast:// on the wasm backend. */
import { loadBackend } from '../helpers/tfjs-backends.js';
import { testUrls } from '../helpers/tfjs-url-suite.js';

const { backend } = await loadBackend('wasm');
if (backend === undefined) throw new Error('The wasm backend does not load.');
testUrls(backend);
