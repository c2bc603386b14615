/** What `fit` tells its callbacks, as numbers. */
import type { Tensor } from '@tensorflow/tfjs';

/** Losses and metrics by name. Those of a batch, and to an instance of `tf.Callback` all of them, are tensors until somebody reads them. */
export type Logs = Record<string, number | Tensor>;

/** Losses and metrics as numbers. */
export type Metrics = Readonly<Record<string, number>>;

/** What stands in the logs of a batch beside its losses and metrics. */
const NO_METRICS: ReadonlySet<string> = new Set(['batch', 'size']);

/** The numbers of `logs`. Tensors stay as they are: tfjs disposes them. */
export async function readLogs(logs: Logs = {}): Promise<Metrics> {
  const entries = Object.entries(logs).filter(([name]) => !NO_METRICS.has(name));
  return Object.fromEntries(await Promise.all(entries.map(async ([name, value]) => [name, await toNumber(value)] as const)));
}

/** The value of `name`, or undefined. tfjs says `acc` where Keras says `accuracy`: each stands for the other, where only that is there. */
export function metricNamed(metrics: Metrics, name: string): number | undefined {
  for (const each of [name, otherName(name)]) if (each !== undefined && Object.hasOwn(metrics, each)) return metrics[each];
  return undefined;
}

/** `metrics`, and in them those of `names` that have another name there. */
export function withNames(metrics: Metrics, names: Iterable<string>): Metrics {
  const added: Record<string, number> = {};
  for (const name of names) {
    const value = metricNamed(metrics, name);
    if (value !== undefined) added[name] = value;
  }
  return { ...metrics, ...added };
}

function otherName(name: string): string | undefined {
  if (/(^|_)accuracy$/.test(name)) return name.replace(/accuracy$/, 'acc');
  return /(^|_)acc$/.test(name) ? name.replace(/acc$/, 'accuracy') : undefined;
}

async function toNumber(value: number | Tensor): Promise<number> {
  return typeof value === 'number' ? value : ((await value.data())[0] as number);
}
