/** From the runs of a set of rounds to its rows, ratios and noise. */
import type { Contender, Measured } from './contender.js';
import { noiseBetween } from './noise.js';
import type { Comparison, Noise, Row } from './report.js';
import { median, summary } from './stats.js';

/** A limit that was measured in another way is a peer; its name says which. */
export const LIMIT_NAME = 'fio';

export interface ComparisonFacts {
  /** Bytes and number of all tensors. */
  readonly bytes: number;
  readonly tensors: number;
  readonly runs: number;
}

/** Rows with ours first, then the limit, then the peers, the fastest first. Without any row where nothing was measured. */
export function toComparison(measured: ReadonlyMap<Contender, readonly Measured[]>, facts: ComparisonFacts): Comparison {
  const rows = nameLimit([...measured].map(([contender, list]) => toRow(contender, list)));
  const order = { ours: 0, limit: 1, peer: 2 };
  const sorted = rows.sort((a, b) => order[a.kind] - order[b.kind] || (a.kind === 'ours' ? 0 : perByte(a) - perByte(b)));
  const ours = sorted.find(({ kind }) => kind === 'ours');
  const others = sorted.filter(({ kind }) => kind !== 'ours');
  const ratios = ours === undefined ? {} : Object.fromEntries(others.map((row) => [row.name, perByte(row) / perByte(ours)]));
  return { ...facts, noise: noiseOf(measured), rows: sorted, ratios };
}

/** Of the contender that was measured twice in every round. */
function noiseOf(measured: ReadonlyMap<Contender, readonly Measured[]>): Noise | null {
  for (const [{ kind }, list] of measured) {
    if (kind !== 'limit') continue;
    const seconds = list.map((run) => run.seconds);
    return noiseBetween(
      seconds.filter((_, i) => i % 2 === 0),
      seconds.filter((_, i) => i % 2 === 1),
    );
  }
  return null;
}

function toRow({ name, kind, bytes, note }: Contender, list: readonly Measured[]): Row {
  const seconds = list.map((run) => run.seconds);
  const known = (values: readonly (number | null)[]) => values.filter((value) => value !== null);
  const cpu = known(list.map(({ cpuSeconds }) => cpuSeconds));
  const memory = known(list.map(({ maxRssBytes }) => maxRssBytes));
  const { median: middle, min, max } = summary(seconds);
  return {
    name,
    kind,
    bytes,
    secondsMedian: middle,
    secondsMin: min,
    secondsMax: max,
    bytesPerSecond: bytes / middle,
    cpuSeconds: cpu.length === 0 ? null : median(cpu),
    maxRssBytes: memory.length === 0 ? null : Math.max(...memory),
    seconds,
    ...(note === undefined ? {} : { note }),
  };
}

/**
 * The calibration has chosen between fio's engines with few bytes and few tries. If the other one was faster in the end, it is the limit: the
 * better one counts.
 */
function nameLimit(rows: readonly Row[]): Row[] {
  const chosen = rows.find(({ kind }) => kind === 'limit');
  const other = rows.find(({ name }) => name.startsWith(`${LIMIT_NAME}-`));
  if (chosen?.name !== LIMIT_NAME || other === undefined || perByte(other) >= perByte(chosen)) return [...rows];
  return rows.map((row) => {
    if (row === chosen) return { ...row, kind: 'peer', name: other.name === 'fio-threads' ? 'fio-io_uring' : 'fio-threads' };
    return row === other ? { ...row, kind: 'limit', name: LIMIT_NAME } : row;
  });
}

function perByte({ secondsMedian, bytes }: Row): number {
  return secondsMedian / bytes;
}
