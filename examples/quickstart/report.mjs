/** What the quickstart prints. */
const { isTTY } = process.stdout;
const style = (code, text) => (isTTY && !process.env['NO_COLOR'] ? `\x1b[${code}m${text}\x1b[0m` : text);

export function heading(number, text) {
  console.log(`\n${style(1, `${number}. ${text}`)}`);
}

export function result(label, text) {
  console.log(`   ${label.padEnd(15)} ${text}`);
}

export function note(text) {
  console.log(`   ${style(2, text)}`);
}

export function verdict(what, fine) {
  console.log(`   ${fine ? style(32, 'yes') : style('1;31', 'NO ')}  ${what}`);
}

/** Shows how far training is, on a terminal only. */
export function progress(steps) {
  return ({ step, loss } = {}) => {
    if (!isTTY) return;
    process.stdout.write(step === undefined ? '\r\x1b[K' : `\r   ${style(2, `step ${step} of ${steps}, loss ${loss.toFixed(3)}`)}\x1b[K`);
  };
}

export function megabytes(bytes) {
  if (bytes < 100_000) return `${(bytes / 1000).toFixed(1)} kB`;
  return `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
}

export function milliseconds(ms) {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(0)} ms`;
}
