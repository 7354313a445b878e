import { agentBench } from "./agent/agent-bench.js";
import { readCommandLine, UsageError, usage } from "./command-line.js";
import { fanoutBench } from "./fanout/fanout-bench.js";
import { machine } from "./machine.js";
import { type Bench, meets } from "./measure.js";
import { tableOf } from "./table.js";

/** In the order in which they run. */
const benches: readonly Bench[] = [fanoutBench, agentBench];

async function main(): Promise<number> {
  const { action, benches: chosen, quick, json } = readCommandLine(process.argv.slice(2), benches);
  if (action === "help") return say(usage);
  if (action === "list") return say(listOf(chosen));
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => interrupted.abort(new Error(`ended by ${signal}`)));
  }
  if (!json) say(`${machine()}${quick ? ", --quick: too short for the record" : ""}`);
  let failed = 0;
  for (const bench of chosen) {
    try {
      const context = { quick, log: note, signal: interrupted.signal };
      const { measures, notes } = await bench.run(context);
      if (json) {
        const judged = measures.map((measure) => ({ ...measure, met: meets(measure) }));
        say(
          JSON.stringify({ name: bench.name, quick, machine: machine(), measures: judged, notes }),
        );
      } else say(["", `${bench.name}: ${bench.about}`, tableOf(measures), ...notes].join("\n"));
    } catch (error) {
      failed += 1;
      note(`${bench.name}: could not be measured: ${(error as Error).message}`);
      if (interrupted.signal.aborted) break;
    }
  }
  return failed === 0 ? 0 : 1;
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
