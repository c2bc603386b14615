/** A machine that gives no more threads: a typed error, whatever it is that cannot be started. */
import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { leftovers } from '../helpers/leftovers.js';

/** Somebody who has no other processes, which the limit would count. */
const NOBODY = 65_533;
const library = fileURLToPath(new URL('../../dist/index.js', import.meta.url));
const canLimit =
  process.getuid?.() === 0 &&
  spawnSync('setpriv', [`--reuid=${NOBODY}`, 'bash', '-c', 'ulimit -u 9 && test -r "$0" && test -x "$1"', library, process.execPath])
    .status === 0;
if (!canLimit)
  console.warn('Too few threads are not tried: that needs root, setpriv, bash, and a checkout and a Node.js that everybody may use.');

const SCRIPT = `
  import { CheckpointManager } from 'holdfast';
  const tell = (what) => (error) => console.log(what, error.constructor.name, error.code);
  let manager;
  try {
    manager = await CheckpointManager.open(process.argv[1]);
  } catch (error) {
    tell('open')(error);
    process.exit();
  }
  await manager.save({ step: 1, tensors: { x: { dtype: 'U8', shape: [8], data: new Uint8Array(8) } } }).then(() => console.log('saved'), tell('save'));
  await manager.close();
`;

test.skipIf(!canLimit)('too few threads', { timeout: 120_000 }, async () => {
  const outcomes = new Set<string>();
  for (let threads = 6; threads < 100 && !outcomes.has('saved'); threads++) {
    const directory = freshDirectory();
    chmodSync(directory, 0o777);
    const limited = ['setpriv', `--reuid=${NOBODY}`, 'bash', '-c', `ulimit -u ${threads}; exec "$@"`, '--'];
    const { stdout, stderr } = await ended(startNode(SCRIPT, [directory], {}, limited));
    const outcome = stdout.trim();
    // With very few Node.js itself does not start, and says so in its own way.
    if (outcome === '') continue;
    outcomes.add(outcome);
    expect(outcome, `with ${threads} threads: ${stderr}`).toMatch(/^(saved|(open|save) HoldfastError ERR_(RESOURCES|WORKER|IO))$/);
    expect(leftovers(directory)).toEqual([]);
  }
  expect([...outcomes].sort()).toEqual(expect.arrayContaining(['open HoldfastError ERR_RESOURCES', 'saved']));
});
