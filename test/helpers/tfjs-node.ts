/** The real tfjs-node, where `npm run setup:tfjs-node` has installed it. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import util from 'node:util';
import type { Tf } from './tfjs.js';

const place = fileURLToPath(new URL('../../.cache/tfjs-node/node_modules/@tensorflow/tfjs-node', import.meta.url));

/** tfjs-node, or why there is none. */
export function loadTfjsNode(): { tf?: Tf; reason?: string } {
  if (!existsSync(`${place}/../../../ready.json`)) return { reason: 'tfjs-node is not set up; run "npm run setup:tfjs-node"' };
  // tfjs-node 4.22 uses what Node.js 24 has removed.
  const old = util as unknown as Record<string, unknown>;
  old['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
  old['isArray'] ??= Array.isArray;
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  try {
    return { tf: createRequire(import.meta.url)(place) as Tf };
  } catch (error) {
    return { reason: `tfjs-node does not load: ${(error as Error).message}` };
  }
}
