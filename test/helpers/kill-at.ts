/** Ends a process at any moment between two changes of a file system, exactly. */

/**
 * For NODE_OPTIONS: the process kills itself (SIGKILL) instead of making its `n`-th call that changes a file system, counted from the first one below
 * `directory`. There is no such moment if it ends by itself.
 */
export function killAt(n: number, directory: string): string {
  const script = `
    import fs from 'node:fs';
    let left = ${n};
    const isOurs = (given) => given.some((each) => typeof each === 'string' && each.startsWith(${JSON.stringify(directory)}));
    for (const name of ['rename', 'unlink', 'symlink', 'link', 'mkdir', 'rm', 'rmdir', 'open', 'write', 'writeFile', 'fsync', 'ftruncate']) {
      const call = fs[name];
      const counted = (...given) => {
        const changes = name === 'open' ? isOurs(given) && (given[1] & fs.constants.O_ACCMODE) !== 0 : isOurs(given) || typeof given[0] === 'number';
        if (changes && --left === 0) process.kill(process.pid, 'SIGKILL');
        return call(...given);
      };
      // What promisify wants to know of it stays.
      fs[name] = Object.defineProperties(counted, Object.getOwnPropertyDescriptors(call));
    }
  `;
  return `--import=data:text/javascript,${encodeURIComponent(script)}`;
}
