/**
 * A quicker kernel for the cpu backend. The gradient of an embedding adds up rows by the word that they belong to; TensorFlow.js goes through all rows
 * once for each word of the vocabulary there, which takes minutes where this takes a moment. The native backends need nothing of the kind.
 */
export function useQuickSegmentSum(tf) {
  if (tf.getKernel('UnsortedSegmentSum', 'cpu') === undefined) return;
  tf.unregisterKernel('UnsortedSegmentSum', 'cpu');
  tf.registerKernel({
    kernelName: 'UnsortedSegmentSum',
    backendName: 'cpu',
    kernelFunc: ({ inputs: { x, segmentIds }, backend, attrs: { numSegments } }) => {
      const ids = backend.data.get(segmentIds.dataId).values;
      const values = backend.data.get(x.dataId).values;
      const rowShape = x.shape.slice(segmentIds.shape.length);
      const width = rowShape.reduce((product, size) => product * size, 1);
      const sums = new Float32Array(numSegments * width);
      for (let row = 0; row < ids.length; row++) {
        // As in TensorFlow, what belongs to no segment is left out.
        if (ids[row] < 0 || ids[row] >= numSegments) continue;
        for (let i = 0; i < width; i++) sums[ids[row] * width + i] += values[row * width + i];
      }
      return backend.makeTensorInfo([numSegments, ...rowShape], x.dtype, x.dtype === 'int32' ? Int32Array.from(sums) : sums);
    },
  });
}
