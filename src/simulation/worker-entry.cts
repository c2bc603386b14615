/** What the pool loads in a worker: CommonJS, for the reasons that src/saver/worker-entry.cts has. */
export = import('./worker.js').then((worker) => worker.default);
