/** A progress bar on a terminal's stderr, for work that takes more than a second. */
import type { SingleBar } from 'cli-progress';
import type { Progress } from '../engine/progress.js';
import { formatBytes, formatRate, formatSeconds } from './format.js';
import { escapeText, shorten } from './text.js';

/** Work that is done sooner shows no bar. */
const QUIET_MS = 1000;
const BAR_COLUMNS = 24;

export interface ProgressBarOptions {
  readonly stream: NodeJS.WriteStream;
  readonly now?: () => number;
  /** For work that is not moving bytes alone: no rate and no amounts, `bytes` of `totalBytes` is only the share that is done. */
  readonly shareOnly?: boolean;
}

/** Draws what it is told about. `finish()` takes it off the screen again. */
export class ProgressBar {
  private readonly started: number;
  private readonly now: () => number;
  private bar: SingleBar | undefined;
  private loading = false;
  private finished = false;
  private current: Progress | undefined;

  constructor(private readonly options: ProgressBarOptions) {
    this.now = options.now ?? (() => performance.now());
    this.started = this.now();
  }

  readonly update = (progress: Progress): void => {
    this.current = progress;
    if (this.finished || this.now() - this.started < QUIET_MS) return;
    if (this.bar === undefined) void this.open();
    else this.bar.update(progress.bytes);
  };

  finish(): void {
    this.finished = true;
    this.bar?.stop();
  }

  /** Loads the library only for work that turns out to be long. */
  private async open(): Promise<void> {
    if (this.loading) return;
    this.loading = true;
    const { default: library } = await import('cli-progress');
    if (this.finished) return;
    this.bar = new library.SingleBar({
      stream: this.options.stream,
      clearOnComplete: true,
      forceRedraw: true,
      format: () => this.line(),
    });
    this.bar.start(1, 0);
  }

  /** One line that fits, such as `━━━━━───── 43%  1.90 GB/s  2.1 s left  1.20 GiB of 2.80 GiB  checkpoint_step00001000`. */
  private line(): string {
    const { current } = this;
    if (current === undefined) return '';
    const { bytes: done, totalBytes: total } = current;
    const { shareOnly = false } = this.options;
    const rate = (done * 1000) / (this.now() - this.started);
    const share = total === 0 ? 1 : Math.min(1, done / total);
    const filled = Math.round(share * BAR_COLUMNS);
    const facts = [
      `${'━'.repeat(filled)}${'─'.repeat(BAR_COLUMNS - filled)} ${String(Math.floor(share * 100)).padStart(3)}%`,
      shareOnly ? '' : formatRate(rate),
      rate > 0 ? `${formatSeconds(Math.max(0, total - done) / rate)} left` : '',
      shareOnly ? '' : `${formatBytes(done)} of ${formatBytes(total)}`,
    ].filter((fact) => fact !== '');
    const columns = (this.options.stream.columns || 80) - 1;
    while (facts.length > 1 && facts.join('  ').length > columns) facts.pop();
    const text = facts.join('  ');
    const room = columns - text.length - 2;
    return room < 12 ? text : `${text}  ${shorten(escapeText(current.checkpoint ?? current.file ?? ''), room)}`;
  }
}
