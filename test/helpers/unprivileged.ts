/** Commands run by somebody who may not do everything: root may, whatever the modes say. */
import { spawnSync } from 'node:child_process';

/** What to put before a command. */
export const AS_NOBODY = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];

/** Whether node can be run like that; says so once if not. */
export const CAN_BE_NOBODY = probe();

function probe(): boolean {
  const [program = '', ...rest] = [...AS_NOBODY, process.execPath, '--version'];
  const possible = process.platform !== 'win32' && spawnSync(program, rest).status === 0;
  if (!possible)
    console.warn('Tests of what may not be read are left out: this user may read everything, and setpriv cannot change that here.');
  return possible;
}
