/** Versions, for manifests and messages. */
import { readFileSync } from 'node:fs';

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

/** The version of this library. */
export const VERSION = manifest.version;

/** What wrote a checkpoint. */
export const SOFTWARE: Readonly<Record<string, string>> = Object.freeze({
  holdfast: VERSION,
  node: process.version,
  platform: `${process.platform}-${process.arch}`,
});
