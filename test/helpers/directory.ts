import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

/** A fresh directory that goes away with the test. */
export function freshDirectory(): string {
  const directory = mkdtempSync(path.join(process.env['HOLDFAST_TEST_DIR'] ?? tmpdir(), 'holdfast-test-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
