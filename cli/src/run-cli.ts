import { readFileSync } from "node:fs";
import { Command, CommanderError } from "@commander-js/extra-typings";
import { explain } from "./cli-error.js";
import { addAction } from "./commands/action.js";
import { addAlert } from "./commands/alert.js";
import { addAlerts } from "./commands/alerts.js";
import { addCluster } from "./commands/cluster.js";
import { addCommand } from "./commands/command.js";
import { addComponents } from "./commands/components.js";
import { addHost } from "./commands/host.js";
import { addHosts } from "./commands/hosts.js";
import { addLogs } from "./commands/logs.js";
import { addMaintenance } from "./commands/maintenance.js";
import { addOperate } from "./commands/operate.js";
import { addPurge } from "./commands/purge.js";
import { addRequests } from "./commands/requests.js";
import { addRun } from "./commands/run.js";
import { addSchedule } from "./commands/schedule.js";
import { addStack } from "./commands/stack.js";
import { addSteer } from "./commands/steer.js";
import { addTasks } from "./commands/tasks.js";
import { addUp } from "./commands/up.js";
import { addWhy } from "./commands/why.js";
import { addWindow } from "./commands/window.js";
import { ExitCode } from "./exit-code.js";
import type { Io } from "./io.js";
import { newRun, outputOption, serverOf } from "./leaf-command.js";
import { defaultServer } from "./session.js";

const exitCodes = `
Exit codes: 0 done, 1 the operation failed or has spent its failure budget, or an alert that was run is not OK,
2 wrong usage, 3 the server is away, 4 refused, 5 the server's error, 130 interrupted (what was asked for goes on).`;

/**
 * Runs the command line. Resolves with the exit code once all is said; errors are told in one line on standard error.
 * @param args without the names of the program
 */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  const run = newRun(io);
  const program = new Command("howdah")
    .description("Operations on fleets of hosts: planned, stored, pushed to agents, followed live.")
    .version(version(), "--version", "print the version")
    .option("--server <url>", `where the gateway is (HOWDAH_SERVER; default ${defaultServer})`)
    .addOption(outputOption())
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .showHelpAfterError("(--help shows how)")
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .addHelpText("after", exitCodes)
    .exitOverride();
  addUp(program, run);
  addStack(program, run);
  addCluster(program, run);
  addComponents(program, run);
  addOperate(program, run);
  addRun(program, run);
  addCommand(program, run);
  addAction(program, run);
  addSchedule(program, run);
  addWindow(program, run);
  addRequests(program, run);
  addSteer(program, run);
  addTasks(program, run);
  addWhy(program, run);
  addLogs(program, run);
  addHosts(program, run);
  addHost(program, run);
  addMaintenance(program, run);
  addAlerts(program, run);
  addAlert(program, run);
  addPurge(program, run);
  try {
    await program.parseAsync([...args], { from: "user" });
    return run.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
    const { message, exitCode } = explain(error, serverOf(io, program));
    io.err(`howdah: ${message}\n`);
    return exitCode;
  }
}

function version(): string {
  const file = new URL("../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
