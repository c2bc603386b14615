/** A peer from Python as a contender: what of its process's answers becomes part of the result. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PYTHON_PEERS, PythonPeer, type PythonPeerName } from '../../src/bench/peers/contender.js';
import { Python } from '../../src/bench/peers/python.js';
import { equalTensors } from '../../src/bench/workload.js';
import { freshDirectory } from '../helpers/directory.js';

const TENSORS = equalTensors(2 ** 20, 4);

/** The real one, with whatever is installed for it; a Python with more packages can be named. */
const PYTHON = process.env['HOLDFAST_PYTHON'] ?? 'python3';
const SCRIPT = fileURLToPath(new URL('../../src/bench/peers/peers.py', import.meta.url));
const MEMORY = '/dev/shm';

interface Peer {
  readonly peer: PythonPeer;
  readonly warnings: string[];
}

function makePeer(python: Python, name: PythonPeerName, action: 'save' | 'load', directory: string): Peer {
  const warnings: string[] = [];
  const peer = new PythonPeer({ name, python, action, tensors: TENSORS, directory, onWarning: (text) => warnings.push(text) });
  onTestFinished(() => peer.stop());
  return { peer, warnings };
}

/** A process that speaks as peers.py does and answers every load with the next of `shares`: no file system can be told to keep just so much. */
function standIn(shares: readonly (number | null)[]): Python {
  const script = path.join(freshDirectory(), 'stand-in.mjs');
  writeFileSync(
    script,
    `import { createInterface } from 'node:readline';
const say = (document) => process.stdout.write(JSON.stringify(document) + '\\n');
const shares = ${JSON.stringify(shares)};
const measured = { ok: true, seconds: 1, cpuSeconds: 0.5, maxRssBytes: 4096 };
say({ ready: true, versions: {}, peers: { safetensors: null, 'torch-dcp-async': null }, notes: { save: { 'torch-dcp-async': 'as it comes' }, load: {} } });
createInterface({ input: process.stdin }).on('line', (line) => {
  const { do: what } = JSON.parse(line);
  if (what === 'make') say({ ok: true });
  else if (what === 'save') say({ ...measured, stallSeconds: 0.25 });
  else say({ ...measured, stallSeconds: null, cachedShare: shares.shift() });
});
`,
  );
  return new Python(process.execPath, TENSORS, script);
}

describe('with a stand-in', () => {
  test.each([
    [[0.01, 0, null], []],
    [[0, 0.011, 0.9], [expect.stringMatching(/^safetensors: 2 % of its files stayed in the page cache/)]],
    [[1, 1, 1], [expect.stringMatching(/^safetensors: 100 % of its files .* those of memory\.$/)]],
  ])('%j of what is read in the page cache: %j', async (shares, expected) => {
    const { peer, warnings } = makePeer(standIn(shares), 'safetensors', 'load', path.join(freshDirectory(), 'peer'));
    await peer.start();
    for (const _ of shares) expect(await peer.run()).toEqual({ seconds: 1, cpuSeconds: 0.5, maxRssBytes: 4096 });
    expect(warnings).toEqual(expected);
    expect(peer.note).toBeUndefined();
  });

  test('the note of its process and how long its caller waited stand side by side', async () => {
    const { peer } = makePeer(standIn([]), 'torch-dcp-async', 'save', path.join(freshDirectory(), 'peer'));
    await peer.start();
    expect(peer.note).toBe('as it comes');
    for (const _ of [1, 2]) {
      await peer.run();
      expect(peer.note).toBe('as it comes; its caller waited 0.25 s of it in the last run');
    }
  });
});

const possible = spawnSync(PYTHON, ['-c', 'import resource']).status === 0;
if (!possible) console.log(`Left out: the peers in Python. ${PYTHON} cannot be run, or is not of a Unix.`);

describe.skipIf(!possible)('with peers.py', () => {
  test('every peer has a note for what it does', async () => {
    const python = new Python(PYTHON, TENSORS, SCRIPT);
    onTestFinished(() => python.end());
    const { notes } = await python.ready();
    expect(Object.keys(notes['save'] ?? {})).toEqual(PYTHON_PEERS);
    // What torch-dcp-async saves is loaded by torch-dcp.
    expect(Object.keys(notes['load'] ?? {})).toEqual(PYTHON_PEERS.filter((name) => name !== 'torch-dcp-async'));
  });

  test.runIf(existsSync(MEMORY)).each(PYTHON_PEERS.filter((name) => name !== 'torch-dcp-async'))(
    '%s: what lies in memory cannot be dropped, and that is said',
    async (name) => {
      const directory = mkdtempSync(path.join(MEMORY, 'holdfast-test-'));
      onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
      const python = new Python(PYTHON, TENSORS, SCRIPT);
      const { peer, warnings } = makePeer(python, name, 'load', path.join(directory, 'peer'));
      onTestFinished(() => python.end());
      const why = await peer.unavailable();
      if (why !== undefined) {
        console.log(`Left out: ${name}: ${why}.`);
        return;
      }
      await peer.start();
      expect(await peer.run()).toMatchObject({ seconds: expect.toSatisfy((value) => value > 0) });
      expect(warnings).toEqual([
        expect.stringMatching(new RegExp(`^${name.replace('.', '\\.')}: 100 % of its files stayed in the page cache`)),
      ]);
    },
  );
});
