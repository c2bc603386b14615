/**
 * The conformance corpus: three judges that share no code path must agree with what the specification says about each
 * case. `expected.json` is written by tools/make_corpus.py at the moment it makes the damage, not by any verifier.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { verifyPath } from '../src/index.js';

interface Problem {
  readonly code: string;
  readonly checkpoint: string | null;
  readonly file: string | null;
  readonly offset: number | null;
  readonly bytes: number | null;
  readonly tensors: readonly string[];
}

interface Report {
  readonly ok: boolean;
  readonly checksummed: boolean;
  readonly checked: { readonly checkpoints: number };
  readonly problems: readonly Problem[];
}

/** A fact that is left out here is one that the specification leaves open. */
interface Case {
  readonly path: string;
  readonly ok: boolean;
  readonly checksummed: boolean;
  readonly checkpoints?: number;
  readonly problems: readonly Partial<Problem>[];
}

const root = fileURLToPath(new URL('..', import.meta.url));
const corpus = join(root, 'test', 'corpus');
const cli = join(root, 'dist', 'cli', 'main.js');
const cases = JSON.parse(readFileSync(join(corpus, 'expected.json'), 'utf8')) as readonly Case[];

/** The order in which a verifier reports problems is left open: both sides are sorted the same way. */
function sorted<T extends Partial<Problem>>(problems: readonly T[]): T[] {
  const key = (p: T): string => JSON.stringify([p.checkpoint, p.file, ...[p.offset, p.bytes].map((n) => String(n ?? 0).padStart(16, '0'))]);
  return [...problems].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function agree(report: Report, expected: Case): void {
  const wanted = sorted(expected.problems);
  const found = sorted(report.problems).map((problem, index) => {
    const facts = Object.keys(wanted[index] ?? problem);
    return Object.fromEntries(Object.entries(problem).filter(([fact]) => facts.includes(fact)));
  });
  expect({ ok: report.ok, checksummed: report.checksummed, problems: found }).toEqual({
    ok: expected.ok,
    checksummed: expected.checksummed,
    problems: wanted,
  });
  if (expected.checkpoints !== undefined) expect(report.checked.checkpoints).toBe(expected.checkpoints);
  expect(Object.keys(report.checked).sort()).toEqual(['bytes', 'checkpoints', 'files', 'tensors']);
  const facts = ['actual', 'bytes', 'checkpoint', 'code', 'expected', 'file', 'message', 'offset', 'tensors'];
  for (const problem of report.problems) expect(Object.keys(problem).sort()).toEqual(facts);
}

function byPath(path: string): Case {
  const found = cases.find((one) => one.path === path);
  if (!found) throw new Error(`no case ${path} in the corpus`);
  return found;
}

/** The few cases that also go through a process, for the exit code and what is printed. */
const printed = [
  'good/full',
  'good/directory',
  'good/bare-writer/model.safetensors',
  'damaged/flip-tensor',
  'damaged/directory',
  'damaged/bare-shape-negative/t.safetensors',
].map(byPath);

function judgeByProcess(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
  const run = (path: string) =>
    spawnSync(
      command,
      args.map((arg) => (arg === 'PATH' ? path : arg)),
      {
        cwd: root,
        encoding: 'utf8',
        env: { ...process.env, ...env },
      },
    );
  it.each(printed)('prints its judgement on $path', (one) => {
    const { status, stdout, stderr } = run(join(corpus, one.path));
    expect({ status, stderr: status === (one.ok ? 0 : 1) ? '' : stderr }).toEqual({ status: one.ok ? 0 : 1, stderr: '' });
    agree(JSON.parse(stdout) as Report, one);
  });
  it('exits with 2 for a path that does not exist', () => {
    expect(run(join(corpus, 'nowhere')).status).toBe(2);
  });
}

describe('the corpus', () => {
  it('has good and damaged cases', () => {
    expect(cases.filter((one) => one.ok).length).toBeGreaterThan(30);
    expect(cases.filter((one) => !one.ok).length).toBeGreaterThan(300);
    for (const one of cases) expect(one.ok).toBe(one.path.startsWith('good/'));
  });
});

const python = spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 9))']);
const withoutPython = python.error ? 'there is no python3' : python.status !== 0 ? 'python3 is older than 3.9' : '';
if (withoutPython) console.warn(`corpus: tools/verify.py is not asked, ${withoutPython}`);

describe.skipIf(withoutPython)('tools/verify.py', () => {
  /** One process for all cases. */
  const reports = new Map<string, Report>();
  const driver = `import json, sys
sys.path.insert(0, sys.argv[1])
import verify
print(json.dumps([verify.verify(path) for path in json.load(sys.stdin)]))`;

  it('judges all cases', () => {
    const input = JSON.stringify(cases.map((one) => join(corpus, one.path)));
    const args = ['-B', '-c', driver, join(root, 'tools')];
    const { status, stdout, stderr } = spawnSync('python3', args, { input, encoding: 'utf8', maxBuffer: 1 << 26 });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const [index, report] of (JSON.parse(stdout) as Report[]).entries()) {
      reports.set(cases[index]?.path ?? '', report);
    }
  }, 60_000);
  it.each(cases)('$path', (one) => {
    const report = reports.get(one.path);
    if (!report) throw new Error('tools/verify.py gave no judgement');
    agree(report, one);
  });
  judgeByProcess('python3', ['-B', 'tools/verify.py', 'PATH']);

  it('is the corpus that tools/make_corpus.py makes', () => {
    const { status, stdout } = spawnSync('python3', ['-B', 'tools/make_corpus.py', '--check', corpus], {
      cwd: root,
      encoding: 'utf8',
    });
    expect({ status, stdout: status === 0 ? '' : stdout }).toEqual({ status: 0, stdout: '' });
  }, 60_000);
});

/** Why an engine cannot be asked on this machine; '' if it can. One that was asked for by HOLDFAST_ENGINE must be there. */
async function reasonWithout(engine: 'native' | 'portable'): Promise<string> {
  if (engine === 'portable' || process.env.HOLDFAST_ENGINE === engine) return '';
  try {
    await verifyPath(join(corpus, 'good', 'scalar'), { engine });
    return '';
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    if (/native|engine|binding/i.test(`${code} ${message}`)) return message ?? String(code);
    throw error;
  }
}

for (const engine of ['native', 'portable'] as const) {
  const without = await reasonWithout(engine);
  if (without) console.warn(`corpus: the ${engine} engine is not asked: ${without}`);

  describe.skipIf(without)(`verifyPath, engine ${engine}`, () => {
    it.each(cases)('$path', async (one) => {
      agree(await verifyPath(join(corpus, one.path), { engine }), one);
    });
  });

  const withoutCli = without || (existsSync(cli) ? '' : `${cli} is not built`);
  if (withoutCli && !without) console.warn(`corpus: the command is not asked: ${withoutCli}`);
  describe.skipIf(withoutCli)(`holdfast verify --json, engine ${engine}`, { timeout: 30_000 }, () => {
    judgeByProcess(process.execPath, [cli, 'verify', 'PATH', '--json'], { HOLDFAST_ENGINE: engine });
  });
}
