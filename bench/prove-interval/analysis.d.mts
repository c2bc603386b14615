import type { LifeRecord } from './record.mjs';

export interface ProofResults {
  readonly settings: { readonly mtbf: number; readonly mode: 'sync' | 'async' };
  readonly calibration: {
    readonly steady: readonly { readonly step_s: number; readonly restart_s: number }[];
    readonly cost: { readonly cost_s: number; readonly persist_s: number };
  };
  readonly times: readonly number[];
  readonly policies: readonly {
    readonly name: string;
    readonly kind: 'fixed' | 'auto';
    readonly factor?: number;
    readonly every_s?: number;
    readonly lives: readonly LifeRecord[];
  }[];
}

export interface PolicyRow {
  readonly name: string;
  readonly wall_s: number;
  readonly saves: number;
  readonly realised: number;
  readonly low: number;
  readonly high: number;
  readonly cost_s: number | null;
  readonly lost: number;
  readonly interval_s: number | null;
  readonly predicted: number | null;
  readonly replayed: number | null;
}

export interface Analysis {
  readonly lives: number;
  readonly step_s: number;
  readonly model: {
    readonly cost_s: number;
    readonly persist_s: number;
    readonly restart_s: number;
    readonly mtbf_s: number;
    readonly fitted: { readonly perSave_s: number; readonly restart_s: number } | null;
  };
  readonly rows: readonly PolicyRow[];
  readonly comparison: {
    readonly best: string;
    readonly ratio: number;
    readonly low: number;
    readonly high: number;
    readonly bar: number;
    readonly met: boolean;
  } | null;
  readonly curve: readonly { readonly interval_s: number; readonly useful: number }[];
}

export const BAR: number;
export function analyse(results: ProofResults): Analysis | undefined;
