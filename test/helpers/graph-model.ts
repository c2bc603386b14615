/** A small graph model as tfjs takes it: y = x · W + b, written by hand. */
import type { io } from '@tensorflow/tfjs';

const FLOAT = { type: 'DT_FLOAT' };

function shapeOf(...sizes: number[]) {
  return { shape: { dim: sizes.map((size) => ({ size: String(size) })) } };
}

const TOPOLOGY = {
  node: [
    { name: 'x', op: 'Placeholder', attr: { dtype: FLOAT, shape: shapeOf(-1, 3) } },
    { name: 'W', op: 'Const', attr: { dtype: FLOAT, value: { tensor: { dtype: 'DT_FLOAT', tensorShape: shapeOf(3, 2).shape } } } },
    { name: 'b', op: 'Const', attr: { dtype: FLOAT, value: { tensor: { dtype: 'DT_FLOAT', tensorShape: shapeOf(2).shape } } } },
    { name: 'xW', op: 'MatMul', input: ['x', 'W'], attr: { T: FLOAT, transpose_a: { b: false }, transpose_b: { b: false } } },
    { name: 'xWb', op: 'BiasAdd', input: ['xW', 'b'], attr: { T: FLOAT, data_format: { s: 'TkhXQw==' } } },
    { name: 'y', op: 'Identity', input: ['xWb'], attr: { T: FLOAT } },
  ],
  library: {},
  versions: { producer: 1482 },
};

/** Its artifacts, with the weights 0.5, 1, … as float32, or quantized to bytes. */
export function graphArtifacts(quantized = false): io.ModelArtifacts {
  const W = { name: 'W', shape: [3, 2], dtype: 'float32' as const };
  const b = { name: 'b', shape: [2], dtype: 'float32' as const };
  const spec = quantized ? { ...W, quantization: { dtype: 'uint8' as const, scale: 0.5, min: 0.5 } } : W;
  const weights = quantized ? Buffer.from([0, 1, 2, 3, 4, 5]) : Buffer.from(Float32Array.of(0.5, 1, 1.5, 2, 2.5, 3).buffer);
  const data = Buffer.concat([weights, Buffer.from(Float32Array.of(10, 20).buffer)]);
  return {
    modelTopology: TOPOLOGY,
    format: 'graph-model',
    generatedBy: '2.11.0',
    convertedBy: 'by hand',
    signature: {
      inputs: { x: { name: 'x:0', dtype: 'DT_FLOAT', tensorShape: { dim: [{ size: -1 }, { size: 3 }] } } },
      outputs: { y: { name: 'y:0', dtype: 'DT_FLOAT', tensorShape: { dim: [{ size: -1 }, { size: 2 }] } } },
    } as unknown as io.ModelArtifacts['signature'] & object,
    userDefinedMetadata: { labels: ['a', 'b'] },
    weightSpecs: [spec, b],
    weightData: new Uint8Array(data).buffer,
  };
}
