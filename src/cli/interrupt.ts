/** Ctrl-C: the work under way is told to stop; whoever presses twice is not kept waiting. */

const NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;
/** npx and the like pass on a signal that the terminal has sent to everybody already: what comes this soon is no second press. */
const SAME_PRESS_MS = 1000;

export interface Interrupt {
  readonly signal: AbortSignal;
  /** 128 + the signal's number once one came. */
  exitCode(): number | undefined;
  release(): void;
}

/** Listens for SIGINT and SIGTERM. */
export function listenForInterrupt(): Interrupt {
  const controller = new AbortController();
  let code: number | undefined;
  let pressed = 0;
  const listener = (name: NodeJS.Signals) => {
    if (code !== undefined && performance.now() - pressed < SAME_PRESS_MS) return;
    if (code !== undefined) process.exit(code);
    pressed = performance.now();
    code = 128 + NUMBERS[name as keyof typeof NUMBERS];
    controller.abort(name);
  };
  const names = Object.keys(NUMBERS) as (keyof typeof NUMBERS)[];
  for (const name of names) process.on(name, listener);
  return {
    signal: controller.signal,
    exitCode: () => code,
    release: () => {
      if (code === undefined) {
        for (const name of names) process.off(name, listener);
        return;
      }
      // What npx passes on a moment later must not end the process while its output is on the way. Nor while it ends: Node.js takes the
      // listeners away before it ends by itself, and leaves them with process.exit(). By then the output is through.
      process.once('beforeExit', () => process.exit(code));
    },
  };
}
