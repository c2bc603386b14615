export interface CountedLife {
  readonly fromStep: number;
  readonly durableStep: number;
  readonly wall_s: number;
}

export function netSteps(life: Pick<CountedLife, 'fromStep' | 'durableStep'>): number;
export function realisedFraction(lives: readonly CountedLife[], step_s: number): number;
export function replayedFraction(
  model: { readonly interval_s: number; readonly cost_s: number; readonly restart_s: number; readonly persist_s: number },
  times: readonly number[],
): number;
