/** Imports point one way. Who may import whom is written down here; everything else is a mistake. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

/** Folders (and files of src itself) and what each may import, besides itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  'known-options': ['errors'],
  version: [],
  fs: [],
  system: [],
  native: [],
  format: ['errors'],
  interval: ['errors', 'known-options'],
  policy: ['errors', 'known-options', 'format', 'interval'],
  simulation: ['errors', 'interval'],
  engine: ['errors', 'format', 'native', 'fs'],
  storage: ['fs', 'system'],
  snapshot: ['errors', 'format', 'engine'],
  catalog: ['errors', 'fs', 'system', 'format', 'engine', 'snapshot', 'storage', 'policy'],
  saver: ['errors', 'fs', 'system', 'format', 'engine', 'snapshot', 'storage', 'catalog', 'policy'],
  manager: [
    'errors',
    'known-options',
    'version',
    'fs',
    'system',
    'format',
    'interval',
    'engine',
    'snapshot',
    'storage',
    'catalog',
    'policy',
    'saver',
  ],
  experiment: ['errors', 'known-options', 'version', 'fs', 'system', 'format', 'engine', 'storage', 'catalog', 'manager'],
  terminal: ['engine', 'saver', 'manager'],
  'tfjs-record': ['errors', 'format'],
  tfjs: ['errors', 'known-options', 'version', 'format', 'engine', 'snapshot', 'catalog', 'policy', 'manager', 'tfjs-record', 'index'],
  convert: [
    'errors',
    'known-options',
    'version',
    'fs',
    'system',
    'format',
    'engine',
    'snapshot',
    'storage',
    'catalog',
    'policy',
    'manager',
    'tfjs-record',
  ],
  report: ['errors', 'version', 'engine', 'interval'],
  bench: ['terminal', 'report', 'errors', 'version', 'native', 'engine', 'storage', 'index'],
  cli: [
    'terminal',
    'errors',
    'version',
    'native',
    'format',
    'interval',
    'engine',
    'storage',
    'catalog',
    'policy',
    'manager',
    'convert',
    'report',
    'bench',
    'interval',
    'simulation',
    'index',
  ],
  index: [
    'terminal',
    'convert',
    'errors',
    'version',
    'format',
    'interval',
    'engine',
    'snapshot',
    'catalog',
    'policy',
    'saver',
    'manager',
    'experiment',
  ],
};

/** Folders whose functions are pure: they may not touch files, processes, clocks or the network. */
const PURE: readonly string[] = ['format', 'interval', 'policy', 'tfjs-record'];
const IMPURE = /from 'node:(fs|child_process|net|http|https|os|worker_threads|timers)/;

interface Import {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly target: string;
}

const FILES = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => /\.c?ts$/.test(file));

function partOf(file: string): string {
  return (file.split(path.sep)[0] as string).replace(/\.ts$/, '');
}

function importsOf(file: string): Import[] {
  const text = readFileSync(path.join(SRC, file), 'utf8');
  const found = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map(([, specifier]) => specifier as string);
  return found.map((specifier) => {
    const target = path.relative(SRC, path.resolve(SRC, path.dirname(file), specifier)).replace(/\.js$/, '.ts');
    return { file, from: partOf(file), to: partOf(target), target };
  });
}

const IMPORTS = FILES.flatMap(importsOf);

describe('imports', () => {
  test('every part of src has its place in the table', () => {
    expect([...new Set(FILES.map(partOf))].filter((part) => !(part in ALLOWED))).toEqual([]);
  });

  test('point one way', () => {
    const wrong = IMPORTS.filter(({ from, to }) => from !== to && !(ALLOWED[from] ?? []).includes(to));
    expect(wrong.map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  test('name files that exist', () => {
    expect(IMPORTS.filter(({ target }) => !FILES.includes(target)).map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  test('what runs in workers leaves node:fs/promises alone, which ends the process when its worker is terminated', () => {
    const inWorkers = FILES.filter((file) => ['engine', 'storage', 'catalog', 'saver', 'snapshot', 'fs'].includes(partOf(file)));
    expect(inWorkers.length).toBeGreaterThan(30);
    expect(inWorkers.filter((file) => /from 'node:fs\/promises'/.test(readFileSync(path.join(SRC, file), 'utf8')))).toEqual([]);
  });

  test('never go in a circle', () => {
    const next = new Map<string, string[]>();
    for (const { file, target } of IMPORTS) next.set(file, [...(next.get(file) ?? []), target]);
    const done = new Set<string>();
    const visit = (file: string, trail: readonly string[]): void => {
      if (trail.includes(file)) expect.fail([...trail.slice(trail.indexOf(file)), file].join(' → '));
      if (done.has(file)) return;
      for (const target of next.get(file) ?? []) visit(target, [...trail, file]);
      done.add(file);
    };
    for (const file of FILES) visit(file, []);
  });

  test('pure folders do no input or output', () => {
    const impure = FILES.filter((file) => PURE.includes(partOf(file)) && IMPURE.test(readFileSync(path.join(SRC, file), 'utf8')));
    expect(impure).toEqual([]);
  });

  test('the core in C++ knows nothing of Node.js', () => {
    const core = path.join(SRC, '..', 'native', 'core');
    const wrong = readdirSync(core).filter((file) =>
      /#include [<"](napi|node|uv|v8|binding\/)/.test(readFileSync(path.join(core, file), 'utf8')),
    );
    expect(wrong).toEqual([]);
  });
});

describe('source files', () => {
  test('stay small enough to be about one thing', () => {
    const long = FILES.map((file) => [file, readFileSync(path.join(SRC, file), 'utf8').split('\n').length] as const).filter(
      ([, lines]) => lines > 400,
    );
    expect(long).toEqual([]);
  });
});
