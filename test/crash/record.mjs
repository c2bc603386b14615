// Records every block write and flush that a file system sends to its device while the workload runs.
//
//   workload → file system → loop device → FUSE export → blklogwrites → data file, and the log
//
// The page cache sits above the loop device's flushes: a flush of the file system becomes an fsync of the
// exported file, and that one a flush entry of the log, before the file system hears that it is done.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { staticMetadata } from './layout.mjs';
import { entriesBegun, isFlush, isWrite, readLog } from './log.mjs';
import { attempt, capture, findCommand, sleepMs } from './system.mjs';

export const MEBIBYTE = 2 ** 20;
const FILE_SYSTEMS = {
  ext4: { imageBytes: 96 * MEBIBYTE, mkfs: ['-q', '-F', '-b', '4096', '-E', 'nodiscard,lazy_itable_init=0,lazy_journal_init=0'] },
  xfs: { imageBytes: 320 * MEBIBYTE, mkfs: ['-q', '-f', '-K'] },
  btrfs: { imageBytes: 160 * MEBIBYTE, mkfs: ['-q', '-f', '-K', '-M'] },
};
const WORKLOAD_SECONDS_MAX = 240;

/**
 * Runs the workload once on a fresh file system and gives the recording's directory, which holds
 * `log.img` (the block log), `acks.jsonl` (what the workload had been promised, and when) and `meta.json`.
 * `workload` = { protocol, control, engine, seed, steps, keep }.
 */
export async function record({ directory, fileSystem, workload, teardown }) {
  mkdirSync(directory);
  const files = Object.fromEntries(
    ['data.img', 'log.img', 'export.img', 'daemon.pid', 'mount', 'acks.jsonl', 'meta.json'].map((name) => [
      name,
      path.join(directory, name),
    ]),
  );
  const { imageBytes, mkfs } = FILE_SYSTEMS[fileSystem];
  for (const name of ['data.img', 'log.img', 'export.img', 'acks.jsonl']) writeFileSync(files[name], '');
  truncateSync(files['data.img'], imageBytes);
  mkdirSync(files.mount);

  const stopDaemon = await startDaemon(files, teardown);
  const loop = capture('losetup', ['-f', '--show', '--direct-io=off', files['export.img']]).trim();
  const detach = teardown.add(() => attempt('losetup', ['-d', loop]));
  capture(`mkfs.${fileSystem}`, [...mkfs, loop]);
  capture('mount', ['-t', fileSystem, loop, files.mount]);
  const unmount = teardown.add(() => attempt('umount', [files.mount]));
  capture('sync', ['-f', files.mount]);

  const firstBytes = statSync(files['log.img']).size;
  await runWorkload(files, workload, teardown);
  const endBytes = statSync(files['log.img']).size;

  unmount();
  detach();
  stopDaemon();
  const metadata = staticMetadata(files['data.img'], fileSystem);
  const meta = { version: 1, fileSystem, imageBytes, firstBytes, endBytes, workload, metadata };
  writeFileSync(files['meta.json'], JSON.stringify(meta));
  truncateSync(files['data.img'], 0);
  return directory;
}

async function startDaemon(files, teardown) {
  const blockdev = (options) => ['--blockdev', options];
  // The host's own flushes are left out (cache.no-flush): the log, not the host's disk, is the record.
  const child = spawn(
    findCommand('qemu-storage-daemon'),
    [
      ...blockdev(`driver=file,node-name=data,filename=${escaped(files['data.img'])},cache.no-flush=on`),
      ...blockdev(`driver=file,node-name=log,filename=${escaped(files['log.img'])},cache.no-flush=on`),
      ...blockdev('driver=blklogwrites,node-name=recorder,file=data,log=log,log-sector-size=512'),
      ...['--export', `type=fuse,id=export,node-name=recorder,mountpoint=${escaped(files['export.img'])},writable=on`],
      ...['--pidfile', files['daemon.pid']],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let complaint = '';
  child.stderr.on('data', (chunk) => {
    complaint += chunk;
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let running = true;
  exited.then(() => {
    running = false;
  });
  const stop = teardown.add(() => {
    if (running) child.kill('SIGTERM');
    waitForEnd(child.pid);
    attempt('umount', [files['export.img']]);
  });
  const deadline = Date.now() + 10_000;
  while (!existsSync(files['daemon.pid']) || !isExported(files['export.img'])) {
    if (!running || Date.now() > deadline) {
      throw new Error(`qemu-storage-daemon did not export the image: ${complaint.trim() || 'no message'}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return stop;
}

const escaped = (value) => value.replaceAll(',', ',,');

function isExported(file) {
  return readFileSync('/proc/self/mounts', 'utf8').includes(` ${file} fuse`);
}

/** The workload is its own process: its exit must leave nothing in memory that a crash would have lost. */
function runWorkload(files, workload, teardown) {
  const options = { ...workload, dir: path.join(files.mount, 'checkpoints'), acks: files['acks.jsonl'], log: files['log.img'] };
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'workload.mjs'), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: engineEnvironment(workload.engine),
  });
  const kill = teardown.add(() => killAndWait(child));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
    });
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), WORKLOAD_SECONDS_MAX * 1000);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      kill();
      if (code === 0) resolve(output);
      else reject(new Error(`the workload ended with ${signal ?? `status ${code}`}:\n${output.trim()}`));
    });
  });
}

/** Synchronous, for the teardown: the mount is busy until the process is gone. */
function killAndWait(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  waitForEnd(child.pid);
}

/** Node reaps its children later, in the event loop; a dead one's command line is empty until then. */
function waitForEnd(pid) {
  const commandLine = `/proc/${pid}/cmdline`;
  for (let waited = 0; waited < 80 && existsSync(commandLine) && readFileSync(commandLine).length > 0; waited += 1) sleepMs(25);
}

/** `native` is the library's default where the addon is there; only `portable` has to be asked for. */
export function engineEnvironment(engine) {
  const environment = { ...process.env };
  if (engine === 'portable') environment.HOLDFAST_ENGINE = 'portable';
  else delete environment.HOLDFAST_ENGINE;
  return environment;
}

/**
 * Loads a recording: { meta, logPath, sectorBytes, entries, first, end, acks }. Crash states lie in
 * (first, end]; each of `acks` = { step, prefix }: a state whose prefix is at least that long must hold the step.
 */
export function loadRecording(directory) {
  const meta = JSON.parse(readFileSync(path.join(directory, 'meta.json'), 'utf8'));
  const logPath = path.join(directory, 'log.img');
  const { sectorBytes, entries } = readLog(logPath);
  const lines = readFileSync(path.join(directory, 'acks.jsonl'), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const events = lines.map((line) => ({ ...line, prefix: entriesBegun(entries, line.logBytes) }));
  return {
    meta,
    logPath,
    sectorBytes,
    entries,
    first: entriesBegun(entries, meta.firstBytes),
    end: entriesBegun(entries, meta.endBytes),
    acks: events.filter((event) => event.kind === 'ack'),
    engine: events.find((event) => event.kind === 'engine').name,
    begins: events.filter((event) => event.kind === 'begin'),
  };
}

/** What makes a recording worthless, as sentences: the harness fails on any instead of passing on nothing. */
export function recordingDefects({ entries, first, end, acks, logPath, meta }) {
  const defects = [];
  const recorded = entries.slice(first, end);
  if (acks.length === 0) defects.push('no save was acknowledged');
  if (!recorded.some(isWrite)) defects.push('no write was recorded while the workload ran');
  const mayLackFlushes = meta.workload.control && meta.workload.control !== 'none';
  // A correct protocol flushes at least once per save; where no flush arrives, dropping writes is not a test.
  const flushes = recorded.filter(isFlush).length;
  if (!mayLackFlushes && flushes < acks.length) {
    defects.push(`${flushes} flushes reached the log in ${acks.length} saves: the loop device or the export swallows them`);
  }
  if (acks.some((ack, index) => index > 0 && ack.prefix < acks[index - 1].prefix))
    defects.push('log positions of acknowledgements go backwards');
  const fd = openSync(logPath, 'r');
  try {
    const lastEntry = entries[end - 1];
    const probe = Buffer.alloc(1);
    if (lastEntry.bytes > 0 && readSync(fd, probe, 0, 1, lastEntry.endOffset - 1) !== 1) defects.push('the log ends within an entry');
  } finally {
    closeSync(fd);
  }
  return defects;
}
