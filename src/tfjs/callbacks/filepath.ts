/** What Keras calls `filepath`: a directory, and in it the name of every checkpoint. */
import path from 'node:path';
import { HoldfastError } from '../../errors.js';
import { type NameTemplate, parseNameTemplate } from '../../format/template.js';
import { assertPath } from '../../manager/options.js';

export interface Filepath {
  readonly directory: string;
  readonly template: NameTemplate;
  /** The names of the checkpoints that it can give. */
  readonly owns: RegExp;
}

/** Keras's file formats. A checkpoint is a directory, and is called what is before them. */
const ENDINGS = ['.weights.h5', '.keras', '.h5', '.hdf5'] as const;

/** Links that every directory of checkpoints has itself. */
const LINKS: readonly string[] = ['best', 'latest'];

/** Endings that were spoken of. */
const said = new Set<string>();

/**
 * Takes a `filepath` apart; one that is relative is meant from `base`. Throws `ERR_INVALID_ARGUMENT`, `ERR_INVALID_TEMPLATE`, `ERR_INVALID_NAME`.
 */
export function parseFilepath(who: string, filepath: unknown, base: string | undefined, weightsOnly: boolean): Filepath {
  assertPath(`${who}: filepath`, filepath);
  const ending = ENDINGS.find((each) => filepath.endsWith(each));
  if (ending === '.weights.h5' && !weightsOnly) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `${who}: a filepath that ends with .weights.h5 is for weights alone, as in Keras: give saveWeightsOnly: true, or another ending. Received: ${filepath}`,
    );
  }
  const whole = base === undefined ? filepath : path.join(base, filepath);
  const stem = ending === undefined ? whole : whole.slice(0, -ending.length);
  const directory = path.dirname(stem);
  if (/[{}]/.test(directory.replaceAll(/\{\{|\}\}/g, ''))) {
    throw new HoldfastError(
      'ERR_INVALID_TEMPLATE',
      `${who}: only the last part of a filepath may have fields, since all checkpoints stand in one directory. Received: ${filepath}`,
    );
  }
  const given = stem.endsWith(path.sep) ? '' : path.basename(stem);
  // The directory has a link of that name itself, and it points at the best, or the latest, of all.
  const name = LINKS.includes(given) ? `${given}_model` : given;
  const template = parseNameTemplate(name);
  const result = { directory, template, owns: namesOf(name, template.isFixed) };
  if (ending !== undefined) sayOnce(who, ending, `${filepath} becomes ${path.join(directory, name)}`);
  else if (name !== given)
    sayOnce(who, given, `${filepath} becomes ${path.join(directory, name)}, since ${given} is what holdfast itself points at one`);
  return result;
}

function sayOnce(who: string, what: string, message: string): void {
  if (said.has(what)) return;
  said.add(what);
  process.emitWarning(
    `${who}: checkpoints are directories that hold the model and the optimizer, not files: ${message}. Said once.`,
    'HoldfastWarning',
  );
}

function namesOf(name: string, isFixed: boolean): RegExp {
  const pieces = name
    .replaceAll(/\{\{/g, '\u0001')
    .replaceAll(/\}\}/g, '\u0002')
    .split(/\{[^}]*\}/);
  const literal = pieces.map((piece) =>
    piece
      .replaceAll('\u0001', '{')
      .replaceAll('\u0002', '}')
      .replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'),
  );
  return new RegExp(isFixed ? `^${literal[0]}\\.[0-9]+$` : `^${literal.join('.*')}(\\.r[0-9]+)?$`, 's');
}
