/** Makes `holdfast://` known to a tfjs, and its models save and load themselves. */
import type { io, LayersModel } from '@tensorflow/tfjs';
import { HoldfastError } from '../../errors.js';
import { assertKnown } from '../../known-options.js';
import type { Tf } from '../engine.js';
import { hookLoading } from './exact-load.js';
import { checkSaveSettings, type HandlerOpenOptions, type HandlerOptions, HoldfastHandler, OPEN_KEYS } from './handler.js';
import { type FileTakeOver, takeOverFiles } from './take-over-files.js';
import { isHoldfastUrl, parseSaveUrl, parseUrl } from './url.js';

/** Options of {@link registerHoldfast}: how directories are opened for saves by URL, and what else is taken over. */
export interface RegisterOptions extends HandlerOpenOptions {
  /**
   * With tfjs-node: saves to `file://DIR` become checkpoints, too. DIR is then a directory of the two newest, and `DIR/model.json` points at the newest, so that stock
   * `tf.loadLayersModel('file://DIR/model.json')` reads it in any process; here it is checked on the way, and compiled and restored for training.
   * Default false.
   */
  readonly takeOverFiles?: boolean | undefined;
}

/** What `model.save('holdfast://…', config)` takes beside tfjs' own options. */
declare module '@tensorflow/tfjs-core/dist/io/types.js' {
  interface SaveConfig extends Pick<HandlerOptions, 'step' | 'epoch' | 'metrics' | 'state' | 'tags'> {}
}

/** What was registered with one tfjs; it may change when it is registered again. */
interface Registration {
  options: HandlerOpenOptions;
  files: FileTakeOver | undefined;
}

/** Where other copies of this library look, too: what is hooked twice would save twice. */
const REGISTERED = Symbol.for('holdfast.tfjs.registered');

type Marked = { [REGISTERED]?: Registration };

/**
 * Afterwards `model.save('holdfast://DIR')`, `tf.loadLayersModel('holdfast://DIR')` and `tf.loadGraphModel('holdfast://DIR')` work with this `tf`: tfjs, tfjs-node or
 * tfjs-node-gpu. DIR is relative, or absolute as in `holdfast:///data/run`; percent-encoding is decoded. `?step=1000`, `?checkpoint=NAME`, `?tag=NAME`,
 * `#best` and `#latest` choose what is loaded (by itself the newest that training can go on from, or where there is none, the newest), `?step=` and `?tag=` say what is saved, `?optimizer=false` leaves the optimizer out.
 *
 * A LayersModel is saved without a stall: what it is at the call is captured at once, and written while training goes on. The optimizer is included if the model is
 * compiled. `save` resolves when the checkpoint is durable, to what tfjs gives and the checkpoint's `name` and `path`; its second argument takes
 * `includeOptimizer`, and `step`, `epoch`, `metrics`, `state` and `tags` as well. A model that is loaded goes on with training bit by bit.
 *
 * Registering again changes the options and nothing else. Throws `ERR_INVALID_ARGUMENT`, `ERR_UNKNOWN_OPTION`; `ERR_UNSUPPORTED` for `takeOverFiles` without
 * tfjs-node.
 */
export function registerHoldfast(tf: Tf, options: RegisterOptions = {}): void {
  if (typeof tf?.io?.registerSaveRouter !== 'function' || typeof tf.io.registerLoadRouter !== 'function') {
    throw new HoldfastError('ERR_INVALID_ARGUMENT', 'registerHoldfast takes tf: what import * as tf from "@tensorflow/tfjs-node" gives.');
  }
  assertKnown('registerHoldfast', options, ['takeOverFiles', ...OPEN_KEYS]);
  const { takeOverFiles: wantsFiles = false, ...open } = options;
  const files = wantsFiles ? takeOverFiles(tf, open) : undefined;
  const prototype = (tf.LayersModel as typeof LayersModel | undefined)?.prototype as (LayersModel & Marked) | undefined;
  const known = prototype?.[REGISTERED];
  if (known !== undefined) {
    known.options = open;
    known.files = files ?? known.files;
  }
  const registration = known ?? { options: open, files };
  if (prototype !== undefined && known === undefined) {
    Object.defineProperty(prototype, REGISTERED, { value: registration });
    hookSaving(prototype, registration);
    hookLoading(prototype);
  }
  // Routers cannot be taken away again, and a second one that answers makes tfjs refuse: several packages may share them.
  if (tf.io.getSaveHandlers(PROBE).length === 0) {
    tf.io.registerSaveRouter((url) => (isHoldfastUrl(url) ? saveHandler(url, registration.options) : null) as io.IOHandler);
  }
  if (tf.io.getLoadHandlers(PROBE).length === 0)
    tf.io.registerLoadRouter((url, given) => (isHoldfastUrl(url) ? loadHandler(url, given) : null) as io.IOHandler);
}

const PROBE = 'holdfast://registered';

function saveHandler(url: string, options: HandlerOpenOptions): HoldfastHandler {
  const { directory, step, tag, includeOptimizer } = parseSaveUrl(url);
  return new HoldfastHandler(directory, {
    ...options,
    ...(step === undefined ? {} : { step }),
    ...(tag === undefined ? {} : { tags: [tag] }),
    ...(includeOptimizer === undefined ? {} : { includeOptimizer }),
  });
}

function loadHandler(url: string, given: io.LoadOptions | undefined): HoldfastHandler {
  const { directory, target, includeOptimizer } = parseUrl(url);
  const { onProgress } = given ?? {};
  return new HoldfastHandler(directory, {
    target,
    includeOptimizer,
    onProgress: onProgress && (({ bytes, totalBytes }) => onProgress(totalBytes === 0 ? 1 : bytes / totalBytes)),
  });
}

/** Models that are saved to a handler of ours, or to where one is, go there by themselves; everything else is tfjs' business. */
function hookSaving(prototype: LayersModel, registration: Registration): void {
  const stock = prototype.save;
  prototype.save = async function (this: LayersModel, to: io.IOHandler | string, config?: io.SaveConfig) {
    const handler = isHoldfastUrl(to) ? saveHandler(to, registration.options) : to;
    const ours = handler instanceof HoldfastHandler ? handler : registration.files?.handlerFor(handler);
    if (ours === undefined) return stock.call(this, to, config);
    return ours.saveModel(this, checkSaveSettings('model.save', config ?? {}));
  };
}
