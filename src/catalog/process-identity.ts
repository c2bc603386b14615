/** Who a process is, so that another one can tell whether it still lives. */
import { readText } from '../fs.js';
import { hostName, isRunning, processId } from '../system.js';

/** What a lock file holds. */
export interface ProcessIdentity {
  readonly host: string;
  /** Changes with every boot; empty where the platform does not tell. */
  readonly bootId: string;
  readonly pid: number;
  /** Clock ticks since boot when the process began: a pid may be used again, the pair not. */
  readonly startTime: string;
  /** Makes two locks of one process differ. */
  readonly token: string;
}

/** What reading a file of `/proc` fails with where there is none, or none for us. */
const NOT_THERE: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ESRCH', 'EACCES', 'EPERM']);

/** The identity of this process. Throws what a lack of descriptors or memory says: an identity with a part missing would be taken for another's. */
export async function currentProcess(token: string): Promise<ProcessIdentity> {
  const pid = processId();
  return { host: hostName(), bootId: await bootId(), pid, startTime: (await statOf(pid)).startTime, token };
}

async function bootId(): Promise<string> {
  return (await readProc('/proc/sys/kernel/random/boot_id')).trim();
}

/** A file of `/proc`, empty where it is not there. */
async function readProc(file: string): Promise<string> {
  return readText(file).catch((error: NodeJS.ErrnoException) => {
    if (NOT_THERE.has(error.code)) return '';
    throw error;
  });
}

/** State and start time (fields 3 and 22 of /proc/PID/stat); empty where there is no such process or no /proc. */
async function statOf(pid: number): Promise<{ state: string; startTime: string }> {
  const stat = await readProc(`/proc/${pid}/stat`);
  // The second field is the command in parentheses and may hold anything, so count from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', startTime: fields[19] ?? '' };
}

/** What can be said about a process of this host and boot. */
export async function isAlive({ pid, startTime: recorded }: ProcessIdentity): Promise<boolean> {
  if (!isRunning(pid)) return false;
  const { state, startTime } = await statOf(pid);
  // A zombie does nothing any more; it only waits for its parent, which in a container may never come.
  if (state === 'Z' || state === 'X') return false;
  // It has just ended, or it is hidden from us (hidepid).
  if (startTime === '') return isRunning(pid);
  return recorded === '' || startTime === recorded;
}

/** Reads an identity from a lock file's JSON; `undefined` if it is not one. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  try {
    const { host, bootId, pid, startTime, token } = JSON.parse(text) as Record<string, unknown>;
    const strings = [host, bootId, startTime, token].every((value) => typeof value === 'string');
    if (!strings || !Number.isSafeInteger(pid) || (pid as number) < 1) return undefined;
    return { host, bootId, pid, startTime, token } as ProcessIdentity;
  } catch {
    return undefined;
  }
}
