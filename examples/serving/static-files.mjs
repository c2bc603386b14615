/** An HTTP server of static files: each prefix of the address is a directory. Links are followed as long as they stay inside of it. */
import { open, realpath } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

const TYPES = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** A request that gets this answer instead of a file. */
class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * @param {Record<string, string>} directories directory or file by the prefix of the address that it is served under, such as `/checkpoints/`;
 *   the longest prefix counts
 */
export function serveStatic(directories) {
  const prefixes = Object.keys(directories).sort((a, b) => b.length - a.length);
  return createServer(async (request, response) => {
    try {
      if (request.method !== 'GET' && request.method !== 'HEAD') throw new Refused(405, 'Only GET and HEAD.');
      const name = pathOf(request.url ?? '/');
      const prefix = prefixes.find((each) => name.startsWith(each));
      if (prefix === undefined) throw new Refused(404, 'Not found.');
      await sendFile(await locate(directories[prefix], name.slice(prefix.length)), request.method, response);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else refuse(response, error);
    }
  });
}

/** The path of an address, decoded. Dots and backslashes that could lead elsewhere, NUL and hidden names are refused, whatever they are encoded as. */
function pathOf(url) {
  let name;
  try {
    name = decodeURIComponent(url.replace(/[?#].*$/s, ''));
  } catch {
    throw new Refused(400, 'The address is not well encoded.');
  }
  const hidden = name.split('/').some((part) => part.startsWith('.'));
  if (!name.startsWith('/') || hidden || /[\\\0]/.test(name)) throw new Refused(404, 'Not found.');
  return name.endsWith('/') ? `${name}index.html` : name;
}

/** The real path of a file inside `root`. `best` and `latest` are links to checkpoints beside them; a link to anything outside is refused. */
async function locate(root, name) {
  const realRoot = await realpath(root);
  const file = name === '' ? realRoot : await realpath(path.join(realRoot, name));
  if (file !== realRoot && !file.startsWith(realRoot + path.sep)) throw new Refused(404, 'Not found.');
  return file;
}

async function sendFile(file, method, response) {
  const handle = await open(file);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new Refused(404, 'Not found.');
    response.writeHead(200, {
      'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream',
      'content-length': stat.size,
      // A link moves to the next checkpoint: what is behind an address today may be something else tomorrow.
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      // Nothing from elsewhere. TensorFlow.js makes functions of texts when it is loaded.
      'content-security-policy': "default-src 'self'; script-src 'self' 'unsafe-eval'",
    });
    if (method === 'HEAD' || stat.size === 0) response.end();
    else await pipeline(handle.createReadStream({ autoClose: false, start: 0, end: stat.size - 1 }), response);
  } finally {
    await handle.close();
  }
}

const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG']);

function refuse(response, error) {
  const status = error instanceof Refused ? error.status : MISSING.has(error.code) ? 404 : 500;
  const text = error instanceof Refused ? error.message : status === 404 ? 'Not found.' : 'The file could not be read.';
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...(status === 405 ? { allow: 'GET, HEAD' } : {}) });
  response.end(`${text}\n`);
}
