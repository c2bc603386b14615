/** The clocks, the chance and the names of a simulated machine. */
import type { System } from '../../src/system.js';
import type { Random } from './prng.js';

/** A moment in 2026, in microseconds since 1970. */
const BEGINNING = 1_770_000_000_000_000;
/** All processes of a machine have had the same number: what tells them apart is when they began. */
export const PROCESS_ID = 4242;

export class SimulatedClock implements System {
  private wall = BEGINNING;
  private monotonic = 0;

  constructor(
    private readonly random: Random,
    /** What time stamps of files are rounded down to, in microseconds. */
    private readonly granule: number,
  ) {}

  /** Some time goes by, as for one operation. */
  tick(): void {
    this.pass(1 + this.random.below(400));
  }

  /** Time goes by. */
  pass(microseconds: number): void {
    this.wall += microseconds;
    this.monotonic += microseconds;
  }

  /** Somebody sets the clock; nothing else notices. */
  jump(microseconds: number): void {
    this.wall = Math.max(1, this.wall + microseconds);
  }

  /** As a file system writes it down, in microseconds since 1970. */
  stamp(): number {
    return this.wall - (this.wall % this.granule);
  }

  now(): number {
    return Math.floor(this.wall / 1000);
  }

  monotonicMs(): number {
    return this.monotonic / 1000;
  }

  randomHex(bytes: number): string {
    return this.random.hex(bytes);
  }

  randomUuid(): string {
    const digits = this.random.hex(16);
    return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join('-');
  }

  hostName(): string {
    return 'simulated';
  }

  processId(): number {
    return PROCESS_ID;
  }

  isRunning(pid: number): boolean {
    return pid === PROCESS_ID;
  }
}
