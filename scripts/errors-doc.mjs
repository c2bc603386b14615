// Writes the table of docs/ERRORS.md from src/errors.ts (as built in dist/).
import { readFileSync, writeFileSync } from 'node:fs';
import { ERROR_CODES } from '../dist/errors.js';

const file = new URL('../docs/ERRORS.md', import.meta.url);
const text = readFileSync(file, 'utf8');
const rows = Object.entries(ERROR_CODES).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`);
const table = ['| code | meaning |', '|---|---|', ...rows].join('\n');
writeFileSync(file, text.replace(/\| code \| meaning \|\n[\s\S]*?\n(?=\n|$)/, `${table}\n`));
