import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { InvalidArgumentError } from "@commander-js/extra-typings";
import type { CommandSpec } from "@howdah/proto/howdah/v1/command";
import { type Task, TaskSchema } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import { countOption, idArgument, leafCommand, type Run, sessionOf } from "../leaf-command.js";
import type { Session } from "../session.js";
import { jsonLine } from "../text/json.js";
import { renderTable } from "../text/table.js";
import { elapsed, failures, plural, roleCommandWord, statusWord } from "../text/words.js";

const pageSize = 1_000;

/** `howdah tasks ID` */
export function addTasks(program: CommandUnknownOpts, run: Run): void {
  leafCommand(program, "tasks", "list the tasks of a request")
    .argument("<id>", "the request", idArgument)
    .option("--status <status>", "only these, such as FAILED,QUEUED", statusOption)
    .option("--failed", "only those that went wrong")
    .option("--host <name>", "only on this host")
    .option("--stage <number>", "only this stage, from 1", countOption)
    .option("--limit <count>", "how many at most", countOption, 50)
    .option("--all", "all of them, however many")
    .option("--commands", "show what each task runs instead of how it went")
    .action(async (requestId, options, command) => {
      const session = sessionOf(run, command);
      const limit = options.all || session.json ? Number.POSITIVE_INFINITY : options.limit;
      const query = {
        requestId,
        statuses: [...(options.status ?? []), ...(options.failed ? failures : [])],
        hostName: options.host ?? "",
        ...(options.stage === undefined ? {} : { stageId: options.stage - 1 }),
      };
      const tasks = await listTasks(session, query, limit + 1);
      if (session.json) {
        for (const task of tasks) session.io.out(jsonLine(TaskSchema, task));
        return;
      }
      const shown = tasks.slice(0, limit);
      session.io.out(
        options.commands ? commandTable(await readCommands(session, shown)) : taskTable(shown),
      );
      if (tasks.length > limit) {
        session.io.out(
          `the first ${plural(limit, "task")}; there are more: --all, --failed, --host or --stage\n`,
        );
      }
    });
}

interface TaskQuery {
  requestId: bigint;
  statuses: Status[];
  hostName: string;
  stageId?: number;
}

async function listTasks({ store }: Session, query: TaskQuery, limit: number): Promise<Task[]> {
  const tasks: Task[] = [];
  let pageToken = "";
  do {
    const page = await store.listTasks({
      ...query,
      pageSize: Math.min(pageSize, limit - tasks.length),
      pageToken,
    });
    tasks.push(...page.tasks);
    pageToken = page.nextPageToken;
  } while (pageToken !== "" && tasks.length < limit);
  return tasks;
}

/** A table of tasks. */
export function taskTable(tasks: readonly Task[]): string {
  if (tasks.length === 0) return "no tasks\n";
  return renderTable(
    ["TASK", "STAGE", "HOST", "WHAT", "STATUS", "EXIT", "ATTEMPT", "TOOK", "REASON"],
    tasks.map((task) => [
      String(task.taskId),
      String(task.stageId + 1),
      task.hostName,
      `${roleCommandWord(task.roleCommand, task.customCommand)} ${task.role}`,
      statusWord(task.status),
      task.exitCode === undefined ? "" : String(task.exitCode),
      String(task.attempt),
      elapsed(task.times),
      task.reason,
    ]),
  );
}

interface TaskCommand {
  readonly task: Task;
  readonly command: CommandSpec | undefined;
}

const readsAtOnce = 20;

async function readCommands({ store }: Session, tasks: readonly Task[]): Promise<TaskCommand[]> {
  const commands: TaskCommand[] = [];
  for (let from = 0; from < tasks.length; from += readsAtOnce) {
    const read = tasks.slice(from, from + readsAtOnce).map(async (task) => {
      const { command } = await store.getTask({ taskId: task.taskId });
      return { task, command };
    });
    commands.push(...(await Promise.all(read)));
  }
  return commands;
}

/** A table of what tasks run. */
export function commandTable(commands: readonly TaskCommand[]): string {
  if (commands.length === 0) return "no tasks\n";
  return renderTable(
    ["TASK", "HOST", "WHAT", "SERVICE", "RUNS", "PACKAGE", "TIME-OUT"],
    commands.map(({ task, command }) => [
      String(task.taskId),
      task.hostName,
      `${roleCommandWord(task.roleCommand, task.customCommand)} ${task.role}`,
      command?.serviceName ?? "",
      runs(command),
      command?.packageDigest.slice(0, 12) ?? "",
      task.timeoutMs === 0n ? "" : `${Number(task.timeoutMs) / 1_000} s`,
    ]),
  );
}

/** The script, or the command line as a shell would take it. */
function runs(command: CommandSpec | undefined): string {
  if (command === undefined || command.argv.length === 0) return command?.script ?? "";
  const words = command.argv.map((word) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`,
  );
  return words.join(" ");
}

function statusOption(text: string, before: Status[] = []): Status[] {
  const statuses = text.split(",").map((word) => {
    const status = Status[word.trim().toUpperCase() as keyof typeof Status];
    if (status === undefined || status === Status.UNSPECIFIED) {
      const names = Object.keys(Status)
        .filter((name) => /^[A-Z]/.test(name))
        .slice(1);
      throw new InvalidArgumentError(`It is one of ${names.join(", ")}.`);
    }
    return status;
  });
  return [...before, ...statuses];
}
