// Mutants of the C++ core.
export const NATIVE = [];
