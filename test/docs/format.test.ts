/** docs/FORMAT.md, "Latest and best": a reader written from it chooses as the library does, and `improved` is what makes that so. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CatalogEntry } from '../../src/catalog/checkpoint.js';
import { infoOf } from '../../src/catalog/checkpoint.js';
import { summarize } from '../../src/catalog/summary.js';
import type { CheckpointRecord } from '../../src/format/record.js';
import { type Monitor, toManifestMonitor } from '../../src/policy/best.js';

type Watched = NonNullable<CheckpointRecord['monitor']>;

/** The document's words, one after another. */
function latestAndBest(good: readonly CheckpointRecord[]): { latest: number | undefined; best: number | undefined } {
  const ordered = [...good].sort((a, b) => a.sequence - b.sequence);
  const latest = ordered.filter(({ contents }) => contents === 'full').at(-1) ?? ordered.at(-1);
  const loss: Watched = { metric: ordered.some(({ metrics }) => Number.isFinite(metrics['val_loss'])) ? 'val_loss' : 'loss', mode: 'min' };
  const monitor = ordered.filter((record) => record.monitor !== undefined).at(-1)?.monitor ?? loss;
  const sign = monitor.mode === 'min' ? 1 : -1;
  let best: CheckpointRecord | undefined;
  let least = monitor.threshold === undefined ? undefined : sign * monitor.threshold;
  for (const record of ordered) {
    const given = record.metrics[monitor.metric];
    if (given === undefined || !Number.isFinite(given)) continue;
    const value = sign * given;
    const { metric, mode, improved = false } = record.monitor ?? loss;
    const flagged = improved && metric === monitor.metric && mode === monitor.mode;
    if (least !== undefined && !(value < least - (monitor.minDelta ?? 0)) && !(flagged && value < least)) continue;
    best = record;
    least = value;
  }
  return { latest: latest?.sequence, best: best?.sequence };
}

function entryOf(record: CheckpointRecord): CatalogEntry {
  return { info: infoOf(`/somewhere/${record.sequence}`, record), record };
}

function recordOf(sequence: number, more: Partial<CheckpointRecord>): CheckpointRecord {
  const rest = { runId: 'r', step: sequence, createdAt: '2026-01-01T00:00:00.000Z', software: {}, files: [] };
  return { ...rest, sequence, contents: 'full', metrics: {}, ...more };
}

const METRIC = fc.constantFrom('loss', 'val_loss', 'acc');
const VALUE = fc.oneof(
  fc.integer({ min: -5, max: 5 }).map((n) => n / 10),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0),
);
const WATCHED = fc.record(
  {
    metric: METRIC,
    mode: fc.constantFrom('min' as const, 'max' as const),
    minDelta: fc.constantFrom(0, 0.1, 0.25),
    threshold: fc.constantFrom(0, -0.3, 0.3),
    improved: fc.boolean(),
  },
  { requiredKeys: ['metric', 'mode'] },
);
const METRICS = fc.record({ loss: VALUE, val_loss: VALUE, acc: VALUE }, { requiredKeys: [] });
const RECORD = fc.record(
  { contents: fc.constantFrom('full' as const, 'weights' as const), metrics: METRICS, monitor: WATCHED },
  { requiredKeys: ['contents', 'metrics'] },
);

describe('latest and best, as docs/FORMAT.md has them', () => {
  test('are those that the library finds', () => {
    fc.assert(
      fc.property(fc.array(RECORD, { maxLength: 8 }), (records) => {
        const good = records.map((record, i) => recordOf(3 * i + 1, record));
        const { latest, best } = summarize(good.map(entryOf));
        expect({ latest: latest?.info.sequence, best: best?.info.sequence }).toEqual(latestAndBest(good));
      }),
      { numRuns: 3000 },
    );
  });

  test('the example: the third is the best, also when the first is gone, and only on account of improved', () => {
    const monitor: Monitor = { metric: 'loss', mode: 'min', minDelta: 0.1 };
    const saved: CheckpointRecord[] = [];
    for (const loss of [0.5, 0.45, 0.38]) {
      saved.push(recordOf(saved.length + 1, { metrics: { loss }, monitor: toManifestMonitor(monitor, { loss }, saved) }));
    }
    expect(saved.map((record) => record.monitor?.improved ?? false)).toEqual([true, false, true]);
    expect(latestAndBest(saved).best).toBe(3);
    expect(latestAndBest(saved.slice(1)).best).toBe(3);
    const forgetful = saved.map((record) => ({ ...record, monitor: { ...monitor } }));
    expect([latestAndBest(forgetful).best, latestAndBest(forgetful.slice(1)).best]).toEqual([3, 2]);
  });
});
