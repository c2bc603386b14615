/** Machines that are broken on purpose: a simulation that does not find them out proves nothing. */
import type { Breakage } from './file-system.js';

export interface Control {
  /** What is wrong, as a sentence. */
  readonly what: string;
  readonly breakage: Breakage;
  /** Violations of which at least one must be found. */
  readonly finds: readonly string[];
}

export const CONTROLS: Readonly<Record<string, Control>> = {
  'no-dirsync': {
    what: 'The fsync of a directory does nothing.',
    breakage: { syncDirectory: () => {} },
    finds: ['LOST'],
  },
  'no-filesync': {
    what: 'The fsync of a file does nothing.',
    breakage: { syncFile: () => {} },
    finds: ['DAMAGED'],
  },
  'half-filesync': {
    what: 'The fsync of a file makes all but its last byte durable.',
    breakage: {
      syncFile: (file) => {
        file.durable = file.data.slice(0, -1);
      },
    },
    finds: ['DAMAGED'],
  },
  'silent-fsync': {
    what: 'An fsync that fails says that it has succeeded.',
    breakage: { swallows: ['fsync'] },
    finds: ['LOST', 'DAMAGED'],
  },
  'lock-for-all': {
    what: 'A link replaces what has its name, so that everybody gets the lock.',
    breakage: { linksReplace: true },
    finds: ['TWO_WRITERS'],
  },
};
