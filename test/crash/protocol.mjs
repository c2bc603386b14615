// A stand-in for the library: the commit protocol in plain node:fs, and ways to break it.
//
// It is the harness's control. Unbroken it must pass; each other one of CONTROLS leaves out something that
// durability rests on, and the harness must find that.
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';

export const CONTROLS = {
  none: 'the unbroken protocol, which must pass',
  'no-dirsync': 'no fsync of the directory after the rename: acknowledged saves get lost',
  'no-fsync': 'no fsync of the files: committed names with empty files',
  'no-rename-order': 'rename first, fsync after: a damaged checkpoint under a visible name',
  'lying-disk': 'the unbroken protocol on a disk that ignores flushes, for the dropping of writes itself',
};

const TEMPORARY = '.tmp-';

export async function open(dir, { keep, control = 'none' }) {
  mkdirSync(dir, { recursive: true });
  for (const name of readdirSync(dir)) {
    if (name.startsWith(TEMPORARY)) rmSync(path.join(dir, name), { recursive: true });
  }
  const good = () =>
    scan(dir)
      .filter((entry) => entry.good)
      .map((entry) => entry.step);
  return {
    save: async ({ step, tensors, state }) => {
      commit(dir, { step, tensors, state, control });
      for (const old of good().slice(0, -keep)) retire(dir, old);
      return { direct: false };
    },
    list: async () => scan(dir),
    restore: async (which) => {
      const step = which === 'latest' ? good().at(-1) : which.step;
      return step === undefined ? null : load(dir, step);
    },
    verify: async () => [],
    close: async () => {},
    engine: 'node:fs',
  };
}

const nameOf = (step) => `step${String(step).padStart(8, '0')}`;

function commit(dir, { step, tensors, state, control }) {
  const temporary = path.join(dir, `${TEMPORARY}${process.pid}-${step}`);
  const final = path.join(dir, nameOf(step));
  mkdirSync(temporary);
  const files = tensors.map(({ name, dtype, shape, data }, index) => {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    const file = `tensor${index}.bin`;
    writeFile(path.join(temporary, file), bytes);
    return { file, name, dtype, shape, bytes: bytes.length, sha256: sha256(bytes) };
  });
  const manifest = JSON.stringify({ step, state, files });
  writeFile(path.join(temporary, 'manifest.json'), Buffer.from(`${sha256(manifest)}\n${manifest}`));
  const names = [...files.map(({ file }) => file), 'manifest.json'];
  const syncFiles = (folder) => {
    for (const name of names) sync(path.join(folder, name));
    sync(folder);
  };
  if (control !== 'no-fsync' && control !== 'no-rename-order') syncFiles(temporary);
  renameSync(temporary, final);
  if (control === 'no-rename-order') syncFiles(final);
  if (control !== 'no-dirsync') sync(dir);
}

function writeFile(file, bytes) {
  const fd = openSync(file, 'wx');
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  closeSync(fd);
}

function sync(file) {
  const fd = openSync(file, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

/** Out of sight first, so that a crash in the middle of the deletion leaves no damaged checkpoint. */
function retire(dir, step) {
  const gone = path.join(dir, `${TEMPORARY}gone-${step}`);
  renameSync(path.join(dir, nameOf(step)), gone);
  rmSync(gone, { recursive: true });
}

function scan(dir) {
  const names = readdirSync(dir)
    .filter((name) => name.startsWith('step'))
    .sort();
  return names.map((name) => {
    const manifest = readManifest(path.join(dir, name));
    const good = manifest?.files.every(({ file, bytes }) => {
      const full = path.join(dir, name, file);
      return existsSync(full) && statSync(full).size === bytes;
    });
    return { name, step: Number(name.slice(4)), good: good === true };
  });
}

function readManifest(folder) {
  const file = path.join(folder, 'manifest.json');
  if (!existsSync(file)) return null;
  const text = readFileSync(file, 'utf8');
  const body = text.slice(65);
  return text.slice(0, 64) === sha256(body) ? JSON.parse(body) : null;
}

const TYPES = { F32: Float32Array, I32: Int32Array, U8: Uint8Array };

function load(dir, step) {
  const folder = path.join(dir, nameOf(step));
  const { files, state } = readManifest(folder);
  const tensors = new Map();
  for (const { file, name, dtype, shape, sha256: digest } of files) {
    const bytes = readFileSync(path.join(folder, file));
    if (sha256(bytes) !== digest) throw new Error(`${nameOf(step)}/${file} is damaged`);
    tensors.set(name, { dtype, shape, data: new TYPES[dtype](new Uint8Array(bytes).buffer) });
  }
  return { step, tensors, state };
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
