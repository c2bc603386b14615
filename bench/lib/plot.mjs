// Plots as SVG, made by Vega without a browser.
import * as vega from 'vega';
import { compile } from 'vega-lite';

/** Colours that are told apart by everybody (Okabe and Ito). */
export const COLOURS = { ours: '#0072B2', theirs: '#D55E00', other: '#666666' };

const STYLE = {
  background: '#ffffff',
  padding: 16,
  font: 'Helvetica, Arial, sans-serif',
  title: { anchor: 'start', fontSize: 16, fontWeight: 600, subtitleFontSize: 12, subtitleColor: '#555555', offset: 14, subtitlePadding: 6 },
  axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: 'normal', labelColor: '#333333', titleColor: '#333333', titlePadding: 10 },
  legend: { labelFontSize: 12, labelLimit: 400, symbolStrokeWidth: 4 },
  view: { stroke: '#cccccc' },
};

/** The plot of a Vega-Lite specification as the text of an SVG file. */
export async function renderSvg(specification) {
  const { spec } = compile({ $schema: 'https://vega.github.io/schema/vega-lite/v6.json', config: STYLE, ...specification });
  const view = new vega.View(vega.parse(spec), { renderer: 'none', logLevel: vega.Error });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
