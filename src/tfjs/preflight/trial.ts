/**
 * What loading would do, tried on the parts of a model. The model's own copy of tfjs-layers makes each layer and compiles, with the very functions
 * that load a model: whatever it cannot read back is found here. Nothing is built, so no weight is made.
 */
import type { LayersModel, Optimizer } from '@tensorflow/tfjs';
import { runningEngine } from '../engine.js';

/** How a model was compiled, as `compile` takes it back. */
export interface TrialArguments {
  readonly loss?: unknown;
  readonly metrics?: unknown;
  readonly optimizer: Optimizer;
}

/** What is used of a model that its types leave out. */
interface Loader {
  loadTrainingConfig(config: object): void;
  /** A Sequential compiles the model that it keeps inside. */
  readonly model?: LayersModel;
}

/**
 * Calls `attempt`, which may make tensors and draw random numbers, so that neither is noticed: what is made is disposed, and the numbers that come
 * next in a run are those that would have come.
 */
export function withoutTrace<T>(attempt: () => T): T {
  const engine = runningEngine();
  const before = new Set(Object.keys(engine.registeredVariables));
  const { random } = Math;
  Math.random = () => 0.5;
  engine.startScope('preflight');
  try {
    return attempt();
  } finally {
    engine.endScope();
    Math.random = random;
    for (const [name, variable] of Object.entries(engine.registeredVariables)) if (!before.has(name)) variable.dispose();
  }
}

/** Makes an object from its class name and configuration as model.json has them. Throws what tfjs throws. */
export function deserialize(model: LayersModel, { class_name, config }: { class_name?: unknown; config?: unknown }): object {
  // The only way to tfjs-layers' own function without a second copy of it: to it an optimizer is an object of a registered class as any other.
  return readArguments(model, { optimizer_config: { class_name, config } }).optimizer;
}

/** What tfjs gives to `compile` when it loads a model with this training configuration. Throws what tfjs throws. */
export function readArguments(model: LayersModel, config: object): TrialArguments {
  let given: TrialArguments | undefined;
  const receiver = {
    compile(args: TrialArguments) {
      given = args;
    },
  };
  (model as unknown as Loader).loadTrainingConfig.call(receiver, config);
  return given as unknown as TrialArguments;
}

/** Compiles an object that stands for the model, and leaves the model as it is. Throws what tfjs throws. */
export function tryCompile(model: LayersModel, args: TrialArguments): void {
  const compiled = (model as unknown as Loader).model ?? model;
  const { compile } = compiled;
  compile.call(Object.create(compiled), { ...args } as Parameters<typeof compile>[0]);
}

/** Why tfjs threw: its message, or what it does not know, which it says at length. */
export function reasonOf(error: unknown): { readonly text: string; readonly kind?: string; readonly name?: string } {
  const { message } = error as Error;
  const [, kind, name] = /^Unknown (\w+): (\w+)\. This may/.exec(message) ?? [];
  if (kind === undefined || name === undefined) return { text: message.replace(/[^.]$/, '$&.') };
  return { text: `the ${kind} ${name} is not registered.`, kind, name };
}
