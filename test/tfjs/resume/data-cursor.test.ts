/** The cursor of a loop of one's own: every sample once an epoch, in an order that can be gone on with. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DataCursor, type DataCursorOptions } from '../../../src/tfjs/index.js';
import { thrown } from '../../helpers/errors.js';

const OPTIONS: DataCursorOptions = { samples: 11, batchSize: 3, seed: 'a' };

test('an epoch has every sample once, and the next one another order', () => {
  const cursor = new DataCursor(OPTIONS);
  const epochs = [0, 1].map((epoch) =>
    Array.from({ length: cursor.batchesPerEpoch }, (_, batch) => {
      const next = cursor.nextBatch();
      expect(next).toMatchObject({ epoch, batch, isLast: batch === 3 });
      expect(next.indices.length).toBe(batch === 3 ? 2 : 3);
      return [...next.indices];
    }).flat(),
  );
  for (const order of epochs) expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 11 }, (_, i) => i));
  expect(epochs[0]).not.toEqual(epochs[1]);
  expect(cursor.epoch).toBe(2);
  expect(cursor.batch).toBe(0);
});

test('without shuffling in order, and without the remainder only full batches', () => {
  const cursor = new DataCursor({ ...OPTIONS, shuffle: false, dropRemainder: true });
  expect(cursor.batchesPerEpoch).toBe(3);
  const batches = [1, 2, 3, 4].map(() => [...cursor.nextBatch().indices]);
  expect(batches).toEqual([
    [0, 1, 2],
    [3, 4, 5],
    [6, 7, 8],
    [0, 1, 2],
  ]);
});

test('goes on from any position, through JSON', () => {
  const options = fc.record({ samples: fc.integer({ min: 1, max: 50 }), batchSize: fc.integer({ min: 1, max: 60 }), seed: fc.integer() });
  fc.assert(
    fc.property(options, fc.nat(60), (given, done) => {
      const cursor = new DataCursor(given);
      for (let i = 0; i < done; i++) cursor.nextBatch();
      const other = new DataCursor(given);
      other.restore(JSON.parse(JSON.stringify(cursor.position)));
      for (let i = 0; i < 30; i++) expect(other.nextBatch()).toEqual(cursor.nextBatch());
    }),
  );
});

test('a position of other data or batches is refused, naming both', () => {
  const { position } = new DataCursor(OPTIONS);
  const cursor = new DataCursor({ ...OPTIONS, samples: 12, seed: 'b' });
  expect(thrown(() => cursor.restore(position), 'ERR_RUN_MISMATCH').message).toMatch(/samples was 11 and is 12.*seed was "a" and is "b"/);
});

test.each([null, {}, { epoch: -1, batch: 0, of: {} }, { epoch: 0, batch: 0 }])('%j is no position', (position) => {
  thrown(() => new DataCursor(OPTIONS).restore(position as never), 'ERR_STATE');
});

test('nor is a batch that no epoch has', () => {
  const cursor = new DataCursor(OPTIONS);
  thrown(() => cursor.restore({ ...(cursor.position as object), batch: 4 }), 'ERR_STATE');
});

test.each([{ samples: 0 }, { batchSize: 1.5 }, { seed: '' }, { shuffle: 1 }, { samples: 2, dropRemainder: true }])(
  '%j is refused',
  (wrong) => {
    thrown(() => new DataCursor({ ...OPTIONS, ...wrong } as never), 'ERR_INVALID_ARGUMENT');
  },
);

test('a misspelled option', () => {
  thrown(() => new DataCursor({ ...OPTIONS, batchsize: 3 } as never), 'ERR_UNKNOWN_OPTION');
});
