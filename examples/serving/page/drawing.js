/** A field to draw on, and what is drawn as the 28 × 28 grey values that the training data has: 20 pixels large, its mass in the middle. */
export const SIDE = 28;
const INNER = 20;

/** Shows 28 × 28 grey values from 0 to 1. */
export function paint(canvas, pixels) {
  const image = new ImageData(SIDE, SIDE);
  pixels.forEach((value, i) => {
    const grey = Math.round(value * 255);
    image.data.set([grey, grey, grey, 255], i * 4);
  });
  canvas.getContext('2d').putImageData(image, 0, 0);
}

/** Lets `canvas` be drawn on; calls `onChange(pixels)` after each stroke, and `onChange(null)` when it is empty again. */
export function drawOn(canvas, onChange) {
  const context = canvas.getContext('2d', { willReadFrequently: true });
  Object.assign(context, { lineWidth: canvas.width / 12, lineCap: 'round', lineJoin: 'round', strokeStyle: '#fff' });
  let last = null;
  const position = (event) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return [((event.clientX - left) * canvas.width) / width, ((event.clientY - top) * canvas.height) / height];
  };
  const lineTo = (to) => {
    context.beginPath();
    context.moveTo(...last);
    context.lineTo(...to);
    context.stroke();
    last = to;
  };
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = position(event);
    lineTo(last);
  });
  canvas.addEventListener('pointermove', (event) => {
    if (last !== null) lineTo(position(event));
  });
  for (const type of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(type, () => {
      if (last === null) return;
      last = null;
      onChange(normalize(canvas, context));
    });
  }
  return {
    clear() {
      context.clearRect(0, 0, canvas.width, canvas.height);
      onChange(null);
    },
  };
}

/** Where there is ink: its bounding box, and the centre of its mass. */
function measureInk({ data, width, height }) {
  const box = { left: width, top: height, right: -1, bottom: -1 };
  let [mass, massX, massY] = [0, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const ink = data[(y * width + x) * 4 + 3];
      if (ink === 0) continue;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y);
      mass += ink;
      massX += ink * (x + 0.5);
      massY += ink * (y + 0.5);
    }
  }
  return mass === 0 ? null : { ...box, x: massX / mass, y: massY / mass };
}

function normalize(canvas, context) {
  const ink = measureInk(context.getImageData(0, 0, canvas.width, canvas.height));
  if (ink === null) return null;
  const scale = INNER / (Math.max(ink.right - ink.left, ink.bottom - ink.top) + 1);
  const small = new OffscreenCanvas(SIDE, SIDE).getContext('2d');
  small.imageSmoothingQuality = 'high';
  small.setTransform(scale, 0, 0, scale, SIDE / 2 - ink.x * scale, SIDE / 2 - ink.y * scale);
  small.drawImage(canvas, 0, 0);
  const { data } = small.getImageData(0, 0, SIDE, SIDE);
  return Float32Array.from({ length: SIDE * SIDE }, (_, i) => data[i * 4 + 3] / 255);
}
