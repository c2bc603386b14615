/** The scenarios of rounds: `save`, `load`, `verify`, and the sweeps `small`, `size`, `many`. */
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { HoldfastError } from '../errors.js';
import type { EngineName } from '../index.js';
import { fileSystemWarnings } from '../storage/file-systems.js';
import { formatBytes } from '../terminal/format.js';
import { assertSomething, compareOnce, LEAST_DISK, LEAST_MEMORY, type Once, type OnceSettings } from './compare-once.js';
import { describeEnvironment } from './environment.js';
import type { PeerName } from './field.js';
import { MODELS, type Model, tensorsOfModel } from './models.js';
import type { Comparison, ComparisonReport, LeftOut, ReportHeader, SweepReport } from './report.js';
import { availableMemory, fittingBytes, freeDisk } from './room.js';
import { LOAD_RULES, SAVE_RULES, SIZE_RULES, SMALL_RULES } from './rules.js';
import { bytesOf, equalTensors, scaleTensors, type TensorShape } from './workload.js';
import { resolveDirectory, withWorkspace } from './workspace.js';

/** What all scenarios of rounds take. */
export interface RoundsSettings {
  /** Bytes of all tensors, the largest point of a sweep; `undefined`: what the scenario has for its own, as far as it fits. */
  readonly bytes: number | undefined;
  readonly runs: number;
  /** An existing directory; a new one in it is used, and removed. */
  readonly directory: string;
  readonly engine: EngineName | 'auto';
  readonly peers: readonly PeerName[];
  readonly python: string;
  /** Shapes of a well-known model; `undefined`: tensors of equal length. */
  readonly model: string | undefined;
}

export interface ScenarioOptions {
  readonly signal?: AbortSignal | undefined;
  /** The share that is done, 0 to 1, and what is going on. */
  readonly onProgress?: ((share: number, what: string) => void) | undefined;
}

const MIB = 2 ** 20;
const DEFAULT_BYTES = 2 ** 30;
const DEFAULT_TENSORS = 64;
const SMALL_POINTS = [2 ** 10, 2 ** 14, 2 ** 16, 2 ** 18, MIB, 4 * MIB, 16 * MIB];
const SIZE_POINTS = [MIB, 8 * MIB, 64 * MIB, 512 * MIB, 2 ** 32, 2 ** 33];
const MANY_POINTS = [1, 100, 1_000, 10_000, 100_000];
const MANY_BYTES = 100_000 * 1024;
/** fio counts milliseconds: with less it would count very few. */
const LEAST_FIO_BYTES = 16 * MIB;
/** Tensors of a small checkpoint. */
const SMALL_TENSORS = 4;

/** Compares with one size. Throws `ERR_INVALID_ARGUMENT`, `ERR_NOT_FOUND`, `ERR_PERMISSION`, `ERR_RESOURCES`, `ERR_NO_SPACE`, `ERR_ABORTED`. */
export async function benchRounds(
  scenario: ComparisonReport['scenario'],
  settings: RoundsSettings,
  { signal, onProgress }: ScenarioOptions = {},
): Promise<ComparisonReport> {
  const base = await resolveDirectory(settings.directory);
  const { tensors, warnings } = await chooseTensors(base, settings);
  const once = await withWorkspace(base, (directory) =>
    compareOnce(directory, { ...settings, action: scenario, tensors, limit: 'fio', repeats: 1 }, { signal, onProgress }),
  );
  assertSomething(once);
  const rules = scenario === 'save' ? SAVE_RULES : LOAD_RULES;
  return { ...header(scenario, base, settings, rules, [once], warnings), ...once.comparison, scenario };
}

/** Compares point by point. Throws as {@link benchRounds}. */
export async function benchSweep(
  scenario: SweepReport['scenario'],
  settings: RoundsSettings,
  { signal, onProgress }: ScenarioOptions = {},
): Promise<SweepReport> {
  const base = await resolveDirectory(settings.directory);
  const { points, warnings } = await choosePoints(scenario, base, settings);
  const results: Once[] = [];
  // A point costs about what its bytes cost, and something besides.
  const weights = points.map(({ tensors }) => bytesOf(tensors) + 16 * MIB);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let done = 0;
  await withWorkspace(base, async (directory) => {
    for (const [i, point] of points.entries()) {
      if (signal?.aborted) return;
      const weight = weights[i] as number;
      const before = done;
      const name = scenario === 'many' ? `${point.tensors.length} tensors` : formatBytes(bytesOf(point.tensors));
      const tell = (share: number, what: string) => onProgress?.((before + share * weight) / total, `${name}: ${what}`);
      results.push(await inOwnDirectory(path.join(directory, String(i)), { ...settings, ...point }, { signal, onProgress: tell }));
      done += weight;
    }
  });
  const measured: Comparison[] = results.map(({ comparison }) => comparison).filter(({ rows }) => rows.length > 0);
  if (measured.length === 0) throw new HoldfastError('ERR_ABORTED', 'The measurement was stopped before its first round was over.');
  const rules = scenario === 'small' ? SMALL_RULES : SIZE_RULES;
  const partial = signal?.aborted === true;
  return { ...header(scenario, base, settings, rules, results, warnings), partial, scenario, points: measured };
}

/** The files of a point go with it: the next one needs the room. */
async function inOwnDirectory(directory: string, settings: OnceSettings, options: ScenarioOptions): Promise<Once> {
  await mkdir(directory);
  try {
    return await compareOnce(directory, settings, options);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

type Point = Pick<OnceSettings, 'action' | 'tensors' | 'limit' | 'repeats'>;

/** What a sweep goes through, as far as there is room; what is left out is a warning. */
async function choosePoints(
  scenario: SweepReport['scenario'],
  base: string,
  { bytes: asked, model }: RoundsSettings,
): Promise<{ points: Point[]; warnings: string[] }> {
  if (model !== undefined) {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', `"${scenario}" goes through sizes of its own, so it takes no model: use "save".`);
  }
  if (scenario === 'many') {
    const bytes = asked ?? MANY_BYTES;
    const points = MANY_POINTS.filter((count) => count * 4 <= bytes).map((count): Point => {
      return { action: 'save', tensors: equalTensors(bytes, count), limit: limitFor(bytes), repeats: 1 };
    });
    const left = MANY_POINTS.length - points.length;
    return {
      points,
      warnings: left === 0 ? [] : [`${formatBytes(bytes)} are too few for the largest numbers of tensors: ${left} left out.`],
    };
  }
  const all = scenario === 'small' ? SMALL_POINTS : SIZE_POINTS;
  const most = asked ?? (all.at(-1) as number);
  const wanted = all.filter((bytes) => bytes <= most);
  if (wanted.length === 0) {
    throw new HoldfastError(
      'ERR_INVALID_ARGUMENT',
      `"${scenario}" begins with ${formatBytes(all[0] as number)}: --size is the largest of its sizes.`,
    );
  }
  const room = Math.min(availableMemory() / LEAST_MEMORY / 1.5, (await freeDisk(base)) / LEAST_DISK / 1.2);
  const fitting = wanted.filter((bytes) => bytes <= room);
  const left = wanted.filter((bytes) => bytes > room);
  const points = (fitting.length === 0 ? wanted.slice(0, 1) : fitting).map((bytes): Point => {
    if (scenario === 'small')
      return { action: 'save', tensors: equalTensors(bytes, SMALL_TENSORS), limit: 'bare', repeats: bytes <= MIB ? 10 : 3 };
    return { action: 'save', tensors: equalTensors(bytes, DEFAULT_TENSORS), limit: limitFor(bytes), repeats: 1 };
  });
  const warnings = left.length === 0 ? [] : [`No room here for ${left.map((bytes) => formatBytes(bytes)).join(', ')}: left out.`];
  return { points, warnings };
}

function limitFor(bytes: number): 'fio' | 'bare' {
  return bytes < LEAST_FIO_BYTES ? 'bare' : 'fio';
}

/** The tensors of a model or equal ones, of the size that was asked for, or that the scenario has for its own and that fits. */
export async function chooseTensors(
  base: string,
  { bytes: asked, model: name }: Pick<RoundsSettings, 'bytes' | 'model'>,
): Promise<{ tensors: readonly TensorShape[]; warnings: string[] }> {
  const model = name === undefined ? undefined : findModel(name);
  const whole = model === undefined ? undefined : tensorsOfModel(model);
  const wanted = asked ?? (whole === undefined ? DEFAULT_BYTES : bytesOf(whole));
  const bytes = asked ?? (await fittingBytes(base, wanted, LEAST_MEMORY, LEAST_DISK));
  const warnings =
    bytes < wanted ? [`${formatBytes(wanted)} do not fit here beside what runs already: measured with ${formatBytes(bytes)}.`] : [];
  if (whole === undefined) return { tensors: equalTensors(bytes, defaultCount(bytes)), warnings };
  return { tensors: bytes === bytesOf(whole) ? whole : scaleTensors(whole, bytes), warnings };
}

/** More than usual for what would not fit into files of less than 2 GiB, fewer for a handful of bytes. */
function defaultCount(bytes: number): number {
  return Math.min(Math.max(DEFAULT_TENSORS, Math.ceil(bytes / 2 ** 30)), Math.max(1, Math.floor(bytes / 4)), 1_000_000);
}

function findModel(name: string): Model {
  const model = MODELS.find((candidate) => candidate.name === name);
  if (model !== undefined) return model;
  throw new HoldfastError(
    'ERR_INVALID_ARGUMENT',
    `There is no model "${name}" here. There are ${MODELS.map((known) => known.name).join(', ')}.`,
  );
}

function header(
  scenario: string,
  base: string,
  settings: RoundsSettings,
  rules: readonly string[],
  results: readonly Once[],
  warnings: readonly string[],
): ReportHeader {
  const environment = describeEnvironment(base, Object.assign({}, ...results.map(({ versions }) => versions)));
  const leftOut = new Map<string, LeftOut>(results.flatMap((once) => once.leftOut).map((entry) => [`${entry.name}: ${entry.why}`, entry]));
  const found = results.flatMap((once) => once.warnings);
  return {
    scenario,
    environment,
    rules,
    leftOut: [...leftOut.values()],
    warnings: [...new Set([...diskWarnings(environment.fileSystem), ...warnings, ...found])],
    partial: results.some(({ interrupted }) => interrupted),
    settings: { ...settings, bytes: settings.bytes ?? null, model: settings.model ?? null },
  };
}

/** Why the figures of such a file system are not those of a disk. */
export function diskWarnings(fileSystem: string): string[] {
  return fileSystemWarnings(fileSystem).map((text) => `${text} The figures are not those of a disk.`);
}
