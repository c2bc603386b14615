// The results in words: a table for the terminal, and a piece of Markdown for docs/INTERVALS.md.
import { describeMachine } from '../lib/program.mjs';
import { short } from '../lib/stats.mjs';

/** What the columns are. */
const LEGEND =
  'interval: work between two saves, median; lost: steps done and lost, of all time; predicted: by the formula, at that interval; same kills: what its model gives for these very times.';
const COLUMNS = ['policy', 'interval', 'saves', 'a save', 'lost', 'realised (95 %)', 'predicted', 'same kills'];

/** What is printed at the end. */
export function printed(results) {
  const { analysis } = results;
  if (!analysis) return 'There are too few lives yet to say anything.';
  const cells = [COLUMNS, ...analysis.rows.map(cellsOf)];
  const widths = COLUMNS.map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  const lines = cells.map((row) => `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')}`);
  return ['', summary(results), '', ...lines, '', LEGEND, '', ...verdict(results)].join('\n');
}

/** For the documentation. */
export function markdown(results) {
  const { analysis, environment } = results;
  if (!analysis) return 'There are too few lives yet to say anything.\n';
  const rows = [
    COLUMNS,
    COLUMNS.map((_, i) => (i === 0 ? '---' : '---:')),
    ...analysis.rows.map((row) => cellsOf({ ...row, name: `\`${row.name}\`` })),
  ];
  return `${[
    summary(results),
    `The figures were measured ${describeMachine(environment)}, with`,
    `\`\`\`sh\n${command(results)}\n\`\`\``,
    rows.map((row) => `| ${row.join(' | ')} |`).join('\n'),
    `${LEGEND.charAt(0).toUpperCase()}${LEGEND.slice(1)}`,
    verdict(results).join(' '),
  ].join('\n\n')}\n`;
}

/** The command that gives the like. */
export function command({ settings }) {
  const { minutes, mtbf, factors, mode, state, verifyWrites, backend, lanes, seed, smoke } = settings;
  if (smoke) return `npm run prove:interval -- --smoke --mode ${mode} --backend ${backend} --lanes ${lanes}`;
  const chosen = [
    ...[`--minutes ${minutes}`, `--mtbf ${mtbf}`, `--factors ${factors.join(',')}`, `--mode ${mode}`, `--state ${state / 2 ** 20}MiB`],
    ...[`--verify-writes ${verifyWrites ? 'yes' : 'no'}`, `--backend ${backend}`, `--lanes ${lanes}`, `--seed ${seed}`],
  ];
  return `npm run prove:interval -- ${chosen.join(' ')}`;
}

function summary({ settings, analysis, state }) {
  const { lives, step_s, model, rows } = analysis;
  const { cost_s, persist_s, restart_s, mtbf_s, fitted } = model;
  const wall = `${lives} lives of each policy, ${short(Math.min(...rows.map(({ wall_s }) => wall_s)) / 60)} minutes each${state === 'complete' ? '' : ', not all yet'}`;
  const persist = persist_s > 0 ? `, P = ${short(persist_s)} s` : '';
  const line =
    fitted === null
      ? ''
      : ` What lives took beyond their steps makes ${short(fitted.perSave_s)} s per save and ${short(fitted.restart_s)} s per restart.`;
  return `${wall}; ${settings.mode} saves of ${short(settings.state / 2 ** 20)} MiB, ${settings.backend} backend. A step takes ${short(1000 * step_s)} ms; c = ${short(cost_s)} s${persist}, R = ${short(restart_s)} s, M = ${short(mtbf_s)} s.${line}`;
}

function cellsOf({ name, factor, interval_s, saves, cost_s, lost, realised, low, high, predicted, replayed }) {
  return [
    `${name}${factor === undefined ? '' : ` x${factor}`}`,
    interval_s === null ? 'none' : `${short(interval_s)} s`,
    String(saves),
    cost_s === null ? 'none' : `${cost_s.toFixed(2)} s`,
    percent(lost),
    `${percent(realised)} (${percent(low)} to ${percent(high)})`,
    predicted === null ? 'none' : percent(predicted),
    replayed === null ? 'none' : percent(replayed),
  ];
}

function verdict({ analysis, lost, losses, settings }) {
  const { comparison, rows } = analysis;
  const known = rows.filter(({ predicted }) => predicted !== null);
  const inside = known.filter(({ predicted, low, high }) => predicted >= low && predicted <= high).length;
  const sentences = [`${inside} of ${known.length} predictions lie within the 95 % interval of what was realised.`];
  if (comparison !== null) {
    const { best, ratio, low, high, bar, met } = comparison;
    sentences.push(
      `The controller reaches ${ratio.toFixed(3)} (95 %: ${low.toFixed(3)} to ${high.toFixed(3)}) of the best fixed interval, ${best}; at least ${bar}: ${met ? 'met' : 'NOT met'}.`,
    );
  }
  if (settings.smoke) sentences.push('This was a smoke run: its figures say nothing.');
  sentences.push(
    lost.length === 0 ? 'No acknowledged checkpoint was lost.' : `LOST: ${lost.join('; ')}.`,
    `${losses.compared} losses of steps that were done again or by another policy were compared, ${losses.different === 0 ? 'all equal' : `${losses.different} of them DIFFERENT`}.`,
  );
  return sentences;
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}
