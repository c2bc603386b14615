/** The dtypes of TensorFlow.js, and what they are in safetensors. */
import type { Dtype } from '../format/dtype.js';

/** Strings follow the convention of strings.ts. */
export const DTYPE_OF_TFJS: Readonly<Record<string, Dtype>> = {
  float32: 'F32',
  int32: 'I32',
  bool: 'BOOL',
  complex64: 'C64',
  string: 'U8',
};

/** What quantized weights are stored as. */
export const DTYPE_OF_QUANTIZED: Readonly<Record<string, Dtype>> = { uint8: 'U8', uint16: 'U16', float16: 'F16' };
