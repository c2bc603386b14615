/** `holdfast diff`: what differs between two checkpoints or safetensors files. */
import type { EngineName } from '../../engine/contract.js';
import type {
  ChangedTensor,
  DiffReport,
  DiffSide,
  DiffTensor,
  LoneTensor,
  MetadataDiff,
  NamedDifference,
} from '../../manager/diff-report.js';
import { type CommonOptions, helpEnd, type RegisterCommand } from '../command.js';
import { EXIT_FINE, EXIT_PROBLEM } from '../exit.js';
import { DEFAULT_LIMIT, parseLimit } from '../limit.js';
import { jsonNumber, printJson } from '../output.js';
import { engineOption, showingProgress } from '../reading.js';
import { resolveLink } from '../target.js';

const NOTES = [
  'Tensors of equal dtype, shape and checksum are equal and are not read ("holdfast verify" does that). All others are read, each byte is checked against its checksum, and they are compared: the largest |a - b|, the norm of a - b over that of a, and how many elements differ. NaN equals NaN and 0 equals -0, so that bytes can differ although no element does. Names, run, sequence, time and software versions are shown, but are no differences.',
  'Of a bare .safetensors file there are only tensors to compare. They are held against those of the model, or those of the optimizer if the file is named optimizer*.safetensors.',
  'JSON: {same, a: {path, name, kind: "checkpoint" or "file", runId, sequence, createdAt}, b: as a, tensors: {equal, added: [{name, role: "model" or "optimizer", dtype, shape, bytes, crc32c}], removed: as added, changed: [{name, role, a: {dtype, shape, bytes, crc32c}, b: as a, values: {differing, maxAbs, relativeNorm, nanOnOneSide}}], notCompared}, metadata: {step: {a, b}, epoch: {a, b}, contents: {a, b}, monitor: {a, b}, metrics: [{name, a, b}], software: [{name, a, b}], state: {differences: [{path, a, b}], more}, attachments: [{name, a: {bytes, crc32c}, b: as a}]}}. Lists hold what differs; a side that does not have something has null. values is null where dtype or shape differ or with --no-values, its figures are null for F6 and F4; metadata is null unless both are checkpoints; a number that is not finite is "NaN", "Infinity" or "-Infinity".',
  'Exits with 0 if they are the same, with 1 if anything differs or is damaged.',
];

interface DiffCommandOptions extends CommonOptions {
  readonly engine: EngineName | 'auto';
  readonly values: boolean;
  readonly limit: number;
}

export const registerDiff: RegisterCommand = (program, context) =>
  program
    .command('diff')
    .summary('compare two checkpoints or .safetensors files')
    .description(
      'Compares two checkpoints or .safetensors files, in any combination: tensors and by how much they differ, metadata, state.',
    )
    .argument('<A>', 'a checkpoint directory, or a .safetensors file from anywhere')
    .argument('<B>', 'what to compare it with')
    .option('--no-values', 'say which tensors differ, but not by how much: checksums are enough for that')
    .option('--limit <N>', 'show at most N tensors in the table, or "all"', parseLimit, DEFAULT_LIMIT)
    .addOption(engineOption())
    .addHelpText(
      'after',
      helpEnd(
        [
          ['holdfast diff checkpoints/best checkpoints/latest', 'what training has changed since the best one'],
          ['holdfast diff checkpoints/latest downloaded.safetensors --no-values', 'is that file the model of this checkpoint?'],
          ["holdfast diff a.safetensors b.safetensors --json | jq '.tensors.changed[] | {name, values}'", 'for other programs'],
        ],
        NOTES,
      ),
    )
    .action(async (a: string, b: string, { json, limit, engine, values }: DiffCommandOptions) => {
      const { diffPaths } = await import('../../manager/diff.js');
      const { signal } = context;
      const report = await showingProgress((onProgress) =>
        diffPaths(resolveLink(a), resolveLink(b), { engine, values, signal, onProgress }),
      );
      if (json) printJson(toJson(report));
      else (await import('../diff-text.js')).printDiff(report, limit);
      context.exitCode = report.same ? EXIT_FINE : EXIT_PROBLEM;
    });

/** The fields spelled out: they are an interface to other programs. */
function toJson({ same, a, b, tensors, metadata }: DiffReport) {
  return {
    same,
    a: sideToJson(a),
    b: sideToJson(b),
    tensors: {
      equal: tensors.equal,
      added: tensors.added.map(loneToJson),
      removed: tensors.removed.map(loneToJson),
      changed: tensors.changed.map(changedToJson),
      notCompared: tensors.notCompared,
    },
    metadata: metadata && metadataToJson(metadata),
  };
}

function sideToJson({ path, name, kind, runId, sequence, createdAt }: DiffSide) {
  return { path, name, kind, runId, sequence, createdAt };
}

function tensorToJson({ dtype, shape, bytes, crc32c }: DiffTensor) {
  return { dtype, shape, bytes, crc32c };
}

function loneToJson({ name, role, ...tensor }: LoneTensor) {
  return { name, role, ...tensorToJson(tensor) };
}

function changedToJson({ name, role, a, b, values }: ChangedTensor) {
  return { name, role, a: tensorToJson(a), b: tensorToJson(b), values: values && valuesToJson(values) };
}

function valuesToJson({ differing, maxAbs, relativeNorm, nanOnOneSide }: NonNullable<ChangedTensor['values']>) {
  return { differing, maxAbs: numberToJson(maxAbs), relativeNorm: numberToJson(relativeNorm), nanOnOneSide };
}

function numberToJson(value: number | null): number | string | null {
  return value === null ? null : jsonNumber(value);
}

function metadataToJson({ step, epoch, contents, monitor, metrics, software, state, attachments }: MetadataDiff) {
  const monitorToJson = (side: MetadataDiff['monitor']['a']) => side && { metric: side.metric, mode: side.mode };
  return {
    step: { a: step.a, b: step.b },
    epoch: { a: epoch.a, b: epoch.b },
    contents: { a: contents.a, b: contents.b },
    monitor: { a: monitorToJson(monitor.a ?? null), b: monitorToJson(monitor.b ?? null) },
    metrics: namedToJson(metrics, jsonNumber),
    software: namedToJson(software, (version) => version),
    state: { differences: state.differences.map(({ path, a, b }) => ({ path, a, b })), more: state.more },
    attachments: namedToJson(attachments, ({ bytes, crc32c }) => ({ bytes, crc32c })),
  };
}

function namedToJson<T, J>(differences: readonly NamedDifference<T>[], convert: (value: T) => J) {
  return differences.map(({ name, a, b }) => ({ name, a: a === null ? null : convert(a), b: b === null ? null : convert(b) }));
}
