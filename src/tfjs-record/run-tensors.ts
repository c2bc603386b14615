/**
 * Tensors of a checkpoint that are neither weights nor an optimizer's: what callbacks keep, such as the weights of the best epoch. They stand in the
 * optimizer's file, since training goes on from them, as `@callbacks/<state name>/<name>`.
 */
const PREFIX = '@callbacks/';

export function runTensorName(stateName: string, name: string): string {
  return `${PREFIX}${stateName}/${name}`;
}

/** Whether a tensor of an optimizer's file is one of these. */
export function isRunTensor(name: string): boolean {
  return name.startsWith(PREFIX);
}
