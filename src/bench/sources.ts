/** Kinds of tensors that a save captures in different ways. */

/** `pinned`: memory promised stable. `copied`: memory that may change. `stream`: chunks that only the saving thread can get at. */
export const STALL_SOURCES = ['pinned', 'copied', 'stream'] as const;

export type StallSource = (typeof STALL_SOURCES)[number];
