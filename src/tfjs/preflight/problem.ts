/** What can be wrong with a model before it is saved. */

/** Why it cannot be saved, or would not be what was saved. */
export type PreflightError =
  /** Not a `tf.LayersModel`, and no variables. */
  | 'not-a-model'
  /** It has no layers. */
  | 'no-layers'
  /** A weight, or the whole model, is disposed. */
  | 'disposed-weight'
  /** Two weights have one name. */
  | 'duplicate-names'
  /** A weight has a dtype that is not known. */
  | 'unknown-dtype'
  /** A layer cannot write down its configuration. */
  | 'no-topology'
  /** An optimizer is to be saved, and there is none. */
  | 'no-optimizer'
  /** The optimizer is not one of TensorFlow.js' own, so where it keeps its state is not known. */
  | 'unknown-optimizer'
  /** The optimizer, or a part of its state, is disposed. */
  | 'disposed-optimizer'
  /** The optimizer has trained another model, or weights that are not saved. */
  | 'foreign-optimizer'
  /** Variables that are no variables, have no names, or are there twice. */
  | 'variables';

/** What loading, or going on, would meet; the weights are saved all the same, and `restoreModel` restores them. */
export type PreflightWarning =
  /** A loss is a function: `loadModel` must be given it. */
  | 'function-loss'
  /** TensorFlow.js does not find the loss by the name that it writes down. */
  | 'unknown-loss'
  /** TensorFlow.js does not find the metric by the name that it writes down: a function of the caller's, or a name that it alters. */
  | 'unknown-metric'
  /** How it was compiled cannot be written down, or not be read back. */
  | 'not-compilable'
  /** The class of a layer, initializer, regularizer or constraint is not registered, so a process that loads it must register it. */
  | 'unregistered-class'
  /** A layer's class name is that of another class, which loading would make. */
  | 'other-class'
  /** A layer cannot be made from its configuration. */
  | 'layer-not-loadable'
  /** A layer's configuration holds what JSON cannot carry: a function, NaN, an object of a class. */
  | 'config-not-json'
  /** A layer that is made from its configuration is another one: something is missing from it. */
  | 'config-incomplete'
  /** Layers were frozen or thawed after the model was compiled, so that one that is loaded trains other weights. */
  | 'changed-trainable'
  /** The optimizer has not taken a step, though training is under way. */
  | 'untrained-optimizer';

/** One thing that is wrong. */
export interface PreflightProblem<Name extends string = PreflightError | PreflightWarning> {
  /** Stable, for programs. */
  readonly problem: Name;
  /** For people: what, where, and what to do. */
  readonly message: string;
  /** Of the weights, layers, classes, losses or metrics that it is about. */
  readonly names: readonly string[];
}

export type Warning = PreflightProblem<PreflightWarning>;
