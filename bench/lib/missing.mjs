/** Something that a benchmark needs is not here: said in one line with how to get it, not with a stack. */
export class Missing extends Error {}

/** The one line of an error that is of this kind, or else undefined. */
export function whatIsMissing(error) {
  return error instanceof Missing || error?.code === 'ERR_NATIVE_UNAVAILABLE' ? error.message.split('\n')[0] : undefined;
}
