// Commands of the system, what must be there for them, and the guarantee that everything is taken down again.
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const SEARCH = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/local/sbin'];
const WORK_PREFIX = 'holdfast-crash-';
const SPACE_BYTES_MIN = 1.5 * 2 ** 30;

/** The path of a command, also where PATH lacks the sbin directories; null if there is none. */
export function findCommand(name) {
  for (const folder of SEARCH) {
    const file = path.join(folder || '.', name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {}
  }
  return null;
}

/** Runs a command and gives its standard output; throws with its standard error where it fails. */
export function capture(name, args) {
  const { status, stdout, stderr } = attempt(name, args);
  if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${stderr.trim() || `status ${status}`}`);
  return stdout;
}

/** Runs a command; never throws. */
export function attempt(name, args) {
  const file = findCommand(name);
  if (file === null) return { status: 127, stdout: '', stderr: `${name} is not installed` };
  const result = spawnSync(file, args, { encoding: 'utf8', maxBuffer: 64 * 2 ** 20, env: { ...process.env, LC_ALL: 'C' } });
  const stderr = result.error ? String(result.error.message) : result.stderr;
  return { status: result.status ?? 1, stdout: result.stdout ?? '', stderr: stderr ?? '' };
}

/** What is missing on this machine, one sentence each with the way to get it; empty where all is there. */
export function missingPrerequisites(fileSystem) {
  if (process.platform !== 'linux') return ['Linux (loop devices and FUSE): run it in a Linux virtual machine'];
  const missing = [];
  if (process.getuid() !== 0) missing.push('root, for losetup and mount: run it with sudo');
  if (!existsSync('/dev/fuse'))
    missing.push('/dev/fuse: `modprobe fuse`, or start the container with `--device /dev/fuse --cap-add SYS_ADMIN`');
  if (!existsSync('/dev/loop-control')) missing.push('/dev/loop-control: `modprobe loop`, or start the container with `--privileged`');
  const packages = {
    'qemu-storage-daemon': 'qemu-system-common',
    fusermount3: 'fuse3',
    losetup: 'mount',
    mount: 'mount',
    umount: 'mount',
    cp: 'coreutils',
    ...{
      ext4: { 'mkfs.ext4': 'e2fsprogs', dumpe2fs: 'e2fsprogs', debugfs: 'e2fsprogs', e2fsck: 'e2fsprogs' },
      xfs: { 'mkfs.xfs': 'xfsprogs' },
      btrfs: { 'mkfs.btrfs': 'btrfs-progs' },
    }[fileSystem],
  };
  for (const [command, name] of Object.entries(packages)) {
    if (findCommand(command) === null) missing.push(`${command}: \`apt-get install ${name}\` (Debian's name)`);
  }
  if (missing.length === 0) missing.push(...missingPermissions());
  return missing;
}

/** Root in a container may still be without loop devices. */
function missingPermissions() {
  const folder = mkdtempSync(path.join(tmpdir(), `${WORK_PREFIX}${process.pid}-`));
  try {
    const image = path.join(folder, 'probe.img');
    writeFileSync(image, '');
    truncateSync(image, 2 ** 20);
    const made = attempt('losetup', ['-f', '--show', image]);
    if (made.status !== 0) return [`loop devices: ${made.stderr.trim()} (in a container: \`--privileged\`)`];
    attempt('losetup', ['-d', made.stdout.trim()]);
    return [];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Actions that undo what was set up, last first; each runs once, also on signals, exits and exceptions. */
export class Teardown {
  #actions = [];

  constructor() {
    process.on('exit', () => this.run());
    for (const [signal, number] of [
      ['SIGINT', 2],
      ['SIGTERM', 15],
      ['SIGHUP', 1],
    ]) {
      process.once(signal, () => {
        process.stderr.write(`\n${signal}: taking everything down\n`);
        process.exit(128 + number);
      });
    }
  }

  /** Registers a synchronous action; calling the function it gives runs it early. */
  add(action) {
    this.#actions.push(action);
    return () => {
      const index = this.#actions.indexOf(action);
      if (index < 0) return;
      this.#actions.splice(index, 1);
      action();
    };
  }

  run() {
    while (this.#actions.length > 0) {
      try {
        this.#actions.pop()();
      } catch (error) {
        process.stderr.write(`teardown: ${error.message}\n`);
      }
    }
  }
}

/** A private working directory, in memory where there is room (nothing here needs a real disk). */
export function makeWorkDirectory(teardown) {
  for (const parent of workParents()) sweepStale(parent);
  const directory = mkdtempSync(path.join(pickParent(), `${WORK_PREFIX}${process.pid}-`));
  teardown.add(() => removeWorkDirectory(directory));
  return directory;
}

function workParents() {
  const chosen = process.env.HOLDFAST_CRASH_DIR;
  return chosen ? [chosen] : ['/dev/shm', tmpdir()].filter((folder) => existsSync(folder));
}

function pickParent() {
  const parents = workParents();
  const roomy = parents.find((folder) => {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize >= SPACE_BYTES_MIN;
  });
  return roomy ?? parents[parents.length - 1];
}

/** Takes down what a run left that was killed with SIGKILL. */
function sweepStale(parent) {
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(WORK_PREFIX) ? Number(name.slice(WORK_PREFIX.length).split('-')[0]) : 0;
    if (!(pid > 0) || existsSync(`/proc/${pid}`)) continue;
    removeWorkDirectory(path.join(parent, name));
  }
}

/** Unmounts everything below a working directory, ends its storage daemon, and deletes it. */
function removeWorkDirectory(directory) {
  // From the top of the stack down: file systems, loop devices, the daemon, its export.
  unmountBelow(directory, (type) => !type.startsWith('fuse'));
  for (const loop of loopsBelow(directory)) attempt('losetup', ['-d', loop]);
  for (const name of readdirSync(directory)) killDaemon(path.join(directory, name, 'daemon.pid'), directory);
  unmountBelow(directory, () => true);
  rmSync(directory, { recursive: true, force: true });
}

function unmountBelow(directory, isWanted) {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  const ours = mounts.filter(([, where, type]) => where?.startsWith(`${directory}/`) && isWanted(type));
  for (const [, where] of ours.reverse()) {
    if (attempt('umount', [where]).status !== 0) attempt('umount', ['-l', where]);
  }
}

function loopsBelow(directory) {
  const lines = attempt('losetup', ['-n', '-l', '-O', 'NAME,BACK-FILE']).stdout.split('\n');
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((pair) => pair[1]?.startsWith(`${directory}/`))
    .map((pair) => pair[0]);
}

/** Ends a storage daemon of ours; a process that merely took over its number is left alone. */
function killDaemon(pidFile, directory) {
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8').trim());
  // A zombie's command line is empty.
  const isOurs = () => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(directory);
    } catch {
      return false;
    }
  };
  if (!isOurs()) return;
  process.kill(pid, 'SIGTERM');
  for (let waited = 0; waited < 80 && isOurs(); waited += 1) sleepMs(25);
  if (isOurs()) process.kill(pid, 'SIGKILL');
}

/** Blocks this thread; for teardown, which must be synchronous. */
export function sleepMs(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
