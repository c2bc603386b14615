/** Runs the built `holdfast` command as users do: as a process of its own. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const MAIN = path.join(root, 'dist/cli/main.js');

if (!existsSync(MAIN)) throw new Error(`${MAIN} is not there: run "npm run build:ts" first. "npm test" does.`);

/** Results of benchmarks are kept here, not with the user's. */
export const STATE = mkdtempSync(path.join(tmpdir(), 'holdfast-state-'));
process.on('exit', () => rmSync(STATE, { recursive: true, force: true }));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A program and arguments to put before node, such as setpriv. */
  readonly prefix?: readonly string[];
  readonly signal?: NodeJS.Signals;
  /** When to send it, from the start of the process. */
  readonly signalAfterMs?: number;
  /** Or as soon as this is so. */
  readonly signalWhen?: () => boolean;
  /** And once more at once, as npx does. */
  readonly signalTwice?: boolean;
}

/** Runs `holdfast ...args` with a fixed environment: no colours, no terminal, UTC. */
export function holdfast(
  args: readonly string[],
  { env = {}, prefix = [], signal, signalAfterMs = 0, signalWhen, signalTwice = false }: RunOptions = {},
): Promise<Outcome> {
  const { PATH = '', HOLDFAST_ENGINE, HOLDFAST_ADDON } = process.env;
  const inherited = { PATH, ...(HOLDFAST_ENGINE && { HOLDFAST_ENGINE }), ...(HOLDFAST_ADDON && { HOLDFAST_ADDON }) };
  const [program = '', ...rest] = [...prefix, process.execPath, MAIN, ...args];
  const child = spawn(program, rest, {
    env: { ...inherited, TZ: 'UTC', HOLDFAST_STATE: STATE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const kill = () => {
    child.kill(signal);
    if (signalTwice) setTimeout(() => child.kill(signal), 20);
  };
  let watch: NodeJS.Timeout | undefined;
  if (signal !== undefined && signalWhen === undefined) setTimeout(kill, signalAfterMs);
  if (signal !== undefined && signalWhen !== undefined) {
    watch = setInterval(() => {
      if (!signalWhen()) return;
      clearInterval(watch);
      kill();
    }, 20);
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code) => {
      clearInterval(watch);
      resolve({ code, stdout, stderr });
    });
  });
}

/** Runs a command with --json; gives its exit code and its document. */
export async function holdfastJson(args: readonly string[], options?: RunOptions): Promise<{ code: number | null; document: unknown }> {
  const { code, stdout, stderr } = await holdfast([...args, '--json'], options);
  if (stderr !== '') throw new Error(`--json left something on stderr: ${stderr}`);
  return { code, document: JSON.parse(stdout) };
}

/** The error that a command reported with --json, after checks that hold for all of them. */
export async function holdfastError(
  args: readonly string[],
  options?: RunOptions,
): Promise<{ code: number | null; error: Record<string, unknown> }> {
  const { code, stdout, stderr } = await holdfast([...args, '--json'], options);
  if (stdout !== '') throw new Error(`an error, and yet there is output: ${stdout}`);
  if (stderr.trimEnd().includes('\n')) throw new Error(`more than one line: ${stderr}`);
  return { code, error: (JSON.parse(stderr) as { error: Record<string, unknown> }).error };
}
