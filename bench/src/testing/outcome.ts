import type { Measure } from "../measure.js";
import type { Outcome } from "../run-benches.js";

/** What became of a benchmark that took 12 s on an idle machine: these measures, or why there are none. */
export function outcomeOf(
  name: string,
  measures: readonly Measure[],
  rest: Partial<Outcome> = {},
): Outcome {
  const without = rest.skipped !== undefined || rest.failed !== undefined;
  return {
    ...{ name, about: name, startedAt: new Date("2026-01-02T03:04:05Z"), tookMs: 12_000 },
    load: { average: 0.5, busyCores: 0.1 },
    ...(without ? {} : { result: { measures, notes: [`how ${name} is measured`] } }),
    ...rest,
  };
}
