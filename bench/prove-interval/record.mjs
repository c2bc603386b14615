// What is kept of a life, and what must be true of it. Pure.

/** A life in numbers, of what it said and of the newest good checkpoint before it (`fromStep`) and after its kill (`durableStep`). */
export function recordLife({ life, lane, wall_s, fromStep, durableStep, events }) {
  const of = (name) => events.filter(({ event }) => event === name);
  const restored = of('restored')[0];
  const sign = of('step').at(-1);
  const began = of('saving');
  return {
    ...{ life, lane, wall_s, fromStep, durableStep },
    restoredStep: restored?.step ?? null,
    restored_s: restored?.at_s ?? null,
    // The last that it said of itself, and how many saves it had begun by then.
    lastStep: [sign?.step, began.at(-1)?.step, restored?.step].find((step) => step !== undefined) ?? null,
    sign: sign === undefined ? null : { step: sign.step, at_s: sign.at_s, saves: began.filter(({ step }) => step < sign.step).length },
    acknowledgedStep: of('saved').at(-1)?.step ?? null,
    saves: of('saved').map(({ step, steps, work_s, cost_s, persist_s, interval_s }) => ({
      step,
      steps,
      work_s,
      cost_s,
      persist_s,
      interval_s,
    })),
  };
}

/** What a life shows that must never be, in sentences: a lost checkpoint, or one that nobody has made. */
export function violationsOf({ fromStep, durableStep, restoredStep, acknowledgedStep }, events) {
  const begun = events.flatMap(({ event, step }) => (event === 'saving' ? [step] : []));
  const skipped = events.find(({ event }) => event === 'restored')?.skipped ?? 0;
  const wrong = [];
  if (restoredStep !== null && restoredStep !== fromStep) wrong.push(`went on from step ${restoredStep}, and step ${fromStep} was durable`);
  if (skipped > 0) wrong.push(`passed over ${skipped} damaged checkpoints`);
  if (acknowledgedStep !== null && durableStep < acknowledgedStep) {
    wrong.push(`acknowledged step ${acknowledgedStep}, and the newest checkpoint after the kill is of step ${durableStep}`);
  }
  if (durableStep !== fromStep && !begun.includes(durableStep))
    wrong.push(`left a checkpoint of step ${durableStep}, which it never began`);
  return wrong;
}

/**
 * Compares the losses that lives have said with those that lives before them have said for the same steps: all train the same, so whoever went on from
 * exactly what was saved says the same. Adds to `known`, by step; gives how many were compared, and how many of them differed.
 */
export function compareLosses(known, events) {
  const said = events.filter(({ loss }) => loss !== undefined);
  const compared = said.filter(({ step }) => known.has(step));
  for (const { step, loss } of said) if (!known.has(step)) known.set(step, loss);
  return { compared: compared.length, different: compared.filter(({ step, loss }) => known.get(step) !== loss).length };
}
