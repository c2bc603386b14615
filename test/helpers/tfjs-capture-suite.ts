/** What capturing a tensor must do on every backend. */
import type * as tensorflow from '@tensorflow/tfjs';
import { afterEach, describe, expect, test } from 'vitest';
import type { StreamedData, TensorInput } from '../../src/snapshot/source.js';
import { TensorCapture } from '../../src/tfjs/tensors/capture-tensor.js';
import { PART_BYTES } from '../../src/tfjs/tensors/read-parts.js';
import { rejection, thrown } from './errors.js';
import { alive } from './tfjs.js';
import { activate, type LoadedBackend } from './tfjs-backends.js';
import { collect } from './tfjs-saving.js';

const MIB = 2 ** 20;

/** Bits that differ everywhere, NaNs with payloads among them. */
function bits(count: number): Uint32Array {
  const words = Uint32Array.from({ length: count }, (_, i) => Math.imul(i, 2654435761) ^ (i >>> 7));
  words.set([0x7fa12345, 0xffc00001, 0x80000000, 0x00000001, 0x7f800000].slice(0, count));
  return words;
}

export function captureSuite({ tf, name: backendName, inJavaScript, hasComplex }: LoadedBackend): void {
  if (inJavaScript) console.warn(`What concerns memory outside JavaScript is left out on ${backendName}, which has none.`);
  type Tensor = tensorflow.Tensor;
  const floats = (shape: number[]) => tf.tensor(new Float32Array(bits(shape.reduce((a, b) => a * b, 1)).buffer), shape);
  const ints = (count: number) => tf.tensor1d(new Int32Array(bits(count).buffer), 'int32');
  const bools = (count: number) =>
    tf.tensor1d(
      Uint8Array.from({ length: count }, (_, i) => (i % 7) % 2),
      'bool',
    );
  // No NaNs: the cpu backend interleaves the parts in JavaScript, which may alter payloads from one reading to the next.
  const complexes = (count: number) => tf.tidy(() => tf.complex(tf.range(0, count), tf.range(count, 0, -1)));
  /** Run through an operation, which on tfjs-node takes it out of JavaScript memory. */
  const used = (make: () => Tensor) => () => {
    const tensor = make();
    const result = tensor.reshape(tensor.shape);
    tensor.dispose();
    return result;
  };
  const bytesOf = (tensor: Tensor) => {
    const { buffer, byteOffset, byteLength } = tensor.dataSync();
    return Buffer.from(Buffer.from(buffer, byteOffset, byteLength));
  };
  const newCapture = (options: Partial<ConstructorParameters<typeof TensorCapture>[0]> = {}) =>
    new TensorCapture({ stable: true, hold: 'device', ...options });
  const isShared = ({ data }: TensorInput) => !ArrayBuffer.isView(data);
  const made: Tensor[] = [];
  const make = (maker: () => Tensor) => {
    const tensor = maker();
    made.push(tensor);
    return tensor;
  };
  afterEach(async () => {
    await activate(tf, backendName);
    for (const tensor of made.splice(0)) tensor.dispose();
  });

  const partFloats = PART_BYTES / 4;
  const CASES: [string, () => Tensor][] = [
    ['float32', used(() => floats([3, 5, 2]))],
    ['int32', used(() => ints(9))],
    ['bool', used(() => bools(13))],
    ['a scalar', used(() => tf.scalar(-0))],
    ['an empty tensor', () => tf.zeros([3, 0, 2])],
    ['data that no operation has used', () => floats([4, 3])],
    ['float32 of one part exactly', used(() => floats([2, partFloats / 2]))],
    ['float32 of 33 MiB', used(() => floats([33, MIB / 4]))],
    ['float32 of 33 MiB that no operation has used', () => floats([33, MIB / 4])],
    ['int32 of a part and an element', used(() => ints(partFloats + 1))],
    ['bool of two parts and three elements', used(() => bools(2 * PART_BYTES + 3))],
    ...(hasComplex
      ? ([
          ['complex64', () => complexes(6)],
          ['complex64 of two parts and an element', () => complexes(PART_BYTES / 4 + 1)],
        ] as [string, () => Tensor][])
      : []),
  ];

  describe.each(CASES)('%s', (_, maker) => {
    test.each(['device', 'host'] as const)('is captured bit by bit with hold: "%s", and nothing stays', async (hold) => {
      const tensor = make(maker);
      const before = alive(tf);
      const capture = newCapture({ hold });
      const input = capture.take(tensor, 'x');
      expect(alive(tf).numDataBuffers).toBe(before.numDataBuffers);
      expect(alive(tf).numTensors).toBe(before.numTensors + (isShared(input) ? 1 : 0));
      if (hold === 'host') expect(isShared(input)).toBe(false);
      const expected = bytesOf(tensor);
      expect((input.data as { byteLength: number }).byteLength).toBe(expected.length);
      expect(input.shape).toEqual(tensor.shape);
      const { bytes, pieces } = await collect(input);
      expect(bytes.equals(expected)).toBe(true);
      for (const piece of pieces) if (!inJavaScript) expect(piece).toBeLessThanOrEqual(PART_BYTES);
      // What is read is let go, before all is over.
      expect(alive(tf)).toEqual(before);
      capture.release();
      capture.release();
      expect(alive(tf)).toEqual(before);
    });

    test('is what it was, although the variable has new values or is disposed', async () => {
      const tensor = make(maker);
      const variable = tf.variable(tensor);
      const capture = newCapture();
      const input = capture.take(variable, 'x');
      const expected = bytesOf(variable);
      const zeros = tf.tidy(() => tf.zeros(tensor.shape, tensor.dtype));
      variable.assign(zeros);
      tf.dispose([zeros, tensor, variable]);
      expect((await collect(input)).bytes.equals(expected)).toBe(true);
      capture.release();
    });
  });

  test.runIf(!inJavaScript)('capturing 64 MiB allocates nothing, wherever memory is counted', () => {
    const tensor = make(used(() => floats([64, MIB / 4])));
    const heap = () => (tf.findBackend(backendName) as unknown as { wasm?: { HEAPU8: Uint8Array } }).wasm?.HEAPU8.length;
    const count = () => ({ buffers: tf.memory().numDataBuffers, heap: heap() });
    const before = count();
    const arrays = process.memoryUsage().arrayBuffers;
    const resident = process.memoryUsage().rss;
    const capture = newCapture();
    const inputs = Array.from({ length: 4 }, (_, i) => capture.take(tensor, `x${i}`));
    expect(count()).toEqual(before);
    expect(process.memoryUsage().arrayBuffers - arrays).toBeLessThan(MIB);
    expect(process.memoryUsage().rss - resident).toBeLessThan(32 * MIB);
    expect(inputs.every(isShared)).toBe(true);
    capture.release();
  });

  test.runIf(!inJavaScript)('every piece has memory of its own, so it may be held until it is written', async () => {
    const tensor = make(used(() => floats([3, MIB])));
    const capture = newCapture();
    const { data } = capture.take(tensor, 'x');
    expect((data as StreamedData).transfer).toBe(true);
    const buffers = new Set<ArrayBufferLike>();
    for await (const { buffer } of data as StreamedData) buffers.add(buffer);
    expect(buffers.size).toBe(3);
    capture.release();
  });

  test('strings are encoded at once', async () => {
    const tensor = make(() => tf.tensor1d(['a', 'ü', '']));
    const before = alive(tf);
    const input = newCapture().take(tensor, 'x');
    expect(alive(tf)).toEqual(before);
    expect((await collect(input)).bytes.toString('hex')).toBe('010000006102000000c3bc00000000');
  });

  test('outlives a surrounding tidy, and leaves no trace on the tape of a gradient', async () => {
    const tensor = make(used(() => floats([7])));
    const expected = bytesOf(tensor);
    const before = alive(tf);
    const capture = newCapture();
    const inputs: TensorInput[] = [];
    tf.tidy(() => {
      inputs.push(capture.take(tensor, 'a'));
      tf.tidy(() => inputs.push(capture.take(tensor, 'b')));
    });
    const slope = tf.tidy(() =>
      tf.grad((x) => {
        const tape = tf.engine().state.activeTape.length;
        inputs.push(capture.take(x, 'c'), capture.take(tensor, 'd'));
        expect(tf.engine().state.activeTape.length).toBe(tape);
        return x.square();
      })(tf.scalar(3)),
    );
    expect(slope.dataSync()[0]).toBe(6);
    slope.dispose();
    const collected = await Promise.all(inputs.map(collect));
    expect(collected.map(({ bytes }) => bytes.equals(expected))).toEqual([true, true, false, true]);
    expect(collected[2]?.bytes.readFloatLE()).toBe(3);
    capture.release();
    expect(alive(tf)).toEqual(before);
  });

  test('what others may write to is to be copied with stable: false; the rest is still read later', () => {
    const capture = newCapture({ stable: false });
    const given = capture.take(
      make(() => floats([5])),
      'x',
    );
    const computed = capture.take(make(used(() => floats([5]))), 'y');
    // The wasm backend copies what it is given.
    if (backendName === 'wasm') expect(isShared(given)).toBe(true);
    else expect(given).toMatchObject({ stable: false, data: expect.any(Float32Array) });
    expect(isShared(computed)).toBe(!inJavaScript);
    capture.release();
  });

  test.runIf(!inJavaScript).each([1, 9 * MIB])(
    'another backend becomes active, and then takes the data over (%i elements)',
    async (count) => {
      const tensor = make(used(() => floats([count])));
      const expected = bytesOf(tensor);
      const capture = newCapture();
      await activate(tf, 'cpu');
      const before = alive(tf);
      const [first, second, third, fourth] = Array.from({ length: 4 }, () => capture.take(tensor, 'x')) as [
        TensorInput,
        TensorInput,
        TensorInput,
        TensorInput,
      ];
      expect((await collect(first)).bytes.equals(expected)).toBe(true);
      expect(tf.engine().state.tensorInfo.get(tensor.dataId)?.backend).toBe(tf.findBackend(backendName));
      const chunks: Uint8Array[] = [];
      for await (const chunk of second.data as StreamedData) {
        chunks.push(chunk);
        tf.neg(tensor).dispose();
      }
      expect(tf.engine().state.tensorInfo.get(tensor.dataId)?.backend).toBe(tf.findBackend('cpu'));
      expect(Buffer.concat(chunks).equals(expected)).toBe(true);
      expect((await collect(third)).bytes.equals(expected)).toBe(true);
      // Chunks are given away: none may be the memory that the backend works with.
      const live = tf.engine().readSync(tensor.dataId) as Float32Array;
      for await (const { buffer } of fourth.data as StreamedData) expect(buffer).not.toBe(live.buffer);
      expect(alive(tf)).toEqual(before);
      capture.release();
    },
  );

  test('a disposed tensor is refused, by name', () => {
    const tensor = floats([3]);
    tensor.dispose();
    const before = alive(tf);
    const error = thrown(() => newCapture().take(tensor, 'left/kernel'), 'ERR_MODEL');
    expect(error.tensors).toEqual(['left/kernel']);
    expect(alive(tf)).toEqual(before);
  });

  test.runIf(!inJavaScript).each([2, 3 * MIB])('what is gone when it is read is ERR_SOURCE, by name (%i elements)', async (count) => {
    const gone = make(used(() => floats([count])));
    const capture = newCapture();
    const input = capture.take(gone, 'left/kernel');
    tf.findBackend(backendName).disposeData(gone.dataId, true);
    const error = await rejection(collect(input), 'ERR_SOURCE');
    expect(error.tensors).toEqual(['left/kernel']);
    const released = capture.take(make(used(() => floats([count]))), 'right/kernel');
    capture.release();
    expect((await rejection(collect(released), 'ERR_SOURCE')).tensors).toEqual(['right/kernel']);
  });
}
