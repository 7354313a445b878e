import { parseArgs } from "node:util";
import { checks, evidenceOf } from "./check/check-history.js";
import { tellViolation } from "./check/tell-violation.js";
import { grouped } from "./check/violation.js";
import { type FaultKind, faultKinds } from "./nemesis/fault.js";
import { type ChaosResult, runChaos } from "./run-chaos.js";

const usage = `usage: npm run chaos -- [--minutes M] [--seed S] [--agents N] [--faults KIND,…] [--keep]
  --minutes  how long things go wrong; default 5
  --seed     what goes wrong, and what the load does, follow from it; default: a fresh one
  --agents   agents, each a process; default 20
  --faults   ${faultKinds.join(", ")}; default: all
  --keep     keep the run's folder (logs, journals, data) also when all is well
`;

/** So many violations are told with their events. */
const told = 10;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "5" },
      seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
      agents: { type: "string", default: "20" },
      faults: { type: "string", default: faultKinds.join(",") },
      keep: { type: "boolean", default: false },
    },
  });
  const [minutes, seed, agents] = [values.minutes, values.seed, values.agents].map(Number);
  const faults = values.faults.split(",");
  const unknown = faults.filter((kind) => !faultKinds.includes(kind as FaultKind));
  if (!(minutes && minutes > 0) || !Number.isInteger(seed) || !(agents && agents >= 1)) {
    process.stderr.write(usage);
    return 2;
  }
  if (unknown.length > 0) {
    process.stderr.write(`--faults: ${unknown.join(", ")} is not known\n${usage}`);
    return 2;
  }
  const began = performance.now();
  const log = (line: string) => {
    const seconds = ((performance.now() - began) / 1_000).toFixed(1).padStart(7);
    process.stdout.write(`${seconds}  ${line}\n`);
  };
  log(`seed ${seed}, ${minutes} minutes, ${agents} agents`);
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => stopping.abort(new Error(`stopped by ${signal}`)));
  }
  const result = await runChaos({
    signal: stopping.signal,
    ...{ seed: seed as number, minutes, agents, log },
    faults: faults as FaultKind[],
    keep: values.keep,
  });
  process.stdout.write(`${summary(result)}\n`);
  return result.violations.length === 0 ? 0 : 1;
}

function summary({ history, violations, operations, faults, ...result }: ChaosResult): string {
  const list = (counts: Iterable<readonly [string, number]>) =>
    [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
  const sum = (counts: ReadonlyMap<string, number>) =>
    [...counts.values()].reduce((total, count) => total + count, 0);
  const words = [...grouped(history.words, ({ kind }) => kind)].map(
    ([kind, said]) => [kind, said.length] as const,
  );
  return [
    ...violations.slice(0, told).map((violation) => tellViolation(history, violation)),
    ...(violations.length > told ? [`… ${violations.length - told} more violations …`] : []),
    `operations: ${sum(operations)} (${list(operations)}), then ${list(words)}`,
    `faults: ${sum(faults)} (${list(faults)})`,
    `looked at: ${list(Object.entries(evidenceOf(history)))}`,
    ...result.skipped.map((reason) => `skipped: ${reason}`),
    `held up by this process: ${result.heldUpMs} ms at most`,
    `memory: ${[...result.peaks].map(([kind, most]) => `${kind} ${most} MiB`).join(", ")}`,
    `checks: ${checks.length}, violations: ${violations.length}, seed ${history.seed}`,
  ].join("\n");
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
