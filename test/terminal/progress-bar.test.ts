import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ProgressBar } from '../../src/terminal/progress-bar.js';

/** A terminal of 100 columns that remembers what was drawn. */
function terminal(): { stream: NodeJS.WriteStream; drawn: () => string } {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  return { stream: Object.assign(stream, { isTTY: true, columns: 100 }) as unknown as NodeJS.WriteStream, drawn: () => text };
}

const at = (bytes: number, checkpoint = 'one') => ({ phase: 'verify' as const, bytes, totalBytes: 200 * 2 ** 20, checkpoint });

describe('the progress bar', () => {
  test('does not appear for work of less than a second', async () => {
    const { stream, drawn } = terminal();
    let now = 0;
    const bar = new ProgressBar({ stream, now: () => now });
    for (; now < 1000; now += 100) bar.update(at(now * 1000));
    await sleep(20);
    bar.finish();
    expect(drawn()).toBe('');
  });

  test('counts over all checkpoints and goes away at the end', async () => {
    const { stream, drawn } = terminal();
    let now = 0;
    const bar = new ProgressBar({ stream, now: () => now });
    bar.update(at(100 * 2 ** 20));
    now = 2000;
    bar.update(at(150 * 2 ** 20, 'evil\x1b[2J'));
    for (let i = 0; i < 200 && drawn() === ''; i++) await sleep(10);
    expect(drawn()).toContain(' 75%  78.6 MB/s  0.67 s left  150 MiB of 200 MiB  evil\\x1b[2J');
    bar.finish();
    bar.update(at(160 * 2 ** 20, 'evil'));
    // The last thing drawn is an empty line.
    expect(drawn().endsWith('\x1b[1G\x1b[2K')).toBe(true);
  });
});
