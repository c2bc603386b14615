/** Quantized weights of TensorFlow.js as numbers again, to the bit as tfjs itself does it. Pure. */
import { viewOf } from '../format/decode-values.js';
import { halfToSingle } from './cast.js';
import type { Quantization } from './model-document.js';

/** Gives the function that turns whole quantized elements into float32, or int32. */
export function dequantizerOf({ dtype, min, scale }: Quantization, toInteger: boolean): (bytes: Uint8Array) => Uint8Array {
  if (dtype === 'float16') {
    return (bytes) => toBytes(Uint32Array.from(viewOf(Uint16Array, bytes, bytes.length / 2), halfToSingle));
  }
  return (bytes) => {
    const codes = dtype === 'uint8' ? bytes : viewOf(Uint16Array, bytes, bytes.length / 2);
    const values = toInteger ? new Int32Array(codes.length) : new Float32Array(codes.length);
    for (let i = 0; i < codes.length; i++) {
      const value = (codes[i] as number) * scale + min;
      values[i] = toInteger ? Math.round(value) : value;
    }
    return toBytes(values);
  };
}

function toBytes({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
