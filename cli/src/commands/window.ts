import { durationMs } from "@bufbuild/protobuf/wkt";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { type MaintenanceWindow, MaintenanceWindowSchema } from "@howdah/proto/howdah/v1/schedule";
import {
  DeleteWindowResponseSchema,
  PutWindowResponseSchema,
} from "@howdah/proto/howdah/v1/schedule_service";
import { durationOption, leafCommand, type Run, sessionOf } from "../leaf-command.js";
import { jsonDocument, jsonLine } from "../text/json.js";
import { renderTable } from "../text/table.js";
import { localTime, spokenMs } from "../text/words.js";

/** `howdah window add|list|delete` */
export function addWindow(program: CommandUnknownOpts, run: Run): void {
  const window = program
    .command("window")
    .summary("maintenance windows: times in which requests that name one may run")
    .description("Maintenance windows: times in which requests that name one may run.");

  leafCommand(window, "add", "make a maintenance window, or change the one of that name")
    .argument("<name>", "its name, for --window of what runs")
    .requiredOption("--cron <line>", "when it opens, a cron line: '0 1 * * SUN'")
    .option("--zone <zone>", "the time zone of that, such as Europe/Berlin (default UTC)")
    .requiredOption("--duration <duration>", "how long it is open, such as 4h", durationOption)
    .action(async (name, { cron, zone: timeZone = "", duration }, command) => {
      const session = sessionOf(run, command);
      const answer = await session.schedules.putWindow({
        window: { name, cron, timeZone, duration },
      });
      if (session.json) session.io.out(jsonDocument(PutWindowResponseSchema, answer));
      else if (answer.window !== undefined) {
        session.io.out(`window ${name}: ${stateWords(answer.window)}\n`);
      }
    });

  leafCommand(window, "list", "list the maintenance windows, and whether they are open").action(
    async (_options, command) => {
      const session = sessionOf(run, command);
      const { windows } = await session.schedules.listWindows({});
      if (session.json) {
        for (const one of windows) session.io.out(jsonLine(MaintenanceWindowSchema, one));
      } else session.io.out(windowTable(windows));
    },
  );

  leafCommand(window, "delete", "delete a maintenance window that nothing needs")
    .argument("<name>", "the window")
    .action(async (name, _options, command) => {
      const session = sessionOf(run, command);
      const answer = await session.schedules.deleteWindow({ name });
      if (session.json) session.io.out(jsonDocument(DeleteWindowResponseSchema, answer));
      else session.io.out(`window ${name} is deleted\n`);
    });
}

/** A table of windows. */
export function windowTable(windows: readonly MaintenanceWindow[]): string {
  if (windows.length === 0) return "no maintenance windows\n";
  return renderTable(
    ["NAME", "STATE", "OPENS", "CLOSES", "CRON", "ZONE", "OPEN FOR"],
    windows.map((window) => [
      window.name,
      window.open ? "OPEN" : "SHUT",
      localTime(window.opensAt),
      localTime(window.closesAt),
      window.cron,
      window.timeZone || "UTC",
      window.duration === undefined ? "" : spokenMs(durationMs(window.duration)),
    ]),
  );
}

function stateWords({ open, opensAt, closesAt }: MaintenanceWindow): string {
  if (open) return `open until ${localTime(closesAt)}`;
  return `shut, opens ${localTime(opensAt)} until ${localTime(closesAt)}`;
}
