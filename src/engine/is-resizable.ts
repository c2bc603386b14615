/** Whether memory may change its length under a reader. Node.js 20 has such buffers; the types of this project's target do not. */
export function isResizable(buffer: ArrayBufferLike): boolean {
  return (buffer as { resizable?: boolean }).resizable === true || (buffer as { growable?: boolean }).growable === true;
}
