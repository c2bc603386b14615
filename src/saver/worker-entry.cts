/**
 * What the pool loads in a worker. It is CommonJS because the pool tries `require` first: Node.js 22 aborts the process if it exits while
 * a thread requires an ES module. The pool awaits what it finds.
 */
export = import('./worker.js').then((worker) => worker.default);
