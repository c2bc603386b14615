/**
 * Installs the real @tensorflow/tfjs-node into .cache/tfjs-node, for the tests that run on it.
 *
 *   node scripts/setup-tfjs-node.mjs [--force]
 *
 * tfjs-node's own install script downloads libtensorflow from a storage bucket that is out of reach on many
 * machines. The same library is in PyPI's tensorflow-cpu wheel, so that is where it is taken from; the binding is
 * then compiled against it. Needs npm, python3 with pip, a C++ compiler, make, and about 2 GB of disk.
 * HOLDFAST_TENSORFLOW_WHEEL may name a wheel that was downloaded before.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const TFJS_NODE = '4.22.0';
const TENSORFLOW = '2.21.0';
/** The wheel is only unpacked, so its Python version does not matter. */
const WHEEL_TAGS = ['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311', '--platform', 'manylinux_2_27_x86_64'];

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const home = path.join(root, '.cache', 'tfjs-node');
const wheelDirectory = path.join(home, 'wheel');
const packageDirectory = path.join(home, 'node_modules', '@tensorflow', 'tfjs-node');
const marker = path.join(home, 'ready.json');
const wanted = { tfjsNode: TFJS_NODE, tensorflow: TENSORFLOW, abi: process.versions.modules };

function say(text) {
  process.stdout.write(`tfjs-node: ${text}\n`);
}

function fail(text, log = '') {
  process.stderr.write(`${log === '' ? '' : `${log}\n`}tfjs-node: ${text}\n`);
  process.exit(1);
}

/** Runs a command and keeps its output to itself, unless the command fails. */
function run(title, command, args, cwd = home) {
  const started = Date.now();
  say(`${title} …`);
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        log = (log + chunk).slice(-20_000);
      });
    }
    child.on('error', (error) => fail(`could not run ${command}: ${error.message}`));
    child.on('close', (code) => {
      if (code !== 0) fail(`${title} failed: "${[command, ...args].join(' ')}" ended with ${code}; the end of its output is above.`, log);
      say(`${title}: ${((Date.now() - started) / 1000).toFixed(0)} s`);
      resolve();
    });
  });
}

/** True if the installed package loads and computes: the same thing that its users will do first. */
function works() {
  if (!existsSync(packageDirectory)) return false;
  const program = `
    const util = require('node:util');
    util.isNullOrUndefined ??= (x) => x == null;
    util.isArray ??= Array.isArray;
    const tf = require(${JSON.stringify(packageDirectory)});
    process.exit(tf.getBackend() === 'tensorflow' && tf.add([1, 2], [3, 4]).dataSync()[1] === 6 ? 0 : 1);`;
  return spawnSync(process.execPath, ['-e', program], { stdio: 'ignore', env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2' } }).status === 0;
}

function isReady() {
  if (!existsSync(marker)) return false;
  return readFileSync(marker, 'utf8') === JSON.stringify(wanted) && works();
}

async function fetchWheel() {
  const given = process.env['HOLDFAST_TENSORFLOW_WHEEL'];
  if (given !== undefined && given !== '') {
    if (!existsSync(given)) fail(`HOLDFAST_TENSORFLOW_WHEEL names ${given}, which does not exist.`);
    return path.resolve(given);
  }
  const find = () => (existsSync(wheelDirectory) ? readdirSync(wheelDirectory).find((name) => name.endsWith('.whl')) : undefined);
  if (find() === undefined) {
    mkdirSync(wheelDirectory, { recursive: true });
    const args = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', wheelDirectory, ...WHEEL_TAGS];
    await run(`downloading tensorflow-cpu ${TENSORFLOW} (270 MB)`, 'python3', [...args, `tensorflow-cpu==${TENSORFLOW}`]);
  }
  return path.join(wheelDirectory, find() ?? fail('pip reported success, but there is no wheel.'));
}

/** Only the C headers and the two libraries are taken out. */
const UNPACK = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    names = [n for n in wheel.namelist() if n.startswith(('tensorflow/include/tensorflow/', 'tensorflow/include/xla/', 'tensorflow/include/tsl/', 'tensorflow/libtensorflow'))]
    wheel.extractall(sys.argv[2], names)
`;

const LINKS = {
  'deps/include': 'tensorflow/include',
  'deps/lib/libtensorflow.so': 'tensorflow/libtensorflow_cc.so.2',
  'deps/lib/libtensorflow.so.2': 'tensorflow/libtensorflow_cc.so.2',
  'deps/lib/libtensorflow_cc.so.2': 'tensorflow/libtensorflow_cc.so.2',
  'deps/lib/libtensorflow_framework.so': 'tensorflow/libtensorflow_framework.so.2',
  'deps/lib/libtensorflow_framework.so.2': 'tensorflow/libtensorflow_framework.so.2',
};

function link() {
  rmSync(path.join(packageDirectory, 'deps'), { recursive: true, force: true });
  for (const [name, target] of Object.entries(LINKS)) {
    const place = path.join(packageDirectory, name);
    mkdirSync(path.dirname(place), { recursive: true });
    symlinkSync(path.relative(path.dirname(place), path.join(home, target)), place);
  }
}

/** Where this Node.js has its headers, if it has them: node-gyp would download them otherwise. */
function headerFlags() {
  const candidates = [process.env['HOLDFAST_NODE_DIR'], path.resolve(path.dirname(process.execPath), '..'), '/usr', '/usr/local'];
  const fitting = candidates.find((prefix) => {
    if (!prefix) return false;
    const header = path.join(prefix, 'include', 'node', 'node_version.h');
    const major = process.versions.node.split('.')[0];
    return existsSync(header) && new RegExp(`define NODE_MAJOR_VERSION ${major}\\b`).test(readFileSync(header, 'utf8'));
  });
  return fitting === undefined ? [] : [`--nodedir=${fitting}`];
}

async function main() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    fail(`this set-up is for Linux on x64, not ${process.platform} on ${process.arch}. Tests on tfjs-node will be skipped.`);
  }
  if (process.argv.includes('--force')) rmSync(home, { recursive: true, force: true });
  if (isReady()) return say(`${TFJS_NODE} is ready in .cache/tfjs-node`);
  rmSync(marker, { force: true });
  mkdirSync(home, { recursive: true });
  writeFileSync(path.join(home, 'package.json'), '{ "private": true }\n');
  const wheel = await fetchWheel();
  await run('unpacking libtensorflow', 'python3', ['-c', UNPACK, wheel, home]);
  rmSync(wheelDirectory, { recursive: true, force: true });
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  await run(`installing @tensorflow/tfjs-node ${TFJS_NODE}`, 'npm', ['install', ...flags, `@tensorflow/tfjs-node@${TFJS_NODE}`]);
  link();
  const build = ['--no-install', 'node-pre-gyp', 'install', '--build-from-source', ...headerFlags()];
  await run('building the binding', 'npx', build, packageDirectory);
  if (!works()) fail('the binding was built, but it does not load or compute. Try again with --force.');
  writeFileSync(marker, JSON.stringify(wanted));
  say(`${TFJS_NODE} is ready in .cache/tfjs-node`);
}

await main();
