import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/crash/**', 'test/mutants/**'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Each file in its own process: the addon and the managers keep state per process.
    pool: 'forks',
    // Much of the time goes by waiting for fsyncs and child processes: the default leaves a core idle.
    maxWorkers: availableParallelism(),
    typecheck: { enabled: true, tsconfig: './tsconfig.json', include: ['test/**/*.test-d.ts'] },
  },
});
