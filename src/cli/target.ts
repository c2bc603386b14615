/** What a path on the command line leads to. */
import { realpathSync, statSync } from 'node:fs';

/** The real path of a directory, so that `latest` is called by its name; files keep the name they were given. */
export function resolveLink(target: string): string {
  try {
    return statSync(target).isDirectory() ? realpathSync(target) : target;
  } catch {
    // Whoever opens it will say what is wrong with it.
    return target;
  }
}
