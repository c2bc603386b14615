// The plot: what was realised, with its error bars, on the curve that was predicted.
import { COLOURS, renderSvg } from '../lib/plot.mjs';
import { short } from '../lib/stats.mjs';

const NAMES = { fixed: 'fixed interval', auto: 'auto, at its median interval' };
const PREDICTED = 'predicted';

/** As the text of an SVG file; `undefined` where there is nothing to plot yet. */
export async function plotOf({ analysis, settings }) {
  if (!analysis || analysis.curve.length === 0) return undefined;
  const { curve, model, lives } = analysis;
  const rows = analysis.rows.filter(({ interval_s }) => interval_s !== null);
  const points = rows.map(({ kind, interval_s, quartiles_s, realised, low, high }) => ({
    ...{ series: NAMES[kind], interval_s, realised, low, high, from_s: quartiles_s[0], to_s: quartiles_s[1] },
  }));
  const lows = [...points.map(({ low }) => low), ...curve.map(({ useful }) => useful)];
  const highs = [...points.map(({ high }) => high), ...curve.map(({ useful }) => useful)];
  const domain = [Math.max(0, Math.floor(20 * Math.min(...lows)) / 20), Math.min(1, Math.ceil(20 * Math.max(...highs)) / 20)];
  const x = { field: 'interval_s', type: 'quantitative', scale: { type: 'log', nice: false }, axis: axisOf(curve) };
  const y = (field) => ({
    field,
    type: 'quantitative',
    scale: { domain },
    axis: { title: 'useful fraction of the time', format: '.0%', gridColor: '#e6e6e6' },
  });
  const scale = { domain: [PREDICTED, NAMES.fixed, NAMES.auto], range: [COLOURS.other, COLOURS.ours, COLOURS.theirs] };
  const color = { field: 'series', type: 'nominal', scale, legend: { title: null, orient: 'bottom' } };
  const { cost_s, persist_s, restart_s, mtbf_s } = model;
  const persist = persist_s > 0 ? `, P = ${short(persist_s)} s` : '';
  return renderSvg({
    title: {
      text: 'Useful fraction by checkpoint interval, with real failures',
      subtitle: [
        `${lives} lives of each policy, ended by SIGKILL at the same times; error bars: 95 %, bootstrap over lives`,
        `${settings.mode} saves: c = ${short(cost_s)} s${persist}, R = ${short(restart_s)} s, M = ${short(mtbf_s)} s`,
      ],
    },
    width: 640,
    height: 400,
    layer: [
      {
        data: { values: curve.map((point) => ({ ...point, series: PREDICTED })) },
        mark: { type: 'line', strokeWidth: 2 },
        encoding: { x, y: y('useful'), color },
      },
      {
        data: { values: points },
        mark: { type: 'rule', strokeWidth: 2 },
        encoding: { x, y: y('low'), y2: { field: 'high' }, color },
      },
      {
        data: { values: points.filter(({ series }) => series === NAMES.auto) },
        mark: { type: 'rule', strokeWidth: 2 },
        encoding: { x: { ...x, field: 'from_s' }, x2: { field: 'to_s' }, y: y('realised'), color },
      },
      {
        data: { values: points },
        mark: { type: 'point', filled: true, opacity: 1 },
        encoding: {
          x,
          y: y('realised'),
          color,
          // A diamond looks smaller than a circle of its size, and has an error bar in each direction to be seen on.
          size: { condition: { test: `datum.series === '${NAMES.auto}'`, value: 220 }, value: 90 },
          shape: {
            field: 'series',
            type: 'nominal',
            scale: { domain: scale.domain, range: ['stroke', 'circle', 'diamond'] },
          },
        },
      },
    ],
  });
}

/** Ticks where people look for them. */
function axisOf(curve) {
  const [from, to] = [curve[0].interval_s, curve.at(-1).interval_s];
  const values = [-2, -1, 0, 1, 2, 3, 4]
    .flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power))
    .filter((value) => value >= from && value <= to);
  return { title: 'seconds of work between two checkpoints', values, format: '~g', gridColor: '#e6e6e6' };
}
