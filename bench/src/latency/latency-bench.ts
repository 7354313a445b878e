import { join } from "node:path";
import type { Bench, BenchContext, BenchResult } from "../measure.js";
import { percentile, spread } from "../statistics.js";
import { startBenchSystem } from "../system/bench-system.js";
import { startLatencyFloor } from "./floor.js";
import { startExecProbe } from "./submit-to-exec.js";

/** Rounds before the first that counts: code that has not run yet is not compiled yet. */
const warmUps = 30;

/** How soon a command starts on an idle system, beside the same commit, hops and spawn done by bare programs. */
export const latencyBench: Bench = {
  name: "latency",
  about: "from a submit to the exec of its script, on an idle system with one real agent",
  async run(context) {
    const system = await startBenchSystem(context);
    const run = await startExecProbe(context, system);
    const { databaseUrl } = system.installation;
    const runBare = await startLatencyFloor(context, databaseUrl, join(system.dir, "floor"));
    return measure(context, run, runBare);
  },
};

async function measure(
  { quick, log }: BenchContext,
  run: () => Promise<{ exec: number; submitted: number }>,
  bare: () => Promise<number>,
): Promise<BenchResult> {
  const rounds = quick ? 100 : 500;
  const [execs, submits, floors]: [number[], number[], number[]] = [[], [], []];
  for (let round = 1; round <= rounds + warmUps; round += 1) {
    const { exec, submitted } = await run();
    const floor = await bare();
    if (round <= warmUps) continue;
    execs.push(exec);
    submits.push(submitted);
    floors.push(floor);
    if (execs.length % 100 === 0) log(`${execs.length} of ${rounds} commands`);
  }
  const [median, tail] = [percentile(floors, 0.5), percentile(floors, 0.99)];
  const [p50, p99] = [percentile(execs, 0.5), percentile(execs, 0.99)];
  const note = `${rounds} commands`;
  return {
    measures: [
      {
        ...{ what: "submit to exec, p50", unit: "ms", value: p50, floor: median },
        ...{ target: { most: 2.5 * median }, note: `${note}, ${spread(execs)}` },
      },
      {
        ...{ what: "submit to exec, p99", unit: "ms", value: p99, floor: tail },
        ...{ target: { most: 3 * tail }, note },
      },
      {
        ...{ what: "  of it to the submit's answer, p50", unit: "ms" },
        value: percentile(submits, 0.5),
        note: "planned, stored and committed",
      },
    ],
    notes: [
      "Submit: SubmitRequest at the scheduler, as the gateway calls it, of an ad-hoc command for one host that has the bundled agent. Exec: the first instruction of its script, in bash, by the wall clock of the same machine.",
      "Floor, in turn with it: four bare programs in the places of scheduler, store, dispatcher and agent. 7 gRPC messages from process to process (submit; hosts read, request stored with its release, with an answer each; command handed over; command sent), 1 commit of one row on the same database, 1 synced write of the agent's journal, 1 spawn of the same script.",
    ],
  };
}
