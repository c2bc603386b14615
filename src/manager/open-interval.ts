/** Ties the interval of a manager to its trigger, its saves and its events. */
import type { WriterCore } from './core.js';
import { RunInterval } from './interval.js';
import type { Settings } from './options.js';
import type { Saver } from './saver.js';

/** What the trigger says of the interval goes to its controller; where it says nothing, that only looks on. */
export function openInterval(saver: Saver, core: WriterCore, settings: Settings): RunInterval {
  const needs = settings.trigger?.needs?.interval;
  const interval = new RunInterval(core, { ...needs?.controller, maxInFlight: settings.maxInFlight }, needs !== undefined);
  interval.onChange = (change) => {
    if (needs !== undefined) saver.events.emit('intervalChanged', change);
  };
  // Told when the signal comes, and once more when everything is on the disk: if the process ends in between, it has not failed all the same.
  saver.events.on('preempted', () => void core.record.end('preempted'));
  return interval;
}
