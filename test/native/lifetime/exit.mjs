/** process.exit() in the middle of a write and of a read of gigabytes: prompt, with its exit code. */
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { addon, assert, passed, pause, readOptions, repeated, slow, temporaryDirectory, writerOptions } from './common.mjs';

const [mode, directory] = process.argv.slice(2);
const bytes = 64 << 20;
const times = 64;

if (mode === undefined) {
  const here = temporaryDirectory();
  for (const each of ['write', 'finish', 'read', 'open', 'worker-write', 'uncaught', 'arena', 'prefault', 'rename']) {
    // On a busy machine one exit may be late; one that waits for the work is late every time.
    let took = Number.POSITIVE_INFINITY;
    for (let attempt = 0; attempt < 4 && !(took < 1000 * slow); attempt++) took = Math.min(took, leaves(each, here));
    assert.ok(took < 1000 * slow, `${each} took ${took} ms to exit, and longer in three other attempts`);
  }
  passed();
} else {
  const file = path.join(directory, `${mode}-${process.pid}`);
  const leave = () => {
    process.stdout.write(`exiting at ${Date.now()}\n`);
    process.exit(7);
  };
  if (mode === 'worker-write') {
    const { Worker } = await import('node:worker_threads');
    const source = `import(${JSON.stringify(fileURLToPath(new URL('./common.mjs', import.meta.url)))}).then(async (common) => {
      const pin = common.addon.pin(new Uint8Array(${bytes}), true);
      const writer = await common.addon.openWriter(${JSON.stringify(file)}, common.writerOptions(${bytes * times}));
      common.addon.write(writer, common.repeated(pin, ${bytes}, ${times}));
      require('node:worker_threads').parentPort.postMessage('writing');
    })`;
    new Worker(source, { eval: true }).on('message', () => setTimeout(leave, 100));
  } else if (mode === 'arena') {
    // A worker writes from an arena of the thread that exits.
    const { Worker } = await import('node:worker_threads');
    const arena = addon.createArena(bytes);
    const source = `import(${JSON.stringify(fileURLToPath(new URL('./common.mjs', import.meta.url)))}).then(async (common) => {
      const writer = await common.addon.openWriter(${JSON.stringify(file)}, common.writerOptions(${bytes * times}));
      common.addon.write(writer, common.repeated(${arena}, ${bytes}, ${times}));
      require('node:worker_threads').parentPort.postMessage('writing');
    })`;
    new Worker(source, { eval: true }).on('message', () => setTimeout(leave, 100));
  } else if (mode === 'prefault') {
    addon.prefaultArena(addon.createArena(2 ** 31));
    await pause(30);
    leave();
  } else if (mode === 'rename') {
    writeFileSync(file, '');
    for (let index = 0; index < 20; index++) addon.renameNoReplace(file, `${file}-${index}`).catch(() => undefined);
    leave();
  } else if (mode === 'read') {
    const size = 1 << 30;
    writeFileSync(file, '');
    const { truncateSync } = await import('node:fs');
    truncateSync(file, size);
    const pin = addon.pin(new Uint8Array(size), true);
    const { reader } = await addon.openReader(file, 'optional');
    addon.read(reader, readOptions(size, pin));
    await pause(50);
    leave();
  } else if (mode === 'open') {
    addon.openWriter(file, writerOptions(bytes * times));
    leave();
  } else {
    const pin = addon.pin(new Uint8Array(bytes), true);
    const writer = await addon.openWriter(file, writerOptions(bytes * times));
    const writing = addon.write(writer, repeated(pin, bytes, times));
    if (mode === 'finish') addon.finishWriter(writer);
    await pause(100);
    if (mode === 'uncaught') {
      writing.catch(() => undefined);
      process.on('exit', () => {
        process.stdout.write(`exiting at ${Date.now()}\n`);
        process.exitCode = 7;
      });
      process.on('uncaughtException', () => process.exit(7));
      setTimeout(() => {
        throw new Error('on purpose');
      });
    } else {
      leave();
    }
  }
}

/** Milliseconds from the call of process.exit to the end of the process, which must end with the exit code that it has given. */
function leaves(how, here) {
  const result = spawnSync(process.execPath, [fileURLToPath(import.meta.url), how, here], { encoding: 'utf8' });
  const ended = Date.now();
  for (const file of readdirSync(here)) rmSync(path.join(here, file), { recursive: true });
  assert.equal(result.status, 7, `${how}: status ${result.status}, signal ${result.signal}\n${result.stdout}${result.stderr}`);
  const began = Number(/exiting at (\d+)/.exec(result.stdout)?.[1]);
  assert.ok(began > 0, `${how}: it does not say when\n${result.stdout}${result.stderr}`);
  return ended - began;
}
