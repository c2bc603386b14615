/** How things are measured, in the words of the result and of docs/BENCHMARKING.md. */

const ROUNDS = [
  'Interleaved: in every round each contender has one turn and the limit two, in an order that chance decides anew (seeded); a first round warms up and does not count.',
  'Same bytes for everyone: as many tensors of the same shapes, float32, random and not zero.',
  'What is removed behind a save (the checkpoint before it, the file that was written) is waited for before anything else is measured, and is counted for nobody.',
  'Between turns the file system is synchronised, and the disk rests; none of it counts.',
  'The figure is the median; the least and the most stand beside it.',
  'Noise is the 95 % bootstrap interval of the ratio of two medians of the limit against itself. A ratio inside it is no difference.',
];

const LIMIT =
  'The limit is fio with direct I/O, its buffers in huge pages, by io_uring or by threads: whichever is faster here, with block size and depth chosen by trial. Its own start does not count.';

export const SAVE_RULES: readonly string[] = [
  'A save counts from the call until everything is durable: every file and its directory synchronised (fsync), checksums included where there are any.',
  LIMIT,
  ...ROUNDS,
];

export const LOAD_RULES: readonly string[] = [
  'Before every read the page cache is emptied of the files, or passed by (direct I/O); a load ends when every byte is in memory.',
  LIMIT,
  ...ROUNDS,
];

const DURABLE = SAVE_RULES[0] as string;

const BARE =
  'The limit ("bare") is the least that makes one file durable under its name, by system calls in a row: write, fsync, rename, fsync of the directory. It has no manifest and no checksums.';

export const SMALL_RULES: readonly string[] = [DURABLE, BARE, 'A run is the mean of several saves.', ...ROUNDS];

export const SIZE_RULES: readonly string[] = [DURABLE, LIMIT, `Below 16 MiB, where fio's milliseconds are too coarse: ${BARE}`, ...ROUNDS];

export const STALL_RULES: readonly string[] = [
  'The stall is measured from outside, around "await manager.saveAsync(…)".',
  'What is removed behind a save, the checkpoint before it, is waited for before anything else is measured, and is not counted.',
  'Every row is measured in a process of its own, with random float32 tensors; memcpy is one copy of the same tensors into warm memory on one thread, before and after every save.',
];

export const TRAIN_RULES: readonly string[] = [
  'Speed is steps per second from the call of a save until it is durable, against the mean of the two runs alone of the same round.',
  'What is removed behind a save (the checkpoint before it, the file that was written) is waited for before anything else is measured, and is counted for nobody.',
  'Interleaved: in every round each variant has one turn and training alone two, in an order that changes; a first round warms up and does not count.',
  'The figure is the median; the least and the most stand beside it.',
  'Noise is the 95 % bootstrap interval of the ratio of two medians of the speed alone.',
];
