/** The page cache: what was written a moment ago must come from the disk when it is read. */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

/**
 * Takes every file below `directory` out of the page cache, as far as it is on the disk already: coreutils' dd asks the kernel to, which Node.js
 * cannot. False where there is no such dd; nothing is dropped then.
 */
export async function dropCache(directory: string): Promise<boolean> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  try {
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const file = path.join(entry.parentPath ?? entry.path, entry.name);
      // With count=0 and nocache the whole file is meant (info dd).
      await promisify(execFile)('dd', [`if=${file}`, 'of=/dev/null', 'iflag=nocache', 'count=0']);
    }
    return true;
  } catch {
    return false;
  }
}
