/** What a step of training takes, from steps that are not all alike. Pure. */
import { middle } from './middle.js';

/** So many blocks are looked at: a pause in fewer than half of them changes nothing. */
const BLOCKS = 9;
/** Fewer steps say nothing. */
const FEWEST_STEPS = 3;
/** Without a whole block this part of one will do. */
const ENOUGH = 1 / 4;

interface Block {
  seconds: number;
  steps: number;
  /** Since it was begun, in whatever {@link StepTime.age} counts. */
  age: number;
}

/**
 * The median of the means of blocks of steps. Blocks that are longer than what is irregular in a loop, such as an accumulated gradient or a validation
 * every so many steps, have it in their means; what happens now and then only, such as a laptop that sleeps, the median passes over. (Median of means:
 * G. Lugosi and S. Mendelson, "Mean estimation and regression under heavy-tailed distributions", Foundations of Computational Mathematics 19, 2019.)
 *
 * Until it is told how long blocks are to be they become longer as time goes on, two of them one.
 */
export class StepTime {
  private blocks: Block[] = [];
  private current: Block = { seconds: 0, steps: 0, age: 0 };
  /** Steps of a block, at least. */
  private length = 1;
  private isGiven = false;
  private known: number | undefined;

  /** Seconds; `undefined` before there were enough steps. */
  get seconds(): number | undefined {
    const { blocks, current } = this;
    const steps = blocks.length === 0 ? current.steps : blocks.length * this.length;
    if (steps < Math.max(FEWEST_STEPS, this.length * ENOUGH)) return undefined;
    this.known ??= middle((blocks.length === 0 ? [current] : blocks).map((block) => block.seconds / block.steps));
    return this.known;
  }

  /** So many steps have taken so many seconds. */
  add(seconds: number, steps: number): void {
    this.current.seconds += seconds;
    this.current.steps += steps;
    // Without a whole block all that there is counts.
    if (this.blocks.length === 0) this.known = undefined;
    // One that is begun only now is young.
    if (this.current.steps === steps) this.current.age = 0;
    if (this.current.steps >= this.length) this.closeBlock();
  }

  /** Blocks are of so many steps from now on; shorter ones are joined. */
  setLength(steps: number): void {
    if (this.isGiven && steps === this.length) return;
    this.isGiven = true;
    this.length = Math.max(1, steps);
    this.join();
  }

  /** Time has gone by: blocks that were begun more than `most` times ago are forgotten. */
  age(most: number): void {
    for (const block of [...this.blocks, this.current]) block.age++;
    const isYoung = ({ age }: Block) => age <= most;
    if (this.blocks.every(isYoung) && isYoung(this.current)) return;
    this.blocks = this.blocks.filter(isYoung);
    if (!isYoung(this.current)) this.current = { seconds: 0, steps: 0, age: 0 };
    this.known = undefined;
  }

  private closeBlock(): void {
    this.blocks.push(this.current);
    this.current = { seconds: 0, steps: 0, age: 0 };
    this.known = undefined;
    if (this.isGiven) this.blocks.splice(0, this.blocks.length - BLOCKS);
    else if (this.blocks.length >= 2 * BLOCKS) {
      this.length *= 2;
      this.join();
    }
  }

  private join(): void {
    const parts = this.blocks;
    const { current } = this;
    this.blocks = [];
    this.current = { seconds: 0, steps: 0, age: 0 };
    this.known = undefined;
    for (const part of [...parts, current]) {
      this.current.seconds += part.seconds;
      this.current.steps += part.steps;
      this.current.age = Math.max(this.current.age, part.age);
      if (this.current.steps < this.length) continue;
      this.blocks.push(this.current);
      this.current = { seconds: 0, steps: 0, age: 0 };
    }
    if (this.isGiven) this.blocks.splice(0, this.blocks.length - BLOCKS);
  }
}
