/** docs/EXPERIMENTS.md: its example runs, and it tells of every event. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ended, startNode } from '../helpers/child.js';
import { freshDirectory } from '../helpers/directory.js';
import { logLines } from '../helpers/experiment.js';

const TEXT = readFileSync(new URL('../../docs/EXPERIMENTS.md', import.meta.url), 'utf8');
const SOURCE = readFileSync(new URL('../../src/experiment/records.ts', import.meta.url), 'utf8');

/** The example as it stands there, in a directory of its own. */
async function runExample(directory: string): Promise<{ stdout: string; stderr: string }> {
  const example = /```js example\n([\s\S]*?)```/.exec(TEXT)?.[1] as string;
  const module = JSON.stringify(new URL('../../dist/experiment/experiment.js', import.meta.url).href);
  const script = `process.chdir(process.argv[1]);\n${example.replaceAll("'holdfast'", module)}`;
  return ended(startNode(script, [directory]));
}

describe('docs/EXPERIMENTS.md', () => {
  test('its example trains, and started again finds that it is done', async () => {
    const directory = freshDirectory();
    const first = await runExample(directory);
    expect(first.stderr).toBe('');
    expect(first.stdout).toMatch(/^\[\s+\[ 1, [\d.]+ \],[\s\S]+\[ 6, [\d.]+ \]\s+\]\n$/);
    expect(await runExample(directory)).toMatchObject(first);
    const experiment = path.join(directory, 'experiments', 'digits');
    expect(readdirSync(experiment).sort()).toEqual(['README.md', 'checkpoints', 'config.json', 'logs']);
    const log = ['log', 'log', 'log', 'saved'];
    expect(logLines(experiment).map(({ event }) => event)).toEqual([
      ...['started', 'restored', ...log, ...log, 'closed'],
      ...['started', 'restored', 'closed'],
    ]);
  });

  test('tells of every event', () => {
    const events = [...SOURCE.matchAll(/readonly event: '(\w+)';/g)].map(([, event]) => event);
    const section = TEXT.slice(TEXT.indexOf("## The log's lines"));
    const table = [...section.matchAll(/^\| `(\w+)` \| .* \| .*\|$/gm)].map(([, event]) => event);
    expect(events.length).toBeGreaterThan(5);
    expect(table.filter((event) => events.includes(event))).toEqual(events);
  });
});
