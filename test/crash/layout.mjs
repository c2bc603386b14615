// Tells file data from file-system metadata in recorded writes, so that only data is torn.
//
// A file system may rely on the device writing its own metadata blocks in one piece; the checkpoint
// protocol must not rely on that for data. So every write that could hold metadata counts as metadata:
// the static areas (super block, group descriptors, bitmaps, inode tables, journal), and blocks that
// carry the signature of a directory or an extent tree.
import { readSync } from 'node:fs';
import { capture } from './system.mjs';

const BLOCK_BYTES = 4096;
const EXTENT_MAGIC = 0xf30a;

/** The static metadata of an ext4 image as sorted block ranges `[[from, to], …]`; null for another file system. */
export function staticMetadata(image, fileSystem) {
  if (fileSystem !== 'ext4') return null;
  const ranges = [];
  const dump = capture('dumpe2fs', [image]);
  for (const line of dump.split('\n')) {
    if (!/superblock at|Group descriptors at|Reserved GDT blocks at|bitmap at|Inode table at/.test(line)) continue;
    for (const match of line.matchAll(/ at (\d+)(?:-(\d+))?/g)) {
      ranges.push([Number(match[1]), Number(match[2] ?? match[1])]);
    }
  }
  const journal = capture('debugfs', ['-R', 'blocks <8>', image]);
  for (const block of journal.split(/\s+/).filter(Boolean).map(Number)) ranges.push([block, block]);
  if (ranges.length < 5 || ranges.some((range) => range.some(Number.isNaN))) {
    throw new Error('cannot tell the layout of the ext4 image: dumpe2fs or debugfs answered something unexpected');
  }
  return merged(ranges);
}

function merged(ranges) {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const result = [sorted[0]];
  for (const [from, to] of sorted.slice(1)) {
    const last = result[result.length - 1];
    if (from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

/** A function that says whether a log entry holds file data alone. `logFd` is the open log. */
export function dataClassifier(metadata, logFd) {
  if (metadata === null) return () => false;
  const known = new Map();
  return (entry) => {
    if (!known.has(entry)) known.set(entry, holdsDataAlone(entry));
    return known.get(entry);
  };

  function holdsDataAlone(entry) {
    if (entry.offset % BLOCK_BYTES !== 0 || entry.bytes % BLOCK_BYTES !== 0) return false;
    const from = entry.offset / BLOCK_BYTES;
    const to = from + entry.bytes / BLOCK_BYTES - 1;
    if (metadata.some((range) => range[0] <= to && range[1] >= from)) return false;
    const data = Buffer.alloc(entry.bytes);
    readSync(logFd, data, 0, data.length, entry.dataOffset);
    for (let at = 0; at < data.length; at += BLOCK_BYTES) {
      if (looksLikeMetadata(data.subarray(at, at + BLOCK_BYTES))) return false;
    }
    return true;
  }
}

/** A directory block ends with its checksum record (12 bytes, type 0xDE); a directory's first block begins with ".". */
function looksLikeMetadata(block) {
  const tail = BLOCK_BYTES - 12;
  const directoryTail = block.readUInt32LE(tail) === 0 && block.readUInt32LE(tail + 4) === 0xde00000c;
  const directoryHead = block.readUInt16LE(4) === 12 && block[6] === 1 && block[7] === 2 && block[8] === 0x2e;
  return directoryTail || directoryHead || block.readUInt16LE(0) === EXTENT_MAGIC;
}
