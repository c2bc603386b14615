export type LifeEvent = Readonly<Record<string, unknown>> & { readonly event: string; readonly step: number; readonly at_s: number };

export interface LifeSave {
  readonly step: number;
  readonly steps: number;
  readonly work_s: number;
  readonly cost_s: number;
  readonly persist_s: number;
  readonly interval_s: number;
}

export interface LifeRecord {
  readonly life: number;
  readonly lane: number;
  readonly wall_s: number;
  readonly fromStep: number;
  readonly durableStep: number;
  readonly restoredStep: number | null;
  readonly restored_s: number | null;
  readonly lastStep: number | null;
  readonly sign: { readonly step: number; readonly at_s: number; readonly saves: number } | null;
  readonly acknowledgedStep: number | null;
  readonly saves: readonly LifeSave[];
}

export function recordLife(
  given: Pick<LifeRecord, 'life' | 'lane' | 'wall_s' | 'fromStep' | 'durableStep'> & { readonly events: readonly LifeEvent[] },
): LifeRecord;
export function violationsOf(
  record: Pick<LifeRecord, 'fromStep' | 'durableStep' | 'restoredStep' | 'acknowledgedStep'>,
  events: readonly LifeEvent[],
): string[];
export function compareLosses(
  known: Map<number, number>,
  events: readonly LifeEvent[],
): { readonly compared: number; readonly different: number };
