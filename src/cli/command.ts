/** What a subcommand is given. */
import type { Command } from 'commander';
import { wrap } from '../terminal/text.js';

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

/** Adds a subcommand that has subcommands of its own, and returns these. */
export type RegisterCommands = (program: Command, context: CommandContext) => Command[];

/** The end of a help text: command lines and what they are for, and what is good to know. */
export function helpEnd(examples: readonly (readonly [command: string, purpose: string])[], notes: readonly string[]): string {
  const lines = examples.map(([command, purpose]) => `  # ${purpose}\n  $ ${command}`);
  const columns = Math.min(process.stdout.columns || 80, 100);
  const paragraphs = notes.map((note) => wrap(note, columns).join('\n'));
  return `\nExamples:\n${lines.join('\n')}\n\n${paragraphs.join('\n\n')}`;
}
