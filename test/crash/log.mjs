// Parser of the dm-log-writes format, as QEMU's blklogwrites driver writes it.
//
//   super block    one log sector:  u64 magic | u64 version = 1 | u64 nr_entries | u32 sector_size | zeros
//   then, for each request in the order of completion:
//   entry header   one log sector:  u64 sector | u64 nr_sectors | u64 flags | u64 data_len | zeros
//   entry data     nr_sectors × sector_size bytes; nothing after a discard, a flush alone, or a mark
//
// All little-endian. Sources: Linux Documentation/admin-guide/device-mapper/log-writes.rst, QEMU block/blklogwrites.c.
//
// QEMU 7.2's FUSE export handles one request at a time, so here the order of completion is the order of
// issue, and a flush entry covers every write entry before it.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const MAGIC = 0x6a736677736872n;
const SUPER_BYTES_MIN = 28;
const ENTRY_BYTES = 32;

export const FLUSH = 1;
export const FUA = 2;
export const DISCARD = 4;
export const MARK = 8;

/**
 * Reads the index of a log: every complete entry, without its data.
 * An entry: { offset, bytes, flags, beginOffset, dataOffset, endOffset }; `offset` and `bytes` are where it lies
 * on the device, the other three where its header, its data and its end lie in the log file.
 */
export function readLog(path) {
  const fd = openSync(path, 'r');
  try {
    const sectorBytes = readSuper(fd);
    return { sectorBytes, entries: readEntries(fd, sectorBytes) };
  } finally {
    closeSync(fd);
  }
}

function readSuper(fd) {
  const head = Buffer.alloc(SUPER_BYTES_MIN);
  if (readSync(fd, head, 0, head.length, 0) !== head.length) throw new Error('block log: no super block');
  if (head.readBigUInt64LE(0) !== MAGIC) throw new Error('block log: wrong magic number');
  if (head.readBigUInt64LE(8) !== 1n) throw new Error('block log: unknown version');
  const sectorBytes = head.readUInt32LE(24);
  if (sectorBytes < 512 || (sectorBytes & (sectorBytes - 1)) !== 0) {
    throw new Error(`block log: sector size ${sectorBytes}`);
  }
  return sectorBytes;
}

// nr_entries of the super block is refreshed at flushes only, so the end of the file decides instead:
// an entry that is not complete had not been answered, and is left out.
function readEntries(fd, sectorBytes) {
  const logBytes = fstatSync(fd).size;
  const entries = [];
  const head = Buffer.alloc(ENTRY_BYTES);
  let position = sectorBytes;
  while (position + sectorBytes <= logBytes) {
    readSync(fd, head, 0, ENTRY_BYTES, position);
    const flags = Number(head.readBigUInt64LE(16));
    const bytes = Number(head.readBigUInt64LE(8)) * sectorBytes;
    const hasData = (flags & (DISCARD | MARK)) === 0;
    const dataOffset = position + sectorBytes;
    const endOffset = dataOffset + (hasData ? bytes : 0);
    if (flags > (FLUSH | FUA | DISCARD | MARK)) throw new Error(`block log: flags ${flags} at ${position}`);
    if (endOffset > logBytes) break;
    const offset = Number(head.readBigUInt64LE(0)) * sectorBytes;
    entries.push({ offset, bytes, flags, beginOffset: position, dataOffset, endOffset });
    position = endOffset;
  }
  return entries;
}

/** How many entries had at least begun in a log of `logBytes` bytes. */
export function entriesBegun(entries, logBytes) {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (entries[middle].beginOffset < logBytes) low = middle + 1;
    else high = middle;
  }
  return low;
}

export const isFlush = (entry) => (entry.flags & FLUSH) !== 0;
export const isWrite = (entry) => entry.bytes > 0 && (entry.flags & (MARK | DISCARD)) === 0;
