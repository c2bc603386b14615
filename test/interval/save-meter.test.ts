/** What a save costs training, seen from the steps around it. */
import { describe, expect, it } from 'vitest';
import { type MeasuredSave, SaveMeter } from '../../src/interval/save-meter.js';

/** A loop whose time is only what the test says. */
class Loop {
  readonly measured: (MeasuredSave & { save: string })[] = [];
  readonly meter = new SaveMeter<string>((save, cost) => this.measured.push({ save, ...cost }));
  now_s = 100;
  step = 0;

  /** Steps of so many seconds each. */
  steps(count: number, seconds: number): this {
    for (let i = 0; i < count; i++) {
      this.now_s += seconds;
      this.meter.reached(++this.step, this.now_s);
    }
    return this;
  }
}

describe('a save', () => {
  it('that does not slow training down costs its stall', () => {
    const loop = new Loop().steps(10, 1);
    loop.meter.accepted();
    loop.now_s += 0.25;
    loop.steps(4, 1);
    loop.meter.committed('a', 0.25, 3.5);
    loop.steps(1, 1);
    expect(loop.measured).toEqual([{ save: 'a', stall_s: 0.25, persist_s: 3.5, slowdown: 0 }]);
    expect(loop.meter.step_s).toBeCloseTo(1, 9);
  });

  it('that slows training down costs a share of the time until it is durable', () => {
    const loop = new Loop().steps(10, 1);
    loop.meter.accepted();
    loop.steps(4, 1.25);
    loop.meter.committed('a', 0, 5);
    loop.steps(1, 1);
    expect(loop.measured[0]?.slowdown).toBeCloseTo(1 / 5, 9);
  });

  it('that the loop waits for costs all of its time, although its call did not block', () => {
    const loop = new Loop().steps(10, 0.1);
    loop.meter.accepted();
    loop.now_s += 2;
    loop.meter.committed('a', 0.01, 1.99);
    loop.steps(1, 0.1);
    expect(loop.measured[0]?.slowdown).toBeCloseTo(1, 9);
  });

  it('is not blamed for a pause that is longer than itself, such as validation', () => {
    const loop = new Loop().steps(10, 0.1);
    loop.meter.accepted();
    loop.meter.committed('a', 0.1, 0.4);
    loop.now_s += 60;
    loop.steps(1, 0.1);
    expect(loop.measured[0]).toEqual({ save: 'a', stall_s: 0.1, persist_s: 0.4, slowdown: 1 });
  });

  it('is measured by usual steps, which a pause now and then does not change', () => {
    const loop = new Loop().steps(5, 1).steps(1, 40).steps(5, 1).steps(1, 40).steps(5, 1);
    expect(loop.meter.step_s).toBe(1);
  });

  it('is neither cheap nor dear because steps are not all alike', () => {
    const loop = new Loop();
    // Four steps of 5 ms and one of 60: as with gradients that are accumulated.
    const uneven = (count: number, slower = 1) => {
      for (let i = 0; i < count; i++) loop.steps(1, (loop.step % 5 === 4 ? 0.06 : 0.005) * slower);
    };
    for (let save = 0; save < 40; save++) {
      uneven(97);
      loop.meter.accepted();
      uneven(21, 1.25);
      loop.meter.committed(String(save), 0, 0.4);
      uneven(1);
    }
    const slowdowns = loop.measured.map(({ slowdown }) => slowdown as number).slice(5);
    expect(Math.min(...slowdowns)).toBeLessThan(0.2);
    expect(Math.max(...slowdowns)).toBeGreaterThan(0.2);
    // 21 steps of 16 ms, a quarter longer.
    expect(slowdowns.reduce((sum, each) => sum + each, 0) / slowdowns.length).toBeCloseTo((21 * 0.016 * 0.25) / 0.4, 1);
    expect(loop.meter.step_s).toBeCloseTo(0.016, 3);
  });

  it('with steps that happen to be shorter meanwhile costs less than nothing: noise, as it is above', () => {
    const loop = new Loop().steps(10, 1);
    loop.meter.accepted();
    loop.steps(4, 0.5);
    loop.meter.committed('a', 0, 4);
    loop.steps(1, 1);
    expect(loop.measured[0]?.slowdown).toBeCloseTo(-0.5, 9);
  });

  it('of a loop that no longer says which step it is at is told of all the same', () => {
    const loop = new Loop().steps(10, 1);
    for (const save of ['a', 'b', 'c', 'd']) {
      loop.meter.accepted();
      loop.meter.committed(save, 0.25, 3.5);
    }
    expect(loop.measured.map(({ save, slowdown }) => [save, slowdown])).toEqual([
      ['a', undefined],
      ['b', undefined],
    ]);
  });

  it('needs steps without saves now and then, or what a step takes is no longer known', () => {
    const loop = new Loop().steps(10, 0.4);
    // One save after the other, with steps that have become shorter, but for the slowdown.
    const busy = () => {
      loop.meter.accepted();
      loop.steps(60, 0.26);
      loop.meter.committed('a', 0, 16);
      loop.steps(1, 0.26);
    };
    busy();
    // What it took before is too little to compare so many steps with.
    expect(loop.meter.needsSteps).toBe(true);
    loop.steps(16, 0.2);
    expect(loop.meter.needsSteps).toBe(false);
    for (let save = 0; save < 40; save++) {
      busy();
      if (loop.meter.needsSteps) loop.steps(16, 0.2);
    }
    expect(loop.measured.at(-1)?.slowdown).toBeCloseTo((61 * 0.06) / 16, 1);
    // Without them there is nothing to tell.
    for (let save = 0; save < 12; save++) busy();
    expect([loop.measured.at(-1)?.slowdown, loop.meter.needsSteps]).toEqual([undefined, true]);
  });

  it('with another one always in flight is told of all the same', () => {
    const loop = new Loop().steps(50, 1);
    loop.meter.accepted();
    for (let save = 0; save < 100; save++) {
      loop.meter.accepted();
      loop.steps(5, 1.2);
      loop.meter.committed(String(save), 0, 10);
    }
    expect(loop.measured.length).toBeGreaterThan(85);
    const slowdowns = loop.measured.slice(9, 18).map(({ slowdown }) => slowdown as number);
    // A fifth of a second in each of five steps, while each of two saves in flight takes ten steps.
    for (const slowdown of slowdowns) expect(slowdown).toBeCloseTo((45 * 0.2) / 90, 2);
  });

  it('is not compared with the very first step, in which much is compiled and read', () => {
    const loop = new Loop().steps(1, 1).steps(1, 300).steps(5, 1);
    loop.meter.accepted();
    loop.steps(20, 1);
    loop.meter.committed('a', 0, 10);
    loop.steps(1, 1);
    expect([loop.measured[0]?.slowdown, loop.meter.step_s]).toEqual([undefined, undefined]);
    loop.steps(3, 1);
    expect(loop.meter.step_s).toBe(1);
  });

  it('tells nothing of slowdown before it is known what a step takes', () => {
    const loop = new Loop().steps(2, 1);
    loop.meter.accepted();
    loop.meter.committed('a', 0.25, 3.5);
    loop.steps(1, 1);
    expect(loop.measured).toEqual([{ save: 'a', stall_s: 0.25, persist_s: 3.5, slowdown: undefined }]);
  });

  it('of a loop that never says which step it is at is told of with the next one, or when somebody asks', () => {
    const { meter, measured } = new Loop();
    meter.accepted();
    meter.committed('a', 0.25, 3.5);
    expect(measured).toEqual([]);
    meter.accepted();
    expect(measured).toEqual([{ save: 'a', stall_s: 0.25, persist_s: 3.5, slowdown: undefined }]);
    meter.settle();
    meter.committed('b', 0.5, 7);
    meter.settle();
    expect(measured[1]).toEqual({ save: 'b', stall_s: 0.5, persist_s: 7, slowdown: undefined });
  });

  it('that came to nothing leaves the next one alone', () => {
    const loop = new Loop().steps(10, 1);
    loop.meter.accepted();
    loop.meter.dropped();
    loop.steps(3, 1);
    loop.meter.accepted();
    loop.meter.committed('b', 0, 1);
    loop.steps(1, 1);
    expect(loop.measured).toEqual([{ save: 'b', stall_s: 0, persist_s: 1, slowdown: 0 }]);
  });

  it('that failed after a while does not keep its window open', () => {
    const loop = new Loop().steps(10, 1);
    loop.meter.accepted();
    loop.steps(3, 5);
    loop.meter.dropped();
    loop.steps(10, 1);
    loop.meter.accepted();
    loop.meter.committed('b', 0, 1);
    loop.steps(1, 1);
    expect(loop.measured).toEqual([{ save: 'b', stall_s: 0, persist_s: 1, slowdown: 0 }]);
  });

  it('with another in flight shares what both cost', () => {
    const loop = new Loop().steps(10, 1);
    loop.meter.accepted();
    loop.steps(1, 1.5);
    loop.meter.accepted();
    loop.meter.committed('a', 0, 2);
    loop.steps(1, 1.5);
    loop.meter.committed('b', 0, 2);
    loop.steps(1, 1);
    expect(loop.measured.map(({ save, slowdown }) => [save, slowdown])).toEqual([
      ['a', expect.closeTo(0.25, 9)],
      ['b', expect.closeTo(0.25, 9)],
    ]);
  });

  it('is told of at the end, although no step came behind it', () => {
    const loop = new Loop().steps(10, 1);
    loop.meter.accepted();
    loop.meter.committed('a', 0.25, 3.5);
    loop.meter.settle();
    loop.meter.settle();
    expect(loop.measured).toEqual([{ save: 'a', stall_s: 0.25, persist_s: 3.5, slowdown: undefined }]);
  });
});

it('steps that go back, or are looked at twice, are none', () => {
  const loop = new Loop().steps(10, 1);
  loop.meter.reached(loop.step, loop.now_s + 50);
  loop.meter.reached(3, loop.now_s + 90);
  loop.meter.reached(4, loop.now_s + 91);
  expect(loop.meter.step_s).toBe(1);
});
