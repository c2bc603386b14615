/** What `holdfast simulate` says of a result that says less than it seems to. */
import type { PolicySummary } from '../../interval/simulate/index.js';
import { formatInteger, plural } from '../../terminal/format.js';
import type { Plan } from './simulate-options.js';

/** With fewer failures in all runs together, Student's t covers the true mean too seldom: with 2, in about 75 of 100 cases in place of 95. */
const FEW_FAILURES = 30;

export function warningsOf({ runs }: Plan, policies: readonly PolicySummary[]): string[] {
  const warnings: string[] = [];
  const met = Math.min(...policies.map(({ failures }) => Math.round(failures * runs)));
  // One run has no interval that could be too narrow.
  if (runs > 1 && met < FEW_FAILURES) {
    const count = met === 0 ? 'No failure' : `Only ${plural(met, 'failure')}`;
    warnings.push(`${count} in all runs together: the 95 % intervals (±) are too narrow. Simulate more --runs.`);
  }
  for (const { name, unfinished } of policies) {
    if (unfinished > 0)
      warnings.push(`${name}: ${plural(unfinished, 'run')} of ${formatInteger(runs)} did not get on, and ended unfinished.`);
  }
  return warnings;
}
