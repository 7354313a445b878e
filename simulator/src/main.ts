import { pino } from "pino";
import { readCommandLine, UsageError, usage } from "./command-line.js";
import { hostName } from "./host-name.js";
import { openFilesFor } from "./open-files.js";
import { type OwnSystem, startOwnSystem } from "./own-system.js";
import { type SimulatedFleet, simulateFleet } from "./simulated-fleet.js";
import { type Told, told } from "./tally.js";

async function main(): Promise<void> {
  const commandLine = readCommandLine(process.argv.slice(2));
  if (commandLine === "help") return say(usage);
  const { agents, servers, behaviour, prefix, labels, connectRate } = commandLine;
  checkOpenFiles(agents);
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => resolve());
  });
  let system: OwnSystem | undefined;
  let fleet: SimulatedFleet | undefined;
  try {
    if (servers.length === 0) system = await startOwnSystem(note, stopped);
    const addresses = system === undefined ? servers : [system.agentsAddress];
    note(`playing ${agents} hosts, ${hostName(prefix, 1)} and so on, for ${addresses.join(", ")}`);
    if (system !== undefined) for (const line of system.howToTalk(prefix)) note(line);
    const log = pino({ level: commandLine.logLevel, base: null }, pino.destination(2));
    fleet = simulateFleet({
      ...{ agents, prefix, labels, behaviour, connectRate, log },
      servers: { addresses, tls: commandLine.tls },
    });
    const { tally } = fleet;
    const tell = () => say(textOf(told(tally, agents), commandLine.json));
    const telling = setInterval(tell, commandLine.reportEveryMs);
    await Promise.race([stopped, ...(system === undefined ? [] : [system.failed])]);
    clearInterval(telling);
    await fleet.stop();
    tell();
  } finally {
    await system?.stop();
  }
}

/** Every agent's connection is an open file; better said now than as many failures to connect. */
function checkOpenFiles(agents: number): void {
  const { needed, limit } = openFilesFor(agents);
  if (needed <= limit) return;
  throw new UsageError(
    `--agents ${agents} needs ${needed} open files, and this process may have ${limit}: raise the limit ("ulimit -n"), or run several simulators with other prefixes`,
  );
}

function textOf(counts: Told, json: boolean): string {
  if (json) return JSON.stringify({ time: new Date().toISOString(), ...counts });
  const { agents, connected, running, completed, failed, aborted, reconnects, residentMib } =
    counts;
  return `${connected}/${agents} connected, ${running} running, ${completed} completed, ${failed} failed, ${aborted} aborted, ${reconnects} reconnects, ${residentMib} MiB`;
}

/** The counts, and nothing else, for programs that read them. */
function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    const text = error instanceof Error ? error.message : String(error);
    note(`fleet: ${text}`);
    process.exit(error instanceof UsageError ? 2 : 1);
  },
);
