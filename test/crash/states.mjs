// Enumerates crash states: what a disk with a volatile write cache may hold when the power goes.
//
// The power goes after the first `prefix` entries of the log. Everything up to the last flush entry in
// that prefix (the *barrier*) is on the disk. Of the writes behind the barrier any subset may have reached
// it, in any order; only writes with FUA are certain. One write may have reached it in part (torn).
import { createHash } from 'node:crypto';
import { FUA, isFlush, isWrite } from './log.mjs';
import { makeRandom, mix } from './prng.mjs';

// At most this part of the states asked for lies at acknowledgements. Of the rest at most half are prefixes that
// end at a flush; what these leave goes to prefixes between flushes and, mostly, to states with dropped writes.
const ACK_SHARE_MAX = 0.4;
const FLUSH_SHARE_MAX = 0.5;
const PREFIX_SHARE = 0.25;
// Small windows repeat themselves: give up on a new state after so many tries per state asked for.
const TRIES_PER_STATE = 12;

/**
 * The crash states of a recording, sorted by prefix, `{ id, kind, prefix, barrier, variant }` each:
 * - `ack`: right after an acknowledgement, everything unflushed lost: the hardest state for it;
 * - `flush`: a prefix that ends at a flush;
 * - `prefix`: any other prefix, with every write that was issued;
 * - `drop`: a prefix whose unflushed writes are partly lost, or torn.
 * With `ignoreFlushes` the disk is one that lies: everything since the recording's start may be lost.
 * Deterministic in (recording, count, seed); no two states are the same image with the same promises.
 * There are fewer than `count` where the recording does not give so many.
 */
export function enumerateStates({ recording, isData, count, seed, ignoreFlushes = false }) {
  const { entries, first, end, sectorBytes, acks } = recording;
  const random = makeRandom(mix(seed, 10));
  const barriers = ignoreFlushes ? new Uint32Array(end + 1).fill(first) : barriersOf(entries, end);
  const flushes = [];
  const between = [];
  for (let prefix = first + 1; prefix <= end; prefix += 1) {
    (isFlush(entries[prefix - 1]) ? flushes : between).push(prefix);
  }
  const chosen = [];
  const seen = new Set();
  const add = (kind, prefix, variant) => {
    const state = { kind, prefix, barrier: barriers[prefix], variant };
    const writes = writesBehindBarrier({ state, entries, seed, sectorBytes, isData });
    const promised = acks.filter((ack) => ack.prefix <= prefix).length;
    const key = fingerprint([state.barrier, promised, ...writes.flatMap((write) => [write.dataOffset ?? write.offset, write.bytes])]);
    if (seen.has(key)) return;
    seen.add(key);
    chosen.push(state);
  };
  const acked = acks.map((ack) => ack.prefix).filter((prefix) => prefix > first && prefix <= end);
  for (const prefix of spread(acked, Math.ceil(count * ACK_SHARE_MAX))) add('ack', prefix, 0);
  for (const prefix of spread(flushes, Math.ceil((count - chosen.length) * FLUSH_SHARE_MAX))) add('flush', prefix, 0);
  for (const prefix of shuffled(between, random).slice(0, Math.floor((count - chosen.length) * PREFIX_SHARE))) {
    add('prefix', prefix, 0);
  }
  const droppable = between.filter((prefix) => prefix > barriers[prefix]);
  for (let variant = 1; droppable.length > 0 && chosen.length < count && variant <= count * TRIES_PER_STATE; variant += 1) {
    add('drop', dropPrefix(droppable, entries, barriers, random), variant);
  }
  const rank = { ack: 0, flush: 1, prefix: 2, drop: 3 };
  chosen.sort((a, b) => a.prefix - b.prefix || rank[a.kind] - rank[b.kind] || a.variant - b.variant);
  return chosen.map((state, id) => ({ id, ...state }));
}

function fingerprint(numbers) {
  return createHash('sha1').update(numbers.join(',')).digest('base64');
}

/** barriers[prefix]: the number of entries up to and with the last flush among the first `prefix` entries. */
function barriersOf(entries, end) {
  const barriers = new Uint32Array(end + 1);
  for (let prefix = 1; prefix <= end; prefix += 1) {
    barriers[prefix] = isFlush(entries[prefix - 1]) ? prefix : barriers[prefix - 1];
  }
  return barriers;
}

/** Half of the dropping states lie right before a flush, and the larger of two windows is taken: more is at stake there. */
function dropPrefix(droppable, entries, barriers, random) {
  const candidates = [0, 1].map(() => {
    let prefix = random.pick(droppable);
    if (random.chance(0.5)) while (prefix < droppable.at(-1) && !isFlush(entries[prefix])) prefix += 1;
    return prefix;
  });
  const [one, other] = candidates;
  return other - barriers[other] > one - barriers[one] ? other : one;
}

/** At most `count` items, evenly spread, the last always among them. */
function spread(items, count) {
  if (items.length <= count) return items;
  return Array.from({ length: count }, (_, index) => items[Math.floor(((index + 1) * items.length) / count) - 1]);
}

function shuffled(items, random) {
  const copy = [...items];
  for (let index = copy.length - 1; index > 0; index -= 1) {
    const other = random.below(index + 1);
    [copy[index], copy[other]] = [copy[other], copy[index]];
  }
  return copy;
}

/**
 * What is written on top of the barrier's image, in this order: `[{ offset, bytes, dataOffset }]` (or
 * `{ …, zeros: true }` for a discard). `isData(entry, data)` says whether a write holds file data alone;
 * only such writes are torn, at sectors.
 */
export function writesBehindBarrier({ state, entries, seed, sectorBytes, isData }) {
  const window = entries.slice(state.barrier, state.prefix).filter((entry) => entry.bytes > 0);
  if (state.kind === 'ack') return window.filter((entry) => (entry.flags & FUA) !== 0).map(toWrite);
  if (state.kind !== 'drop') return window.map(toWrite);
  const random = makeRandom(mix(seed, 11, state.prefix, state.variant));
  const keep = random.pick([0, 0.1, 0.5, 0.5, 0.9]);
  const tear = random.pick([0, 0.3, 1]);
  const writes = [];
  let lost = 0;
  for (const entry of window) {
    const certain = (entry.flags & FUA) !== 0;
    if (!certain && isWrite(entry) && random.chance(tear) && isData(entry)) {
      writes.push(...tornPieces(entry, random, sectorBytes));
      lost += 1;
    } else if (certain || random.chance(keep)) {
      writes.push({ ...toWrite(entry), certain });
    } else {
      lost += 1;
    }
  }
  // Something is lost in each of these states: all that was kept by chance gives one up.
  const uncertain = writes.filter((write) => !write.certain);
  if (lost > 0 || uncertain.length === 0) return writes;
  const victim = random.pick(uncertain);
  return writes.filter((write) => write !== victim);
}

function toWrite(entry) {
  const { offset, bytes, dataOffset } = entry;
  return isWrite(entry) ? { offset, bytes, dataOffset } : { offset, bytes, zeros: true };
}

/** A leading part, or a random half of the sectors in runs. */
function tornPieces(entry, random, sectorBytes) {
  const sectors = entry.bytes / sectorBytes;
  const piece = (from, count) => ({
    offset: entry.offset + from * sectorBytes,
    bytes: count * sectorBytes,
    dataOffset: entry.dataOffset + from * sectorBytes,
  });
  if (random.chance(0.5)) {
    const count = random.below(sectors);
    return count === 0 ? [] : [piece(0, count)];
  }
  const pieces = [];
  const runMax = Math.max(1, Math.ceil(sectors / 8));
  for (let from = 0; from < sectors; ) {
    const count = Math.min(sectors - from, 1 + random.below(runMax));
    if (random.chance(0.5)) pieces.push(piece(from, count));
    from += count;
  }
  return pieces;
}
