// Puts beside the compiled TypeScript what it needs at run time and tsc does not copy.
import { copyFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ASSETS = {
  'dist/bench/peers/holdfast_meter.py': 'src/bench/peers/holdfast_meter.py',
  'dist/bench/peers/peers.py': 'src/bench/peers/peers.py',
  'dist/report/page.css': 'src/report/page.css',
  'dist/bench/page/draw.js': 'src/bench/page/draw.js',
  // Part of the package, as pages have to work without a network; with its licence.
  'dist/bench/page/chart.umd.min.js': 'node_modules/chart.js/dist/chart.umd.min.js',
  'dist/bench/page/chart-LICENSE.md': 'node_modules/chart.js/LICENSE.md',
};

const root = fileURLToPath(new URL('..', import.meta.url));

for (const [to, from] of Object.entries(ASSETS)) {
  mkdirSync(path.dirname(path.join(root, to)), { recursive: true });
  copyFileSync(path.join(root, from), path.join(root, to));
}
