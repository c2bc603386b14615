/** fio's command line, its result, and the choice of the best way. No fio is needed. */
import { describe, expect, test } from 'vitest';
import { bestWays, CANDIDATES, reasons } from '../../src/bench/fio/calibrate.js';
import { type FioWay, fioArguments, fioBytes, parseFio } from '../../src/bench/fio/command.js';
import { thrown } from '../helpers/errors.js';

const RING: FioWay = { engine: 'io_uring', blockBytes: 4 << 20, depth: 8 };
const FIXED: FioWay = { ...RING, fixedBuffers: true };
const THREADS: FioWay = { engine: 'threads', blockBytes: 1 << 20, depth: 4 };

describe('the command line', () => {
  test('one thread with many requests, or many threads with one', () => {
    expect(fioArguments('/d/a:b', 10_000, FIXED, 'write')).toEqual(
      expect.arrayContaining(['--filename=/d/a\\:b', '--direct=1', '--iodepth=8', '--fixedbufs=1', '--end_fsync=1', '--size=12288']),
    );
    const threads = fioArguments('/d/f', 65_536, THREADS, 'read');
    expect(threads).toEqual(expect.arrayContaining(['--rw=read', '--numjobs=4', '--size=16384', '--offset_increment=16384']));
    expect(threads).not.toContain('--end_fsync=1');
  });

  test('the same bytes, up to whole blocks', () => {
    expect(fioBytes(65_536, RING)).toBe(65_536);
    expect(fioBytes(1, RING)).toBe(4096);
    expect(fioBytes(65_537, THREADS)).toBe(65_536 + 4 * 4096);
    expect(fioBytes(2 ** 30, THREADS)).toBe(2 ** 30);
  });

  test('blocks shrink until they fit: fio leaves out what is less than one', () => {
    const block = (bytes: number, way: FioWay) => fioArguments('/d/f', bytes, way, 'write').find((text) => text.startsWith('--bs='));
    expect(block(2 ** 30, RING)).toBe('--bs=4194304');
    expect(block(65_536, RING)).toBe('--bs=65536');
    expect(block(65_536, THREADS)).toBe('--bs=16384');
    expect(block(102_400_000, RING)).toBe('--bs=2097152');
    expect(fioBytes(102_400_000, RING) / 102_400_000).toBeLessThan(1.01);
  });
});

describe('the result', () => {
  const job = (milliseconds: number, more = {}) => ({ error: 0, job_runtime: milliseconds, usr_cpu: 10, sys_cpu: 40, ...more });

  test('is that of the slowest thread, with the processor time of all', () => {
    const output = `fio: a note\n${JSON.stringify({ jobs: [job(100), job(300)] })}`;
    expect(parseFio(output)).toEqual({ seconds: 0.3, cpuSeconds: 0.2, maxRssBytes: null });
  });

  test('no time at all is a millisecond', () => expect(parseFio(JSON.stringify({ jobs: [job(0)] })).seconds).toBe(0.001));

  test.each(['', 'nonsense', '{"jobs": []}', JSON.stringify({ jobs: [job(5, { error: 28 })] })])('%j is none', (output) => {
    thrown(() => parseFio(output), 'ERR_IO');
  });
});

describe('calibration', () => {
  test('takes the fastest way of each engine, the fastest engine first', () => {
    const tried = [
      { way: RING, seconds: [0.3, 0.2] },
      { way: FIXED, seconds: [0.4, 0.4] },
      { way: THREADS, seconds: [0.9, 0.15] },
    ];
    expect(bestWays(tried)).toEqual([THREADS, RING]);
    expect(bestWays(tried.slice(0, 2))).toEqual([RING]);
    expect(bestWays([{ way: RING, seconds: [], failure: 'no' }])).toEqual([]);
  });

  test('says what does not work, and not what works in another way', () => {
    const failed = { seconds: [], failure: 'Operation not permitted' };
    const tried = [
      { way: RING, ...failed },
      { way: FIXED, ...failed },
      { way: THREADS, seconds: [1] },
    ];
    expect(reasons(tried, true)).toEqual([{ name: 'fio-io_uring', why: 'it does not work here: Operation not permitted' }]);
    expect(
      reasons(
        [
          { way: FIXED, ...failed },
          { way: RING, seconds: [1] },
        ],
        true,
      ),
    ).toEqual([]);
    expect(reasons(tried, false)).toEqual([{ name: 'fio', why: expect.stringContaining('apt-get install fio') }]);
  });

  test('tries both engines', () => {
    expect(new Set(CANDIDATES.map(({ engine }) => engine))).toEqual(new Set(['io_uring', 'threads']));
  });
});
