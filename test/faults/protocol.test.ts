/**
 * The order of the steps that make a commit durable, seen from outside: every mkdir, write, fsync, rename and
 * unlink of a save as Node.js (portable engine) or the kernel (strace, both engines) sees them.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { ENGINES } from '../helpers/engines.js';

const SAVES = `
  import { CheckpointManager, keep } from 'holdfast';
  import { writeSync } from 'node:fs';
  const [directory, engine] = process.argv.slice(1);
  const manager = await CheckpointManager.open(directory, { engine, keep: keep.last(1) });
  const data = new Uint8Array(10_000).fill(7);
  for (const step of [1, 2]) {
    await manager.save({
      step,
      tensors: { x: { dtype: 'U8', shape: [10_000], data } },
      optimizer: { y: { dtype: 'U8', shape: [10_000], data } },
      state: { step },
      attachments: [{ name: 'notes.txt', data: 'x' }],
    });
    writeSync(1, 'acknowledged ' + step + '\\n');
  }
  await manager.close();
`;

/** One system call on a path below the traced directory. */
interface Call {
  readonly name: string;
  readonly path: string;
  readonly to?: string;
}

/** Runs the script under strace and gives its calls in order, with `.tmp-*` names numbered. */
async function trace(engine: string): Promise<Call[]> {
  const parent = freshDirectory();
  const directory = path.join(parent, 'new', 'checkpoints');
  const log = path.join(parent, 'strace.log');
  const calls = 'trace=openat,write,pwrite64,pwritev,fsync,fdatasync,rename,renameat,renameat2,mkdir,unlink,rmdir,ftruncate,close';
  const child = startNode(SAVES, [directory, engine], {}, ['strace', '-f', '-y', '-qq', '-s', '64', '-e', calls, '-o', log]);
  const { stderr, code } = await ended(child);
  expect(code, stderr).toBe(0);
  return parse(readFileSync(log, 'utf8'), parent);
}

function parse(log: string, root: string): Call[] {
  const calls: Call[] = [];
  const unfinished = new Map<string, string>();
  for (const raw of log.split('\n')) {
    const [, pid = '', rest = ''] = /^(\d+)\s+(.*)$/.exec(raw) ?? [];
    let line = rest;
    if (line.endsWith('<unfinished ...>')) {
      unfinished.set(pid, line.slice(0, -'<unfinished ...>'.length));
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(line);
    if (resumed !== null) line = `${unfinished.get(pid) ?? ''}${resumed[1]}`;
    if (/= -1 E/.test(line)) continue;
    const name = /^(\w+)\(/.exec(line)?.[1];
    if (name === undefined) continue;
    if (name === 'write' && line.includes('acknowledged')) calls.push({ name: 'acknowledge', path: '' });
    const paths = [...line.matchAll(/["<](\/[^">]*)[">]/g)].map(([, found]) => found as string).filter((found) => found.startsWith(root));
    const [first, second] = paths.map((found) => path.relative(root, found).replace(/\.tmp-(delete-|lock-)?[0-9a-f]+/, '.tmp-$1'));
    if (first !== undefined)
      calls.push({
        name: name
          .replace(/^(renameat2|renameat)$/, 'rename')
          .replace(/^pwrite(64|v)$/, 'write')
          .replace('fdatasync', 'fsync'),
        path: first,
        ...(second === undefined ? {} : { to: second }),
      });
  }
  return calls;
}

const strace = spawnSync('strace', ['-V']);
const canTrace = strace.error === undefined && spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0;
if (!canTrace)
  console.warn(
    'The commit protocol is not checked at the system calls: strace is missing or not permitted (Debian: apt-get install strace).',
  );

describe.skipIf(!canTrace).each(ENGINES)('the commit, %s engine, as the kernel sees it', (engine) => {
  test('every step is there and in its order', async () => {
    const calls = await trace(engine);
    const base = 'new/checkpoints';
    const temporary = `${base}/.tmp-`;
    const [name1, name2] = ['checkpoint_step00000001', 'checkpoint_step00000002'];
    const at = (label: string, match: (call: Call) => boolean, after = -1): number => {
      const found = calls.findIndex((call, i) => i > after && match(call));
      expect(found, `${label} is missing; calls: ${JSON.stringify(calls.slice(Math.max(0, after)), null, 1)}`).toBeGreaterThan(-1);
      return found;
    };
    const synced = (file: string, after: number) => at(`fsync of ${file}`, (call) => call.name === 'fsync' && call.path === file, after);

    // The new directories themselves, each durable before the next is made in it.
    const parentMade = at('mkdir of the parent', ({ name, path: p }) => name === 'mkdir' && p === 'new');
    const made = at('mkdir', ({ name, path: p }) => name === 'mkdir' && p === base, parentMade);
    expect(synced('', parentMade)).toBeLessThan(made);
    const committed = at('the first rename', ({ name, to }) => name === 'rename' && to === `${base}/${name1}`);
    expect(synced('new', made)).toBeLessThan(committed);

    // Both saves.
    let start = made;
    for (const name of [name1, name2]) {
      const begun = at('mkdir of the temporary directory', (call) => call.name === 'mkdir' && call.path === temporary, start);
      const manifest = at(
        'creation of the manifest',
        (call) => call.name === 'openat' && call.path === `${temporary}/manifest.json`,
        begun,
      );
      for (const file of ['model.safetensors', 'optimizer.safetensors', 'state.json', 'notes.txt']) {
        const created = at(`creation of ${file}`, (call) => call.name === 'openat' && call.path === `${temporary}/${file}`, begun);
        const sync = synced(`${temporary}/${file}`, created);
        expect(sync, `${file} is durable before the manifest is begun`).toBeLessThan(manifest);
        const lastWrite = calls.findLastIndex(
          (call, i) => i < manifest && (call.name === 'write' || call.name === 'ftruncate') && call.path === `${temporary}/${file}`,
        );
        expect(lastWrite).toBeGreaterThan(created);
        expect(sync, `${file} is synced after its last write`).toBeGreaterThan(lastWrite);
      }
      const manifestSynced = synced(`${temporary}/manifest.json`, manifest);
      const directorySynced = synced(temporary, manifestSynced);
      const renamed = at(
        'the rename',
        (call) => call.name === 'rename' && call.path === temporary && call.to === `${base}/${name}`,
        directorySynced,
      );
      const parentSynced = synced(base, renamed);
      const acknowledged = at('the acknowledgement', (call) => call.name === 'acknowledge', renamed);
      expect(parentSynced).toBeLessThan(acknowledged);
      // Nothing is done to the checkpoint once it has its name.
      const touched = calls.filter(
        ({ name: call, path: p }, i) =>
          i > renamed && i < acknowledged && p.startsWith(`${base}/${name}/`) && call !== 'openat' && call !== 'close',
      );
      expect(touched).toEqual([]);
      // Links, and retention, come after.
      const linked = at('the link', (call) => call.name === 'rename' && call.to === `${base}/latest`, renamed);
      expect(linked).toBeGreaterThan(parentSynced);
      start = renamed;
    }

    // Retention: away under a temporary name, durably, before anything inside is removed.
    const buried = at(
      'the renaming of the old one',
      ({ name, path: p, to }) => name === 'rename' && p === `${base}/${name1}` && to === `${base}/.tmp-delete-`,
    );
    expect(buried).toBeGreaterThan(at('the second rename', ({ name, to }) => name === 'rename' && to === `${base}/${name2}`));
    const removed = at('the removal', ({ name, path: p }) => name === 'unlink' && p.startsWith(`${base}/.tmp-delete-/`));
    expect(removed).toBeGreaterThan(buried);
    const buriedDurably = synced(base, buried);
    expect(buriedDurably).toBeLessThan(removed);
  });
});
