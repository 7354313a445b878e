import { once } from "node:events";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { FolderInUseError, FolderUnusableError } from "@howdah/launcher/folder-lock";
import { MariadbMissingError } from "@howdah/launcher/mariadb-program";
import { startInstallation } from "@howdah/launcher/start-installation";
import { ProcessStartError } from "@howdah/launcher/start-process";
import { CliError } from "../cli-error.js";
import { ExitCode } from "../exit-code.js";
import { countOption, outputOf, outputOption, type Run } from "../leaf-command.js";
import { plural } from "../text/words.js";

/** `howdah up` */
export function addUp(program: CommandUnknownOpts, run: Run): void {
  program
    .command("up")
    .summary("run all of Howdah on this machine until Ctrl-C")
    .description(
      "Run all of Howdah on this machine: a private MariaDB, the services, agents. Ctrl-C stops it; the data stays.",
    )
    .option("--agents <count>", "how many agents; their hosts are host1, host2, …", countOption, 1)
    .option("--data-dir <folder>", "where all of it is kept", ".howdah")
    .option("--database-url <url>", "a MySQL of yours instead: mysql://USER:PASSWORD@HOST/DATABASE")
    .option("--free-ports", "any free ports instead of 7400 to 7440")
    .addOption(outputOption())
    .action(async (options, command) => {
      const { io } = run;
      const json = outputOf(command) === "json";
      const installation = await start(run, options, json);
      try {
        const { gateway, agents, services } = installation;
        const server = `http://${gateway.addresses.main}`;
        if (json) {
          const units = [...Object.values(services).flat(), ...agents];
          const listening = units.map(({ name, pid, addresses }) => ({ name, pid, addresses }));
          io.out(`${JSON.stringify({ server, processes: listening })}\n`);
        } else {
          io.out(`Howdah runs with ${plural(agents.length, "agent")}; Ctrl-C stops it.\n`);
          io.out(`  gateway  ${server}\n  data     ${options.dataDir}\n`);
          const flag = server === "http://127.0.0.1:7400" ? "" : ` --server ${server}`;
          io.out(`  try      howdah hosts${flag}\n`);
        }
        if (!io.interrupted.aborted) await once(io.interrupted, "abort");
      } finally {
        if (!json) io.out("stopping\n");
        await installation.stop();
      }
    });
}

interface UpOptions {
  agents: number;
  dataDir: string;
  databaseUrl?: string | undefined;
  freePorts?: true | undefined;
}

async function start({ io }: Run, options: UpOptions, json: boolean) {
  try {
    return await startInstallation({
      dir: options.dataDir,
      agents: options.agents,
      ports: options.freePorts ? "free" : "default",
      ...(options.databaseUrl === undefined ? {} : { databaseUrl: options.databaseUrl }),
      log: (line) => (json ? io.err(`${line}\n`) : io.out(`${line}\n`)),
    });
  } catch (error) {
    const known =
      error instanceof FolderInUseError ||
      error instanceof FolderUnusableError ||
      error instanceof MariadbMissingError ||
      error instanceof ProcessStartError;
    if (known) throw new CliError(error.message, ExitCode.failed);
    throw error;
  }
}
