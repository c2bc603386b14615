/** The page: shows the best checkpoint, and what its model says of the digit that is drawn or chosen. */
import { loadCheckpoint, readManifest } from './checkpoint.js';
import { drawOn, paint, SIDE } from './drawing.js';

/* global tf */
const DIRECTORY = 'checkpoints/best';
/** How often to look whether there is a better model. */
const LOOK_AGAIN_MS = 3000;

const find = (id) => document.getElementById(id);

/** The checkpoint that is shown, and the digit: 28 × 28 grey values. */
let current = null;
let shown = null;

function say(state, text) {
  const status = find('status');
  if (status.dataset.state === state && status.textContent === text) return;
  status.dataset.state = state;
  status.textContent = text;
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** The probabilities of the ten digits. */
function predict(pixels) {
  return current.model.predict(tf.tensor2d(pixels, [1, SIDE * SIDE])).dataSync();
}

function showAnswer() {
  const [digit, remark] = find('answer').children;
  const ready = shown !== null && current !== null;
  const probabilities = ready ? tf.tidy(() => predict(shown)) : new Float32Array(10);
  const top = probabilities.indexOf(Math.max(...probabilities));
  digit.textContent = ready ? String(top) : '–';
  remark.textContent = ready ? `with ${percent(probabilities[top])}` : shown === null ? 'nothing drawn yet' : 'no model yet';
  const bars = Array.from(probabilities, (value, label) => {
    const bar = element('li', { className: ready && label === top ? 'top' : '' }, String(label));
    bar.dataset.probability = ready ? String(value) : '';
    bar.append(element('meter', { value, ariaLabel: `probability of ${label}` }), element('span', { className: 'share' }, percent(value)));
    return bar;
  });
  find('bars').replaceChildren(...bars);
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function choose(pixels) {
  shown = pixels;
  paint(find('seen'), pixels ?? new Float32Array(SIDE * SIDE));
  showAnswer();
}

function showSamples() {
  const buttons = current.samples.map(({ label, pixels }) => {
    const answer = tf.tidy(() => predict(pixels));
    const top = answer.indexOf(Math.max(...answer));
    const picture = element('canvas', { width: SIDE, height: SIDE });
    paint(picture, pixels);
    const verdict = element('span', { className: top === label ? 'right' : 'wrong' }, top === label ? `${top} ✓` : `${top}, not ${label}`);
    return element('button', { type: 'button', title: `A ${label}`, onclick: () => choose(pixels) }, picture, verdict);
  });
  find('samples').replaceChildren(...buttons);
}

function showCheckpoint({ step, epoch, metrics = {}, createdAt, files }) {
  const facts = {
    step: step.toLocaleString('en'),
    ...(epoch === undefined ? {} : { epoch }),
    ...Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, typeof value === 'number' ? value.toFixed(4) : value])),
    saved: new Date(createdAt).toLocaleString(),
    files: files.map(({ name, bytes }) => `${name} (${(bytes / 1000).toFixed(1)} kB)`).join(', '),
  };
  find('checkpoint').replaceChildren(
    ...Object.entries(facts).flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, String(value))]),
  );
}

/** Loads the best checkpoint if it is not the one that is shown. What goes wrong is said, and tried again later. */
async function lookForBetter() {
  try {
    const manifest = await readManifest(DIRECTORY);
    if (manifest === null) {
      say('waiting', `There is no ${DIRECTORY} yet: it appears here when training has saved its first checkpoint.`);
    } else if (manifest.crc32c !== current?.manifest.crc32c) {
      const loaded = await loadCheckpoint(tf, DIRECTORY);
      current?.model.dispose();
      current = loaded;
      if (loaded === null) return;
      showCheckpoint(loaded.manifest);
      showSamples();
      showAnswer();
    }
    if (manifest !== null) say('ready', `The best model so far is that of step ${current.manifest.step}.`);
  } catch (error) {
    const still = current === null ? 'No model is loaded.' : `The model of step ${current.manifest.step} stays in use.`;
    say('failed', `${error.message} ${still}`);
  }
}

const drawing = drawOn(find('pad'), choose);
find('clear').addEventListener('click', () => drawing.clear());
choose(null);
if (globalThis.tf === undefined) {
  say('failed', 'TensorFlow.js could not be loaded: tf.min.js is missing on the server.');
} else {
  // For a model as small as this the CPU is quicker than a GPU, and needs no shaders to be compiled first.
  await tf.setBackend('cpu');
  for (;;) {
    await lookForBetter();
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}
