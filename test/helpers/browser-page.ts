/** Pages in a real browser: whether they are drawn without an error, how they look, and whether they fit. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'vitest';
import { freshDirectory } from './directory.js';

/** The browser, where there is one. */
export const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'].find((name) => spawnSync('which', [name]).status === 0);
if (CHROMIUM === undefined) console.log('Left out: the pages in a browser. There is no chromium: apt-get install chromium.');

/** Listens before anything of the page runs; afterwards counts the pixels of every plot, and the texts of drawings that cover one another. */
const WATCH = `<script>
  const errors = [];
  addEventListener('error', ({ message }) => errors.push(message));
  addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => errors.push(violatedDirective + ' ' + blockedURI));
  console.error = console.warn = (...words) => errors.push(words.join(' '));
  addEventListener('load', () => setTimeout(() => {
    const painted = [...document.querySelectorAll('canvas')].map((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return data.filter((value, i) => i % 4 === 3 && value > 0).length;
    });
    const width = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    const said = document.createElement('pre');
    said.id = 'said';
    const texts = [...document.querySelectorAll('svg text')];
    const boxOf = (element) => element.getBoundingClientRect();
    const covers = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3;
    const covered = texts.flatMap((text, i) => {
      const [box, all] = [boxOf(text), boxOf(text.closest('svg'))];
      const out = box.left < all.left - 1 || box.right > all.right + 1 || box.top < all.top - 1 || box.bottom > all.bottom + 1;
      return out || texts.slice(0, i).some((other) => covers(box, boxOf(other))) ? [text.textContent] : [];
    });
    said.textContent = JSON.stringify({ errors, painted, texts: texts.length, covered, overflow: width, ground: getComputedStyle(document.body).backgroundColor });
    document.body.append(said);
  }, 50));
</script>`;

/** What a page says of itself after it was loaded. */
export interface Seen {
  readonly errors: string[];
  /** Of every canvas. */
  readonly painted: number[];
  /** Pixels by which it is wider than the window. */
  readonly overflow: number;
  readonly ground: string;
  /** Texts of SVG drawings. */
  readonly texts: number;
  /** Of those, the ones that cover one another or reach out of their drawing. */
  readonly covered: string[];
}

/** Loads `page` in a window of so many pixels. */
export function inBrowser(page: string, { dark = false, width = 1200 } = {}): Seen {
  const directory = freshDirectory();
  const file = path.join(directory, 'page.html');
  writeFileSync(
    file,
    // Of a page without scripts the policy forbids this one, too.
    page
      .replace("default-src 'none'; style-src", "default-src 'none'; script-src 'unsafe-inline'; style-src")
      .replace('<style>', () => `${WATCH}<style>`),
  );
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${directory}/profile`, '--virtual-time-budget=3000'];
  const look = [`--blink-settings=preferredColorScheme=${dark ? 0 : 1}`, `--window-size=${width},1600`];
  const { stdout, stderr } = spawnSync(CHROMIUM as string, [...flags, ...look, '--dump-dom', pathToFileURL(file).href], {
    encoding: 'utf8',
  });
  const said = /<pre id="said">(.*?)<\/pre>/s.exec(stdout)?.[1];
  expect(said, stderr).toBeDefined();
  return JSON.parse((said as string).replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'));
}
