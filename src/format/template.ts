/** Names of checkpoints from templates such as `checkpoint_epoch{epoch:04d}_loss{val_loss:.4f}`, in Python's format language. */
import { HoldfastError } from '../errors.js';
import { isWellFormed, RESERVED_NAMES } from './names.js';
import { formatNumber, type NumberKind, type NumberSpec, parseNumberSpec } from './number-format.js';

/** What a save has to put into its name. */
export interface NameValues {
  readonly step: number;
  readonly epoch?: number | undefined;
  /** Of an integration that counts batches; else a metric may have that name. */
  readonly batch?: number | undefined;
  readonly metrics: Readonly<Record<string, number>>;
}

/** A template that was checked. */
export interface NameTemplate {
  /** As it was given. */
  readonly text: string;
  /** The values that it names, in the order of their first mention: `step`, `epoch`, metrics. */
  readonly fields: readonly string[];
  /** Whether it names none, so that every save has the same name. */
  readonly isFixed: boolean;
  /**
   * The name of one save. Throws `ERR_INVALID_TEMPLATE` where the save does not have a value that the template names, `ERR_INVALID_NAME`
   * where the outcome cannot be the name of a checkpoint, and `ERR_INVALID_ARGUMENT` for a step or an epoch that is no integer.
   */
  format(values: NameValues): string;
}

/** A value to be written, or text (a string). */
type Part = string | Field;

interface Field {
  readonly name: string;
  readonly spec: NumberSpec;
}

/** Longest name in bytes of UTF-8: file systems take 255, and a suffix such as `.r12345` must find room. */
const MAX_NAME_BYTES = 224;
const TENSOR_FILE_END = '.safetensors';
const INTEGERS: ReadonlySet<string> = new Set(['step', 'epoch', 'batch']);

/**
 * Reads a template. A field is `{name}` or `{name:specification}`; `step`, `epoch` and `batch` are integers, everything else is a metric and a float.
 * The specification is that of Python's `format` for numbers, with a width of at most 200 and a precision of at most 100. `{{` and `}}` are
 * braces. Throws `ERR_INVALID_TEMPLATE` for one that is malformed, and `ERR_INVALID_NAME` where no name of it could ever be right.
 */
export function parseNameTemplate(template: string): NameTemplate {
  if (typeof template !== 'string') {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `A name template must be a string, not ${template === null ? 'null' : typeof template}.`,
    );
  }
  const parts = partsOf(template);
  const fields = [...new Set(parts.filter((part) => typeof part !== 'string').map(({ name }) => name))];
  assertPossible(template, parts);
  return Object.freeze({
    text: template,
    fields: Object.freeze(fields),
    isFixed: fields.length === 0,
    format: (values: NameValues) => {
      const name = parts.map((part) => (typeof part === 'string' ? part : written(template, part, values))).join('');
      const problem = nameProblem(name);
      if (problem !== undefined) throw invalidName(template, `gives the name ${JSON.stringify(name)}, which ${problem}`);
      return name;
    },
  });
}

function malformed(template: string, what: string): HoldfastError {
  return new HoldfastError('ERR_INVALID_TEMPLATE', `The name template ${JSON.stringify(template)} ${what}.`);
}

function invalidName(template: string, what: string): HoldfastError {
  return new HoldfastError(
    'ERR_INVALID_NAME',
    `The name template ${JSON.stringify(template)} ${what}. Change the template so that every name of it can be a directory beside the other checkpoints.`,
  );
}

/** Text and fields in their order; neighbouring text is one part. */
function partsOf(template: string): Part[] {
  const parts: Part[] = [];
  let text = '';
  for (let at = 0; at < template.length; ) {
    const c = template[at] as string;
    if (c !== '{' && c !== '}') {
      text += c;
      at++;
    } else if (template[at + 1] === c) {
      text += c;
      at += 2;
    } else if (c === '}') {
      throw malformed(template, 'has a "}" without a "{" before it. Write "}}" for a brace in the name');
    } else {
      const end = template.indexOf('}', at);
      const content = template.slice(at + 1, end < 0 ? undefined : end);
      if (content.includes('{'))
        throw malformed(template, `has a "{" inside the field ${JSON.stringify(`{${content}`)}. Fields cannot be nested`);
      if (end < 0) throw malformed(template, 'has a "{" without a "}" after it. Write "{{" for a brace in the name');
      if (text !== '') parts.push(text);
      text = '';
      parts.push(fieldOf(template, content));
      at = end + 1;
    }
  }
  if (text !== '') parts.push(text);
  return parts;
}

function fieldOf(template: string, content: string): Field {
  const [, name = '', mark, spec = ''] = /^([^:!]*)([:!])?(.*)$/su.exec(content) as RegExpExecArray;
  const field = JSON.stringify(`{${content}}`);
  if (/^[0-9]*$/.test(name)) {
    throw malformed(
      template,
      `has the field ${field}, which does not name a value. Name the step, the epoch or a metric, such as {step} or {val_loss}`,
    );
  }
  if (mark === '!') throw malformed(template, `has a conversion ("!") in the field ${field}. Leave it out: all values are numbers`);
  const kind: NumberKind = INTEGERS.has(name) ? 'int' : 'float';
  const refuse = (why: string): never => {
    throw malformed(template, `has the field ${field}, in which ${why}`);
  };
  return { name, spec: parseNumberSpec(spec, kind, refuse) };
}

function written(template: string, { name, spec }: Field, { step, epoch, batch, metrics }: NameValues): string {
  const own = name === 'step' ? step : name === 'epoch' ? epoch : name === 'batch' ? batch : undefined;
  const value = own ?? (name !== 'step' && name !== 'epoch' && Object.hasOwn(metrics, name) ? metrics[name] : undefined);
  if (value === undefined) {
    const others = Object.keys(metrics).filter((metric) => !INTEGERS.has(metric));
    const known = ['step', ...(epoch === undefined ? [] : ['epoch']), ...others].map((each) => JSON.stringify(each));
    throw malformed(template, `names ${JSON.stringify(name)}, which this save does not have; it has ${known.join(', ')}`);
  }
  if (spec.kind === 'int' && !Number.isSafeInteger(value)) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `The ${name} of a save must be an integer, but it is ${String(value)}.`);
  }
  const text = formatNumber(value, spec);
  if (text === undefined) throw invalidName(template, `asks for the character of the number ${value} (${name}), which there is not`);
  return text;
}

/** Throws for what no values can make right, so that it shows at the start of a training and not at its first save. */
function assertPossible(template: string, parts: readonly Part[]): void {
  const texts = parts.filter((part) => typeof part === 'string');
  const whole = texts.length === parts.length;
  const problem = whole ? nameProblem(texts.join('')) : problemOfParts(parts, texts);
  if (problem !== undefined) throw invalidName(template, whole ? `gives a name that ${problem}` : problem);
}

function problemOfParts(parts: readonly Part[], texts: readonly string[]): string | undefined {
  for (const part of parts) {
    const problem = characterProblem(typeof part === 'string' ? part : part.spec.fill);
    if (problem !== undefined) return problem;
  }
  const [first, last] = [parts[0], parts.at(-1)];
  if (typeof first === 'string' && first.startsWith('.')) return 'begins with a dot';
  if (typeof last === 'string' && last.endsWith(TENSOR_FILE_END)) return `ends with ${TENSOR_FILE_END}`;
  return lengthProblem(texts.join(''));
}

/** Why `name` cannot be a checkpoint's; it goes on from "a name that". */
function nameProblem(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (name.startsWith('.')) return 'begins with a dot';
  if (RESERVED_NAMES.has(name)) return 'is kept for other things';
  if (name.endsWith(TENSOR_FILE_END)) return `ends with ${TENSOR_FILE_END}`;
  return characterProblem(name) ?? lengthProblem(name);
}

function characterProblem(text: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
  const [found] = /[/\\\u0000-\u001f\u007f-\u009f]/.exec(text) ?? [];
  if (found === '/' || found === '\\') return `holds ${JSON.stringify(found)}`;
  if (found !== undefined) return `holds the control character ${found.charCodeAt(0)}`;
  return isWellFormed(text) ? undefined : 'holds half a surrogate pair, which UTF-8 cannot carry';
}

function lengthProblem(text: string): string | undefined {
  const bytes = Buffer.byteLength(text);
  return bytes > MAX_NAME_BYTES ? `has ${bytes} bytes, more than ${MAX_NAME_BYTES}` : undefined;
}
