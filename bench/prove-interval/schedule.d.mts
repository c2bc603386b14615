export function killTimes(given: { readonly seed: number; readonly mtbf_s: number; readonly total_s: number }): number[];

export interface Turn {
  readonly life: number;
  readonly time_s: number;
  readonly places: readonly { readonly policy: number; readonly lane: number }[];
}

export function planTurns(given: {
  readonly seed: number;
  readonly policies: number;
  readonly times: readonly number[];
  readonly lanes: number;
}): Turn[];
