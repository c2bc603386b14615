/** Whether every layer of a model can be made again from what model.json says of it. */
import type { LayersModel } from '@tensorflow/tfjs';
import type { Warning } from './problem.js';
import { deserialize, reasonOf } from './trial.js';

type Layer = LayersModel['layers'][number];

/** A layer in model.json. */
interface Entry {
  readonly class_name?: unknown;
  readonly config?: unknown;
}

/** Tries every layer, in models inside of the model, too; to be called `withoutTrace`. */
export function tryLayers(model: LayersModel, topology: unknown): Warning[] {
  return model.layers.flatMap((layer, i) => {
    const entry = entriesOf(topology)[i];
    if (entry === undefined) return [];
    if (isModel(layer)) return tryLayers(layer, entry);
    // A model inside of a wrapper is built as it is made.
    return isModel((layer as { layer?: unknown }).layer) ? [] : tryLayer(model, layer, entry);
  });
}

function entriesOf(topology: unknown): readonly Entry[] {
  const { config } = topology as { config?: readonly Entry[] | { readonly layers?: readonly Entry[] } };
  return Array.isArray(config) ? config : ((config as { readonly layers?: readonly Entry[] } | undefined)?.layers ?? []);
}

function isModel(layer: unknown): layer is LayersModel {
  return (
    typeof layer === 'object' && layer !== null && Array.isArray((layer as { layers?: unknown }).layers) && 'loadTrainingConfig' in layer
  );
}

function tryLayer(model: LayersModel, layer: Layer, entry: Entry): Warning[] {
  const where = `The layer ${JSON.stringify(layer.name)} (${classOf(layer)})`;
  const lost = lossesInJson(layer.getConfig());
  const names = [layer.name];
  if (lost.length > 0) {
    const message = `${where} has a configuration that JSON cannot carry: ${lost.join(', ')}. loadModel would make another layer. Have its getConfig give plain numbers, strings, lists and objects.`;
    return [{ problem: 'config-not-json', message, names }];
  }
  let again: object;
  try {
    again = deserialize(model, entry);
  } catch (error) {
    return [refusal(where, names, error, entry)];
  }
  if (again.constructor !== layer.constructor) {
    const message = `${where} would be loaded as another class, ${classOf(again)}, which is registered under the same name. Give its class a static className of its own, and register it.`;
    return [{ problem: 'other-class', message, names }];
  }
  const missing = differences(layer, again);
  if (missing.length === 0) return [];
  const advice =
    'If the layer is yours, its getConfig must give what its constructor takes, beside what super.getConfig() gives; keys and strings with "_" come back as ' +
    'camelCase. If not, build the model and use restoreModel.';
  const message = `${where} is not the same when it is made again from its configuration: ${missing.join(', ')}. ${advice}`;
  return [{ problem: 'config-incomplete', message, names }];
}

function classOf(layer: object): string {
  return layer.constructor.name || 'a class without a name';
}

function refusal(where: string, names: readonly string[], error: unknown, { class_name }: Entry): Warning {
  const { text, kind, name } = reasonOf(error);
  if (typeof class_name === 'string' && name === undefined) {
    const message = `${where} cannot be made from its configuration, so loadModel will fail: ${text}`;
    return { problem: 'layer-not-loadable', message, names };
  }
  const what = name === undefined ? 'its class has no static className' : `the ${kind} ${name} is not registered`;
  const message = `${where} cannot be loaded as it is: ${what}. Call tf.serialization.registerClass before it is loaded, or give loadModel the class: { customObjects: { ${name ?? 'MyLayer'} } }.`;
  return { problem: 'unregistered-class', message, names: [...names, ...(name === undefined ? [] : [name])] };
}

/** Where a configuration holds what comes back otherwise, or not at all. `undefined` as a field is the same as none. */
function lossesInJson(value: unknown, path = 'config'): string[] {
  if (typeof value === 'function') return [`${path} is a function`];
  if (typeof value === 'number' && !Number.isFinite(value)) return [`${path} is ${value}`];
  if (typeof value === 'symbol' || typeof value === 'bigint') return [`${path} is a ${typeof value}`];
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value))
    return value.flatMap((each, i) => (each === undefined ? [`${path}[${i}] is undefined`] : lossesInJson(each, `${path}[${i}]`)));
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return [`${path} is a ${classOf(value)}`];
  return Object.entries(value).flatMap(([key, each]) => lossesInJson(each, `${path}.${key}`));
}

/** What differs because one has been built and used, and the other not. */
const OF_USE: ReadonlySet<string> = new Set(['id', 'built', 'numConstants']);

/** Settings of a layer (numbers, texts, flags, functions) that another of its class has otherwise, by what both have. */
function differences(layer: object, again: object): string[] {
  const [before, after] = [layer, again] as [Record<string, unknown>, Record<string, unknown>];
  return Object.keys(before)
    .filter((key) => !key.startsWith('_') && !OF_USE.has(key) && Object.hasOwn(after, key) && isSetting(before[key]))
    .filter((key) => !Object.is(before[key], after[key]))
    .map((key) => `${key} was ${show(before[key])} and is ${show(after[key])}`);
}

function isSetting(value: unknown): boolean {
  return ['number', 'string', 'boolean', 'function'].includes(typeof value);
}

function show(value: unknown): string {
  return typeof value === 'function'
    ? 'a function'
    : typeof value === 'object' && value !== null
      ? 'an object'
      : (JSON.stringify(value) ?? 'undefined');
}
