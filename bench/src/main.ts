import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { agentBench } from "./agent/agent-bench.js";
import { agentsBench } from "./agents/agents-bench.js";
import { readCommandLine, UsageError, usage } from "./command-line.js";
import { fanoutBench } from "./fanout/fanout-bench.js";
import { historyBench } from "./history/history-bench.js";
import { idleBench } from "./idle/idle-bench.js";
import { latencyBench } from "./latency/latency-bench.js";
import { checkedOut, isLoaded, loadText, machine } from "./machine.js";
import { makespanBench } from "./makespan/makespan-bench.js";
import { type Bench, meets } from "./measure.js";
import { outputBench } from "./output/output-bench.js";
import { planBench } from "./plan/plan-bench.js";
import { queueBench } from "./queue/queue-bench.js";
import { recordResults } from "./results-file.js";
import { type Outcome, runBenches } from "./run-benches.js";
import { summaryOf, tableOf, whyNot } from "./table.js";
import { throughputBench } from "./throughput/throughput-bench.js";

/** In the order in which they run. */
const benches: readonly Bench[] = [
  throughputBench,
  queueBench,
  latencyBench,
  fanoutBench,
  agentsBench,
  makespanBench,
  planBench,
  historyBench,
  idleBench,
  outputBench,
  agentBench,
];

const root = fileURLToPath(new URL("../..", import.meta.url));
const resultsFile = "bench/results.md";

async function main(): Promise<number> {
  const { action, benches: chosen, ...asked } = readCommandLine(process.argv.slice(2), benches);
  if (action === "help") return say(usage);
  if (action === "list") return say(listOf(chosen));
  const { quick, json, record } = asked;
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => interrupted.abort(new Error(`ended by ${signal}`)));
  }
  const origin = { commit: await checkedOut(root, resultsFile), machine: machine() };
  const { id, dirty } = origin.commit;
  if (!json) {
    say(`${origin.machine}${quick ? ", --quick: too short for the record" : ""}`);
    say(`commit ${id}${dirty ? ", with changes" : ""}`);
  }
  const outcomes: Outcome[] = [];
  const options = { quick, log: note, signal: interrupted.signal, limitMs: limitMs(quick) };
  for await (const outcome of runBenches(chosen, options)) {
    outcomes.push(outcome);
    say(json ? jsonOf(outcome, { ...origin, quick }) : `\n${textOf(outcome)}`);
    // Each at once: what is measured is not lost when a later one takes the machine down.
    if (record && outcome.failed === undefined) {
      const names = benches.map(({ name }) => name);
      await recordResults(join(root, resultsFile), [outcome], origin, names);
    }
  }
  if (!json && outcomes.length > 1) say(`\n${summaryOf(outcomes)}`);
  if (interrupted.signal.aborted) note((interrupted.signal.reason as Error).message);
  const failed = outcomes.some((outcome) => outcome.failed !== undefined);
  return failed || outcomes.length < chosen.length ? 1 : 0;
}

/** How long a benchmark may take: long enough that only one that hangs is ended. */
function limitMs(quick: boolean): number {
  return quick ? 300_000 : 3_600_000;
}

function textOf(outcome: Outcome): string {
  const { name, about, result, load, tookMs } = outcome;
  const before = `before it: ${loadText(load)}${isLoaded(load) ? ", loaded by others" : ""}`;
  return [
    `${name}: ${about}`,
    ...(result === undefined ? [whyNot(outcome)] : [tableOf(result.measures), ...result.notes]),
    `(${before}; took ${(tookMs / 1000).toFixed(0)} s)`,
  ].join("\n");
}

function jsonOf(outcome: Outcome, about: object): string {
  const { result, ...rest } = outcome;
  const measures = result?.measures.map((measure) => ({ ...measure, met: meets(measure) }));
  return JSON.stringify({ ...rest, ...about, measures, notes: result?.notes });
}

function listOf(list: readonly Bench[]): string {
  const width = Math.max(...list.map(({ name }) => name.length));
  return list.map(({ name, about }) => `${name.padEnd(width)}  ${about}`).join("\n");
}

function say(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}

function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    note(`bench: ${error instanceof Error ? error.message : error}`);
    process.exit(error instanceof UsageError ? 2 : 1);
  },
);
