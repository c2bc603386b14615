/** Whether the files of a checkpoint hold what was saved: reads them by docs/FORMAT.md, and with nothing of the library. */
import { type Attempt, bytesOf } from './attempt.js';

/** The number of the save whose checkpoint this is; `undefined` where it cannot be told. */
export function attemptIn(files: ReadonlyMap<string, Uint8Array>): number | undefined {
  const state = parse(files.get('state.json'));
  const id = (state?.['user'] as { attempt?: unknown } | undefined)?.attempt;
  return typeof id === 'number' ? id : undefined;
}

/** What differs from what was saved; `undefined` if nothing does. */
export function differenceIn(files: ReadonlyMap<string, Uint8Array>, attempt: Attempt): string | undefined {
  const manifest = parse(files.get('manifest.json'));
  if (manifest === undefined) return 'the manifest is missing or no JSON';
  const { step, epoch, contents, sequence } = manifest;
  if (step !== attempt.step || epoch !== attempt.epoch || contents !== attempt.contents) return 'step, epoch or contents differ';
  if (!Number.isSafeInteger(sequence)) return 'there is no sequence';
  const listed = manifest['files'] as { readonly name: string; readonly bytes: number; readonly role: string }[];
  if (listed.length !== files.size - 1) return `the manifest lists ${listed.length} files of ${files.size - 1}`;
  const found = new Map<string, Uint8Array>();
  for (const { name, bytes, role } of listed) {
    const data = files.get(name);
    if (data?.length !== bytes) return `${name} has ${data?.length} bytes and not ${bytes}`;
    if (role === 'model' || role === 'optimizer') for (const [tensor, part] of tensorsIn(data)) found.set(`${role} ${tensor}`, part);
  }
  if (found.size !== attempt.tensors.length) return `there are ${found.size} tensors and not ${attempt.tensors.length}`;
  for (const [index, { role, name }] of attempt.tensors.entries()) {
    const part = found.get(`${role} ${name}`);
    if (part === undefined || Buffer.compare(part, bytesOf(attempt, index)) !== 0) return `the bytes of ${role} ${name} differ`;
  }
  return undefined;
}

/** What the manifest says of its sequence. */
export function sequenceIn(files: ReadonlyMap<string, Uint8Array>): number {
  return parse(files.get('manifest.json'))?.['sequence'] as number;
}

function* tensorsIn(data: Uint8Array): Generator<[string, Uint8Array]> {
  const length = Number(Buffer.from(data.buffer, data.byteOffset, data.length).readBigUInt64LE(0));
  const header = parse(data.subarray(8, 8 + length)) ?? {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [begin, end] = (entry as { data_offsets: [number, number] }).data_offsets;
    yield [name, data.subarray(8 + length + begin, 8 + length + end)];
  }
}

function parse(bytes: Uint8Array | undefined): Record<string, unknown> | undefined {
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
