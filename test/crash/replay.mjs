// Turns crash states into mounted file systems, one after the other.
//
// The base image holds everything up to a barrier and only moves forward (states come sorted by prefix).
// A state is a sparse copy of the base with the surviving writes behind the barrier on top. Mounting it
// replays the journal, as the first mount after a power cut does.
import { closeSync, mkdirSync, openSync, readFileSync, readSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { writesBehindBarrier } from './states.mjs';
import { attempt, capture } from './system.mjs';

const UNMOUNT_TRIES = 60;
const PIECE_BYTES = 4 * 2 ** 20;

export class Replayer {
  #recording;
  #directory;
  #logFd;
  #base;
  #baseFd;
  #applied = 0;
  #isData;
  #serial = 0;
  #seed;
  #teardown;
  #buffer = Buffer.alloc(PIECE_BYTES);

  constructor({ recording, isData, directory, seed, teardown }) {
    mkdirSync(directory);
    this.#recording = recording;
    this.#directory = directory;
    this.#seed = seed;
    this.#teardown = teardown;
    this.#logFd = openSync(recording.logPath, 'r');
    this.#isData = isData;
    this.#base = path.join(directory, 'base.img');
    writeFileSync(this.#base, '');
    truncateSync(this.#base, recording.meta.imageBytes);
    this.#baseFd = openSync(this.#base, 'r+');
    mkdirSync(path.join(directory, 'mount'));
  }

  /**
   * Mounts a state and gives { directory, image, unmount, release }: `unmount` resolves to a complaint or null,
   * `release` deletes the image. States must come in the order of enumerateStates.
   */
  mount(state) {
    const image = this.#build(state);
    const mount = path.join(this.#directory, 'mount');
    const { fileSystem } = this.#recording.meta;
    const undo = this.#teardown.add(() => {
      if (isMounted(mount)) attempt('umount', ['-l', mount]);
      rmSync(image, { force: true });
    });
    const options = { ext4: 'loop,errors=remount-ro', xfs: 'loop,nouuid', btrfs: 'loop' }[fileSystem];
    const result = attempt('mount', ['-t', fileSystem, '-o', options, image, mount]);
    if (result.status !== 0) {
      undo();
      throw new Error(`the file system does not mount: ${result.stderr.trim()}`);
    }
    return { directory: mount, image, unmount: () => unmountPatiently(mount), release: undo };
  }

  /** Runs the file system's own check on a state, as it is after its journal was replayed; null where it is clean. */
  check(image) {
    if (this.#recording.meta.fileSystem !== 'ext4') return null;
    const { status, stdout } = attempt('e2fsck', ['-f', '-n', image]);
    return status === 0 ? null : stdout.trim();
  }

  #build(state) {
    const { entries, sectorBytes } = this.#recording;
    if (state.barrier < this.#applied) throw new Error('crash states must come sorted by prefix');
    for (; this.#applied < state.barrier; this.#applied += 1) {
      const { bytes, offset, dataOffset, endOffset } = entries[this.#applied];
      if (bytes > 0) this.#put(this.#baseFd, { offset, bytes, dataOffset, zeros: endOffset === dataOffset });
    }
    // A new name each time: the loop device of the last state may still be closing.
    const image = path.join(this.#directory, `state-${this.#serial++}.img`);
    capture('cp', ['--reflink=auto', '--sparse=always', this.#base, image]);
    const fd = openSync(image, 'r+');
    try {
      const behind = writesBehindBarrier({ state, entries, seed: this.#seed, sectorBytes, isData: this.#isData });
      for (const write of behind) this.#put(fd, write);
    } finally {
      closeSync(fd);
    }
    return image;
  }

  #put(fd, { offset, bytes, dataOffset, zeros }) {
    for (let done = 0; done < bytes; done += PIECE_BYTES) {
      const piece = this.#buffer.subarray(0, Math.min(PIECE_BYTES, bytes - done));
      if (zeros) piece.fill(0);
      else if (readSync(this.#logFd, piece, 0, piece.length, dataOffset + done) !== piece.length)
        throw new Error('the block log is too short');
      for (let at = 0; at < piece.length; ) at += writeSync(fd, piece, at, piece.length - at, offset + done + at);
    }
  }

  close() {
    closeSync(this.#logFd);
    closeSync(this.#baseFd);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function isMounted(mount) {
  return readFileSync('/proc/self/mounts', 'utf8').includes(` ${mount} `);
}

/** Unmounts; gives a complaint if something still held files open after all tries (then it is detached lazily). */
async function unmountPatiently(mount) {
  let last = '';
  for (let tries = 0; tries < UNMOUNT_TRIES; tries += 1) {
    const { status, stderr } = attempt('umount', [mount]);
    if (status === 0) return null;
    last = stderr.trim();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  attempt('umount', ['-l', mount]);
  return last;
}
