/** Who takes part in a scenario: this library, the limit, and the peers that are here. */
import path from 'node:path';
import type { EngineName } from '../index.js';
import { LIMIT_NAME } from './comparison.js';
import type { Contender } from './contender.js';
import { type Calibration, calibrate } from './fio/calibrate.js';
import { Fio } from './fio/contender.js';
import { Hosted, type HostedOptions } from './host/hosted.js';
import { findTfjsNode, tfjsBytes } from './host/tfjs-node.js';
import { PYTHON_PEERS, PythonPeer } from './peers/contender.js';
import type { Python } from './peers/python.js';
import { bytesOf, equalTensors, type TensorShape } from './workload.js';

/** The peers that can be asked for. */
export const PEERS = ['fs', 'tfjs-node', ...PYTHON_PEERS] as const;

export type PeerName = (typeof PEERS)[number];

export type Action = 'save' | 'load' | 'verify';

export interface FieldOptions {
  readonly action: Action;
  readonly tensors: readonly TensorShape[];
  readonly engine: EngineName | 'auto';
  /** An existing directory; each gets one in it. */
  readonly directory: string;
  readonly peers: readonly PeerName[];
  readonly python: Python;
  /** Calls in one run of ours and of the bare limit. */
  readonly repeats: number;
  readonly onWarning: (text: string) => void;
}

/** A single ArrayBuffer holds the whole model in `model.save`, and 2 GiB are too much for it. */
const TFJS_MOST_BYTES = 2 ** 30;

/** Ours, in the order of the rows. */
export function ours(options: FieldOptions): Contender[] {
  const { action, onWarning } = options;
  const make = (name: string, job: HostedOptions['job'], memoryFactor: number, diskFactor: number, note?: string) =>
    new Hosted({ name, kind: 'ours', job, settings: jobSettings(options, 'holdfast'), memoryFactor, diskFactor, note, onWarning });
  if (action === 'save') return [make('holdfast', 'holdfast-save', 1, 2)];
  if (action === 'verify') return [make('holdfast', 'holdfast-verify', 1, 1, 'every byte is read and its checksum compared')];
  return [
    make('holdfast', 'holdfast-load', 1, 1, 'into the memory of the restore before it; every checksum is compared'),
    make('holdfast-fresh', 'holdfast-load-fresh', 1, 0, 'into new memory; every checksum is compared'),
  ];
}

/** The least that makes one file durable, where fio's milliseconds are too coarse. */
export function bareLimit(options: FieldOptions): Contender {
  const settings = jobSettings(options, 'bare');
  return new Hosted({ name: 'bare', kind: 'limit', job: 'bare-save', settings, memoryFactor: 2, diskFactor: 1 });
}

/** fio by the ways that calibration has found: the fastest one is the limit, one of the other engine stands beside it. */
export async function fioLimit(
  { action, tensors, directory }: FieldOptions,
  signal?: AbortSignal,
): Promise<{ contenders: Contender[]; leftOut: Calibration['leftOut'] }> {
  const bytes = bytesOf(tensors);
  const direction = action === 'save' ? 'write' : 'read';
  const { ways, leftOut } = await calibrate(directory, bytes, direction, signal);
  const contenders = ways.map((way, i) => {
    const name = i === 0 ? LIMIT_NAME : `${LIMIT_NAME}-${way.engine}`;
    return new Fio({ name, kind: i === 0 ? 'limit' : 'peer', way, direction, bytes, directory: path.join(directory, name) });
  });
  return { contenders, leftOut };
}

/** The peers that were asked for and that know this action, whether they are installed or not. */
export function peers(options: FieldOptions): Contender[] {
  const { action, tensors, directory, python, onWarning } = options;
  if (action === 'verify') return [];
  return options.peers.flatMap((name): Contender[] => {
    if (name === 'fs') return [filePeer(options)];
    if (name === 'tfjs-node') return action === 'save' ? [tfjsPeer(options)] : [];
    // What it saves is what torch-dcp loads.
    if (name === 'torch-dcp-async' && action === 'load') return [];
    return [new PythonPeer({ name, python, action, tensors, directory: path.join(directory, name), onWarning })];
  });
}

function filePeer(options: FieldOptions): Contender {
  const settings = jobSettings(options, 'fs');
  if (options.action === 'load') {
    return new Hosted({ name: 'fs.read', kind: 'peer', job: 'fs-load', settings, memoryFactor: 1, diskFactor: 1 });
  }
  const note = 'one file, tensor by tensor, then fsync; no checksums';
  return new Hosted({ name: 'fs.writeFile', kind: 'peer', job: 'fs-save', settings, memoryFactor: 1, diskFactor: 1, note });
}

function tfjsPeer(options: FieldOptions): Contender {
  const bytes = bytesOf(options.tensors);
  const capped = Math.min(bytes, TFJS_MOST_BYTES);
  const settings = { ...jobSettings(options, 'tfjs-node'), tensors: equalTensors(capped, 1) };
  return new Hosted({
    name: 'tfjs-node',
    kind: 'peer',
    job: 'tfjs-save',
    settings,
    // The tensors, one copy joined, and one on its way to the file.
    memoryFactor: 4,
    diskFactor: 1,
    bytes: tfjsBytes(capped),
    note: `model.save and then fsync, a model of 64 layers${capped < bytes ? ' with 1 GiB, as it cannot exceed 2 GiB: compare per byte' : ''}`,
    unavailable: async () =>
      findTfjsNode() === undefined ? 'it is not installed where this was started: npm install @tensorflow/tfjs-node' : undefined,
  });
}

function jobSettings({ tensors, engine, directory, repeats }: FieldOptions, name: string) {
  return { tensors, engine, directory: path.join(directory, name), repeats };
}
