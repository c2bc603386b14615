/**
 * The examples of the documents run, and print what stands there. Of one document all run in one directory, one after another: blocks
 * `js example` as programs, whose output is the block `text` behind them if there is one, and blocks `console` in a shell. With
 * HOLDFAST_UPDATE_GOLDEN=1 what they print is written into the documents.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Ended, ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A piece of code of a document. */
interface Block {
  /** Where its text begins in the document. */
  readonly at: number;
  readonly kind: string;
  readonly text: string;
}

/** What a block should say, and what was said when it was run. */
interface Outcome {
  readonly block: Block;
  readonly printed: string;
}

/** What TensorFlow.js prints when it is loaded without its native backend. */
const GREETING = /^\n=+\nHi, looks like you are running TensorFlow\.js.*\n=+\n/m;

/** What stands in for a reader's own training. */
const PRELUDE = `
  process.chdir(process.argv[1]);
  globalThis.train = (weights, step) => {
    weights[step % weights.length] += 1 / step;
    return 1 / step;
  };
`;

function read(document: string): string {
  return readFileSync(path.join(ROOT, document), 'utf8');
}

function blocksOf(document: string): Block[] {
  return [...read(document).matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(({ index, 1: kind = '', 2: text = '' }) => ({
    at: index + kind.length + 4,
    kind,
    text,
  }));
}

/** Ages depend on when the command is run, and with them how wide a column is. */
function settled(text: string): string {
  return text
    .replace(/just now|\d+ (?:min|h|days) ago/g, 'AGE')
    .replace(/[ ]+/g, ' ')
    .replace(/ +$/gm, '');
}

async function runProgram({ text }: Block, directory: string): Promise<Ended> {
  return ended(startNode(`${PRELUDE}\n${text}`, [directory]));
}

/** Runs the lines of a block that begin with `$`, with `npx holdfast` as it was built; gives the block as it should be. */
async function runShell({ text }: Block, directory: string): Promise<string> {
  const npx = path.join(directory, '.bin', 'npx');
  mkdirSync(path.dirname(npx), { recursive: true });
  writeFileSync(npx, `#!/bin/sh\nshift\nexec '${process.execPath}' '${path.join(ROOT, 'dist', 'cli', 'main.js')}' "$@"\n`);
  chmodSync(npx, 0o755);
  const said: string[] = [];
  for (const line of text.split('\n').filter((each) => each.startsWith('$ '))) {
    const script = `
      import { spawnSync } from 'node:child_process';
      const env = { ...process.env, PATH: ${JSON.stringify(path.dirname(npx))} + ':' + process.env.PATH, COLUMNS: '' };
      const { stdout, stderr } = spawnSync('sh', ['-c', ${JSON.stringify(line.slice(2))}], { cwd: process.argv[1], env, encoding: 'utf8' });
      process.stdout.write(stdout + stderr);
    `;
    said.push(`${line}\n`, (await ended(startNode(script, [directory]))).stdout);
  }
  return said.join('');
}

/** Runs a document from its beginning to its end. Programs must end well and say nothing on standard error. */
async function runAll(document: string, directory: string): Promise<Outcome[]> {
  const blocks = blocksOf(document);
  const outcomes: Outcome[] = [];
  for (const [i, block] of blocks.entries()) {
    if (block.kind === 'console') outcomes.push({ block, printed: await runShell(block, directory) });
    if (block.kind !== 'js example') continue;
    const { stdout, stderr, code } = await runProgram(block, directory);
    expect({ code, stderr: stderr.replace(GREETING, '') }, block.text).toEqual({ code: 0, stderr: '' });
    const next = blocks[i + 1];
    if (next?.kind === 'text') outcomes.push({ block: next, printed: stdout });
    else expect(stdout, block.text).toBe('');
  }
  return outcomes;
}

function update(document: string, outcomes: readonly Outcome[]): void {
  let text = read(document);
  for (const { block, printed } of outcomes.toReversed()) {
    text = `${text.slice(0, block.at)}${printed}${text.slice(block.at + block.text.length)}`;
  }
  writeFileSync(path.join(ROOT, document), text);
}

const DOCUMENTS = [
  'README.md',
  ...['TRAINING', 'TFJS', 'CALLBACKS', 'RESUME', 'CONVERT', 'INTERVALS', 'SIMULATOR', 'TUNE'].map((name) => `docs/${name}.md`),
];

describe.each(DOCUMENTS)('the examples of %s', (document) => {
  test('run, and print what stands there', async () => {
    expect(blocksOf(document).filter(({ kind }) => kind === 'js example')).not.toEqual([]);
    const outcomes = await runAll(document, freshDirectory());
    if (process.env['HOLDFAST_UPDATE_GOLDEN'] === '1') update(document, outcomes);
    else expect(outcomes.map(({ printed }) => settled(printed))).toEqual(outcomes.map(({ block }) => settled(block.text)));
  });
});
