/** Loads a model from a checkpoint directory over HTTP with stock TensorFlow.js, and checks what arrives against the manifest. */
import { crc32c } from './crc32c.js';

/** What is wrong with a checkpoint, in a sentence for the reader of the page. */
export class CheckpointError extends Error {}

/** How often to look again where files and manifest do not belong together: `best` may move to another checkpoint between two requests. */
const ATTEMPTS = 3;

async function get(url) {
  let response;
  try {
    response = await fetch(url, { cache: 'no-cache' });
  } catch {
    throw new CheckpointError(`The server does not answer (${url}). Is it still running?`);
  }
  if (!response.ok) throw new CheckpointError(`${url} could not be read: the server answers ${response.status}.`);
  return response;
}

/** The manifest of a checkpoint: its step, metrics and files. `null` where there is none. */
export async function readManifest(directory) {
  const url = `${directory}/manifest.json`;
  let response;
  try {
    response = await fetch(url, { cache: 'no-cache' });
  } catch {
    throw new CheckpointError(`The server does not answer (${url}). Is it still running?`);
  }
  if (response.status === 404) return null;
  if (!response.ok) throw new CheckpointError(`${url} could not be read: the server answers ${response.status}.`);
  let manifest;
  try {
    manifest = await response.json();
  } catch {
    throw new CheckpointError(`${url} is not JSON: the checkpoint is damaged.`);
  }
  if (manifest?.format !== 'holdfast' || !Array.isArray(manifest.files))
    throw new CheckpointError(`${url} is no manifest of a checkpoint.`);
  return manifest;
}

/** `fetch` for one checkpoint: what has not the length and checksum that its manifest says is not handed out. */
function checkedFetch(manifest) {
  const files = new Map(manifest.files.map((file) => [file.name, file]));
  return async (url) => {
    const name = decodeURIComponent(url.split('/').at(-1));
    const file = files.get(name);
    if (file === undefined) throw new CheckpointError(`The checkpoint has no ${name}.`);
    const response = await get(url);
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length !== file.bytes)
      throw new CheckpointError(`${name} has ${bytes.length} bytes instead of ${file.bytes}: it is damaged.`);
    const found = crc32c(bytes);
    if (found !== file.crc32c)
      throw new CheckpointError(`${name} is damaged: its checksum is ${found}, and the manifest says ${file.crc32c}.`);
    return new Response(bytes, { headers: response.headers });
  };
}

/**
 * The checkpoint that `directory` is, or points at: `{ manifest, model, samples }`, or `null` where there is none.
 * Throws CheckpointError where it cannot be loaded.
 */
export async function loadCheckpoint(tf, directory) {
  for (let attempt = 1; ; attempt++) {
    const manifest = await readManifest(directory);
    if (manifest === null) return null;
    const fetchFunc = checkedFetch(manifest);
    try {
      const samples = await (await fetchFunc(`${directory}/samples.json`)).json();
      return { manifest, samples, model: await tf.loadLayersModel(`${directory}/model.json`, { fetchFunc }) };
    } catch (error) {
      if (attempt < ATTEMPTS && (await readManifest(directory))?.crc32c !== manifest.crc32c) continue;
      throw error instanceof CheckpointError ? error : new CheckpointError(`TensorFlow.js could not load the model: ${error.message}`);
    }
  }
}
