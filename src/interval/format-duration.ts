/** Seconds as people read them. */

/** For people: `2 h 1 min 40 s`, `54 d`, `18.6 s`, `5 ms`; `–` for what is not finite. */
export function formatDuration_s(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 0) return `-${formatDuration_s(-seconds)}`;
  if (seconds === 0) return '0 s';
  if (seconds < 0.9995) return `${short(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${short(seconds)} s`;
  // Of days, seconds say nothing.
  const total = seconds < 86_399.5 ? Math.round(seconds) : Math.round(seconds / 60) * 60;
  const parts = [
    [Math.floor(total / 86_400), 'd'],
    [Math.floor(total / 3600) % 24, 'h'],
    [Math.floor(total / 60) % 60, 'min'],
    [total % 60, 's'],
  ] as const;
  return parts
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}

/** Three significant digits. */
function short(value: number): string {
  return Number(value.toPrecision(3)).toString();
}
