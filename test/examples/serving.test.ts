/** examples/serving: a page loads the best model from the checkpoint directory and answers as Node.js does; the server gives away nothing else. */
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { get, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { loadModel } from '../../src/tfjs/index.js';
import { startChromium } from '../helpers/chromium.js';
import { freshDirectory } from '../helpers/directory.js';
import { hasPrinted, runExample, startExample } from '../helpers/example.js';

const PROGRAM = 'serving/serve.mjs';
const SMALL = ['--samples', '300', '--epochs', '2'];

/** A directory that has been trained into. */
let trained = '';

beforeAll(async () => {
  await tf.setBackend('cpu');
  trained = mkdtempSync(path.join(tmpdir(), 'holdfast-test-'));
});
afterAll(() => rmSync(trained, { recursive: true, force: true }));

/** Serves a directory until the test ends; gives the address. */
async function serve(directory: string, args: readonly string[] = []): Promise<string> {
  const seen = await hasPrinted(startExample(PROGRAM, ['--dir', directory, '--port', '0', ...args]), 'Ctrl+C');
  return /http:\/\/\S+/.exec(seen)?.[0] ?? expect.fail(seen);
}

test('without a server it trains, and the link best points at the best by validation accuracy, without the optimizer', async () => {
  const { code, stdout, stderr } = await runExample(PROGRAM, ['--dir', trained, '--no-serve', ...SMALL]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const accuracies = [...stdout.matchAll(/val_accuracy (\S+) %/g)].map(([, value]) => Number(value));
  expect(accuracies).toHaveLength(2);
  const manifest = JSON.parse(readFileSync(path.join(trained, 'best', 'manifest.json'), 'utf8'));
  expect(manifest).toMatchObject({ contents: 'weights', monitor: { metric: 'val_accuracy', mode: 'max' } });
  expect((manifest.metrics.val_accuracy * 100).toFixed(1)).toBe(Math.max(...accuracies).toFixed(1));
  const again = await runExample(PROGRAM, ['--dir', trained, '--no-serve']);
  expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('nothing to train')]);
});

const browser = await startChromium();
if (typeof browser === 'string') console.warn(`The page of examples/serving is not tested in a browser: ${browser}`);
else afterAll(() => browser.close());

/** Opens the page, which asks nothing of any other server; errors of its programs fail the test. */
async function openPage(url: string, server = url): Promise<Page> {
  if (typeof browser === 'string') throw new Error(browser);
  const page = await browser.newPage();
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('request', (each) => {
    if (new URL(each.url()).origin !== new URL(server).origin) faults.push(`asked for ${each.url()}`);
  });
  onTestFinished(async () => {
    await page.close();
    expect(faults).toEqual([]);
  });
  await page.goto(url);
  return page;
}

const status = async (page: Page, state: string) => {
  await page.locator(`#status[data-state=${state}]`).waitFor();
  return page.locator('#status').innerText();
};

const probabilities = async (page: Page) =>
  (await page.locator('#bars li').evaluateAll((bars) => bars.map((bar) => bar.getAttribute('data-probability')))).map(Number);

async function draw(page: Page, points: readonly (readonly [number, number])[]): Promise<void> {
  const box = (await page.locator('#pad').boundingBox()) ?? expect.fail('The field is not shown.');
  for (const [i, [x, y]] of points.entries()) {
    await page.mouse.move(box.x + box.width * x, box.y + box.height * y, { steps: 4 });
    if (i === 0) await page.mouse.down();
  }
  await page.mouse.up();
}

describe.runIf(typeof browser !== 'string')('the page', () => {
  test('answers with the probabilities that Node.js gives, for every sample, and says which checkpoint it is', async () => {
    const page = await openPage(await serve(trained));
    const { step, metrics } = JSON.parse(readFileSync(path.join(trained, 'best', 'manifest.json'), 'utf8'));
    expect(await status(page, 'ready')).toContain(`step ${step}`);
    expect(await page.locator('#checkpoint').innerText()).toContain(metrics.val_accuracy.toFixed(4));

    const { model } = (await loadModel(path.join(trained, 'best'))) ?? expect.fail('There is no model.');
    const samples: { pixels: number[] }[] = JSON.parse(readFileSync(path.join(trained, 'best', 'samples.json'), 'utf8'));
    const buttons = page.locator('#samples button');
    expect(samples).toHaveLength(10);
    expect(await buttons.count()).toBe(10);
    for (const [i, { pixels }] of samples.entries()) {
      const expected = tf.tidy(() => [...(model.predict(tf.tensor2d([pixels])) as tf.Tensor).dataSync()]);
      await buttons.nth(i).click();
      const shown = await probabilities(page);
      expect(Math.max(...shown.map((value, label) => Math.abs(value - (expected[label] ?? Number.NaN)))), `sample ${i}`).toBeLessThan(1e-5);
      expect(await page.locator('#answer strong').innerText()).toBe(String(expected.indexOf(Math.max(...expected))));
    }
  });

  test('reads what is drawn, and forgets it', async () => {
    const page = await openPage(await serve(trained));
    await status(page, 'ready');
    await draw(page, [
      [0.3, 0.25],
      [0.7, 0.25],
      [0.45, 0.8],
    ]);
    expect((await probabilities(page)).reduce((sum, value) => sum + value)).toBeCloseTo(1, 4);
    expect(await page.locator('#bars li.top').count()).toBe(1);
    await page.locator('#clear').click();
    expect(await page.locator('#answer').innerText()).toContain('nothing drawn yet');
  });

  test('waits for the first checkpoint of a training run, and shows it by itself', async () => {
    const directory = freshDirectory();
    const page = await openPage(await serve(directory, SMALL));
    expect(await status(page, 'ready')).toContain('The best model so far is that of step');
  });

  test('never mixes two checkpoints, where the link moves while it loads', async () => {
    const directory = path.join(freshDirectory(), 'copy');
    cpSync(trained, directory, { recursive: true, verbatimSymlinks: true });
    const best = path.join(directory, 'best');
    const other = readdirSync(directory).find((name) => name.startsWith('checkpoint_') && name !== readlinkSync(best)) ?? expect.fail();
    const { step } = JSON.parse(readFileSync(path.join(directory, other, 'manifest.json'), 'utf8'));
    const url = await serve(directory);
    const page = await openPage('about:blank', url);
    let asked = 0;
    await page.route('**/model.safetensors', async (route) => {
      if (asked++ === 0) {
        rmSync(best);
        symlinkSync(other, best);
      }
      await route.continue();
    });
    await page.goto(url);
    expect(await status(page, 'ready')).toContain(`step ${step}.`);
    expect(asked).toBe(2);
  });

  test('says what is wrong: no checkpoint, a damaged model, a missing file, no manifest', async () => {
    const directory = path.join(freshDirectory(), 'copy');
    cpSync(trained, directory, { recursive: true, verbatimSymlinks: true });
    const best = realpathSync(path.join(directory, 'best'));
    const url = await serve(directory);
    rmSync(path.join(directory, 'best'));
    const page = await openPage(url);
    expect(await status(page, 'waiting')).toContain('There is no checkpoints/best yet');

    const expectFailure = async (message: string) => {
      await page.reload();
      expect(await status(page, 'failed')).toContain(message);
      expect(await status(page, 'failed')).toContain('No model is loaded.');
    };
    symlinkSync(path.basename(best), path.join(directory, 'best'));
    const file = path.join(best, 'model.safetensors');
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1));
    await expectFailure('model.safetensors is damaged: its checksum is');
    appendFileSync(file, 'x');
    await expectFailure(`has ${bytes.length + 1} bytes instead of ${bytes.length}`);
    rmSync(file);
    await expectFailure('model.safetensors could not be read: the server answers 404.');
    writeFileSync(path.join(best, 'manifest.json'), '{}');
    await expectFailure('is no manifest of a checkpoint');
    writeFileSync(path.join(best, 'manifest.json'), '{');
    await expectFailure('is not JSON');
  });
});

/** A request whose path is sent as it stands here. */
async function ask(url: string, name: string, method = 'GET'): Promise<IncomingMessage> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const sent = (method === 'GET' ? get : request)({ hostname, port, path: name, method }, (response) => {
      response.resume();
      response.on('end', () => resolve(response));
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('the server', () => {
  test('gives files with their types, through the link, and nothing that lies elsewhere', async () => {
    const directory = path.join(freshDirectory(), 'run');
    cpSync(trained, directory, { recursive: true, verbatimSymlinks: true });
    writeFileSync(path.join(directory, '..', 'secret.txt'), 'secret');
    writeFileSync(path.join(directory, '.hidden.json'), '{}');
    symlinkSync('../secret.txt', path.join(directory, 'outside.txt'));
    symlinkSync('..', path.join(directory, 'above'));
    symlinkSync('circle', path.join(directory, 'circle'));
    const url = await serve(directory);

    const types = { '/': 'text/html', '/page.js': 'text/javascript', '/style.css': 'text/css', '/tf.min.js': 'text/javascript' };
    for (const [name, type] of Object.entries(types)) {
      const { statusCode, headers } = await ask(url, name);
      expect([name, statusCode, headers['content-type']]).toEqual([name, 200, expect.stringContaining(type)]);
    }
    const weights = await ask(url, '/checkpoints/best/model.safetensors', 'HEAD');
    expect(weights).toMatchObject({
      statusCode: 200,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(readFileSync(path.join(directory, 'best', 'model.safetensors')).length),
        'cache-control': 'no-cache',
      },
    });

    for (const name of [
      '/checkpoints/../secret.txt',
      '/checkpoints/%2e%2e/secret.txt',
      '/checkpoints/..%2fsecret.txt',
      '/checkpoints/%2e%2e%5csecret.txt',
      '/checkpoints/best/../../secret.txt',
      '/checkpoints/outside.txt',
      '/checkpoints/above/secret.txt',
      '/checkpoints/circle',
      '/checkpoints//etc/hostname',
      '/checkpoints/.hidden.json',
      '/checkpoints/best%00/model.json',
      '/checkpoints/',
      '/checkpoints/best',
      '/tf.min.js.map',
      '/serve.mjs',
      '/../serve.mjs',
      '/none',
      `/${'a'.repeat(2000)}`,
    ]) {
      expect([name, (await ask(url, name)).statusCode]).toEqual([name, 404]);
    }
    expect((await ask(url, '/%zz')).statusCode).toBe(400);
    expect(await ask(url, '/', 'POST')).toMatchObject({ statusCode: 405, headers: { allow: 'GET, HEAD' } });
  });
});

describe('the command line', () => {
  test('--help shows how to use it', async () => {
    const { code, stdout, stderr } = await runExample(PROGRAM, ['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const part of ['--dir', '--port', '--host', '--epochs', '--samples', '--no-serve', 'Examples:']) expect(stdout).toContain(part);
  });

  test.each([
    [['--port', '70000'], '--port must be a whole number from 0 to 65535'],
    [['extra'], "'extra'"],
    [['--host', '192.0.2.1'], 'Cannot listen at 192.0.2.1:8080'],
    [['--dir', 'file', '--port', '0'], 'file is not a directory'],
  ])('%j is refused with a clear message', async (args, message) => {
    const cwd = freshDirectory();
    writeFileSync(path.join(cwd, 'file'), '');
    const { code, stderr } = await runExample(PROGRAM, args, cwd);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  test('a port that is taken is said', async () => {
    const { port } = new URL(await serve(trained));
    const { code, stderr } = await runExample(PROGRAM, ['--dir', trained, '--port', port]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(`Cannot listen at 127.0.0.1:${port}`)]);
  });
});
