// The plot: what was realised, with its error bars, over the curve that was predicted.
import { COLOURS, renderSvg } from '../lib/plot.mjs';

/** `result`: what ../prove-interval.mjs measures. Gives the text of an SVG file. */
export function plot({ curve, policies, settings, ratio }) {
  const points = policies.map(({ name, kind, work_s, useful }) => ({
    name,
    kind,
    interval: work_s,
    useful: useful.value,
    low: useful.low,
    high: useful.high,
  }));
  const x = {
    field: 'interval',
    type: 'quantitative',
    scale: { type: 'log', nice: false },
    axis: { title: 'seconds of work between checkpoints (logarithmic)', format: '~g' },
  };
  const y = { type: 'quantitative', scale: { zero: false }, axis: { title: 'useful fraction of all time', format: '.0%' } };
  const color = {
    field: 'kind',
    type: 'nominal',
    scale: { domain: ['predicted', 'fixed', 'auto'], range: [COLOURS.other, COLOURS.theirs, COLOURS.ours] },
    legend: {
      title: null,
      labelExpr:
        "{'predicted': 'predicted', 'fixed': 'fixed interval, realised', 'auto': 'auto, realised (at its median interval)'}[datum.value]",
    },
  };
  return renderSvg({
    width: 620,
    height: 360,
    title: {
      text: 'Checkpoint intervals under real failures',
      subtitle: `A TensorFlow.js training killed by SIGKILL every ${settings.mtbf} s on average, the same times for all; bars: 95 %; auto reaches ${ratio.value.toFixed(3)} of the best fixed interval`,
    },
    layer: [
      {
        data: { values: curve.map(({ interval_s, ettr }) => ({ interval: interval_s, useful: ettr, kind: 'predicted' })) },
        mark: { type: 'line', strokeWidth: 2 },
        encoding: { x, y: { ...y, field: 'useful' }, color },
      },
      {
        data: { values: points },
        mark: { type: 'rule', strokeWidth: 2 },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
      },
      {
        data: { values: points },
        mark: { type: 'point', filled: true, size: 90, opacity: 1 },
        encoding: { x, y: { ...y, field: 'useful' }, color },
      },
    ],
  });
}
