// The tests under every supported major version of Node.js; the npm package `node` carries them.
//
//   node scripts/test-nodes.mjs [MAJOR …]        default: 20 22 24, without the one that runs this
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const own = process.versions.node.split('.')[0];
const majors = process.argv.length > 2 ? process.argv.slice(2) : ['20', '22', '24'].filter((major) => major !== own);
// The moments of a SIGKILL do not depend on the version: a few are enough here.
const env = { HOLDFAST_KILLS: '20', ...process.env };
// What is computed, and how the tree is built, does not depend on it either; nor which file operations are made in which order.
const SAME_EVERYWHERE = [
  'test/bench/**',
  'test/cli/bench*',
  'test/cli/convert*',
  'test/cli/diff*',
  'test/cli/prune*',
  'test/cli/repair*',
  'test/cli/simulate*',
  'test/cli/tune*',
  'test/docs/**',
  'test/examples/**',
  'test/experiment/durable.test.ts',
  'test/faults/injection.test.ts',
  'test/convert/**',
  'test/corpus.test.ts',
  'test/format/**',
  'test/interval/**',
  'test/policy/**',
  'test/report/**',
  'test/simulation/**',
  'test/structure/**',
  'test/terminal/**',
  'test/tfjs/preflight*',
  'test/tfjs/resume/exact*',
  'test/tfjs/resume/killed*',
  'test/tfjs/resume/order*',
  'test/tfjs/*refusals*',
];
const failed = [];

for (const major of majors) {
  console.log(`\n── Node.js ${major}`);
  const args = ['-y', `node@${major}`, 'node_modules/vitest/vitest.mjs', 'run', '--typecheck.enabled=false', '--reporter=dot'];
  for (const glob of SAME_EVERYWHERE) args.push('--exclude', glob);
  const { status } = spawnSync('npx', args, { cwd: root, stdio: 'inherit', env });
  if (status !== 0) failed.push(major);
}
if (failed.length > 0) {
  console.error(`Failed under Node.js ${failed.join(', ')}.`);
  process.exit(1);
}
