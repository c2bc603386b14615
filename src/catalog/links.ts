/** The `latest` and `best` symbolic links, for people and scripts. */
import path from 'node:path';
import { TEMPORARY_PREFIX } from '../format/names.js';
import { replaceSymlink } from '../storage/local.js';

/** Points `link` at the checkpoint `name`, beside it. */
export async function pointLink(directory: string, link: 'latest' | 'best', name: string): Promise<void> {
  await replaceSymlink(path.join(directory, link), name, TEMPORARY_PREFIX);
}
