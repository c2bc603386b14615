/** What a subcommand is given. */
import type { Command } from 'commander';

export interface CommandContext {
  /** Fires on Ctrl-C. */
  readonly signal: AbortSignal;
  /** What the process will exit with. */
  exitCode: number;
}

/** Options that every subcommand has. */
export interface CommonOptions {
  readonly json?: true;
}

/** Adds a subcommand to the program and returns it. */
export type RegisterCommand = (program: Command, context: CommandContext) => Command;

/** The end of a help text: command lines and what they are for, and what is good to know. */
export function helpEnd(examples: readonly (readonly [command: string, purpose: string])[], notes: string): string {
  const width = Math.max(...examples.map(([command]) => command.length));
  const lines = examples.map(([command, purpose]) => `  $ ${command.padEnd(width)}  ${purpose}`);
  return `\nExamples:\n${lines.join('\n')}\n\n${notes}`;
}
