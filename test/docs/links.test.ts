/** What documents refer to is there: other documents, and the sections that they name. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DOCUMENTS = [
  'README.md',
  'CHANGELOG.md',
  'examples/README.md',
  'examples/sentiment/README.md',
  ...readdirSync(path.join(ROOT, 'docs')).flatMap((name) => (/\.md$/.test(name) ? [`docs/${name}`] : [])),
];

/** A link to a file, and the section that is named behind it: `[X](X.md), "Section"`. */
interface Reference {
  readonly target: string;
  readonly section: string | undefined;
}

function referencesOf(document: string): Reference[] {
  const text = readFileSync(path.join(ROOT, document), 'utf8');
  const found = [...text.matchAll(/\]\((?!https?:)([^)#]+)\)(?:,\s"([^"]+)")?/g)];
  return found.map(([, target = '', section]) => ({ target: path.join(ROOT, path.dirname(document), target), section }));
}

describe.each(DOCUMENTS)('%s', (document) => {
  test('links to what is there', () => {
    const broken = referencesOf(document).filter(({ target, section }) => {
      if (!existsSync(target)) return true;
      return (
        section !== undefined &&
        !new RegExp(`^##+ ${section.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`, 'm').test(readFileSync(target, 'utf8'))
      );
    });
    expect(broken).toEqual([]);
  });
});

test('there are links, and sections are named', () => {
  const all = DOCUMENTS.flatMap(referencesOf);
  expect(all.length).toBeGreaterThan(10);
  expect(all.filter(({ section }) => section !== undefined).length).toBeGreaterThan(1);
});
