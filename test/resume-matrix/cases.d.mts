export const NAMES: readonly string[];
export const PAIRWISE: readonly string[];
