import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { InvalidArgumentError } from "@commander-js/extra-typings";
import type { CommandSpec } from "@howdah/proto/howdah/v1/command";
import { type Task, TaskSchema } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskAttempt } from "@howdah/proto/howdah/v1/store_request_reading";
import { countOption, idArgument, leafCommand, type Run, sessionOf } from "../leaf-command.js";
import type { Session } from "../session.js";
import { jsonLine } from "../text/json.js";
import { renderTable } from "../text/table.js";
import {
  failures,
  localTimeMs,
  plural,
  roleCommandWord,
  spokenMs,
  statusWord,
  taskTook,
} from "../text/words.js";

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
    .option("--attempts", "show each attempt of each task, with its own times and exit code")
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
      if (options.commands) session.io.out(commandTable(await readDetails(session, shown)));
      else if (options.attempts) session.io.out(attemptTable(await readDetails(session, shown)));
      else session.io.out(taskTable(shown));
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
      taskTook(task),
      task.reason,
    ]),
  );
}

interface TaskDetails {
  readonly task: Task;
  readonly command: CommandSpec | undefined;
  /** The superseded ones, the oldest first. */
  readonly attempts: readonly TaskAttempt[];
}

const readsAtOnce = 20;

async function readDetails({ store }: Session, tasks: readonly Task[]): Promise<TaskDetails[]> {
  const details: TaskDetails[] = [];
  for (let from = 0; from < tasks.length; from += readsAtOnce) {
    const read = tasks.slice(from, from + readsAtOnce).map(async (task) => {
      const { command, attempts } = await store.getTask({ taskId: task.taskId });
      return { task, command, attempts };
    });
    details.push(...(await Promise.all(read)));
  }
  return details;
}

/** A table of tasks' attempts: the superseded ones as they ended, and the current one as it is. */
export function attemptTable(details: readonly TaskDetails[]): string {
  if (details.length === 0) return "no tasks\n";
  const rows = details.flatMap(({ task, attempts }) => {
    const what = `${roleCommandWord(task.roleCommand, task.customCommand)} ${task.role}`;
    const start = [String(task.taskId), task.hostName, what];
    const { startedAt, endedAt } = task.times ?? {};
    const current = {
      ...task,
      startedAtMs: startedAt === undefined ? 0n : BigInt(timestampMs(startedAt)),
      endedAtMs: endedAt === undefined ? 0n : BigInt(timestampMs(endedAt)),
    };
    return [...attempts, current].map((each) => [...start, ...attemptCells(each)]);
  });
  const head = ["ATTEMPT", "STATUS", "EXIT", "QUEUED", "STARTED", "TOOK", "REASON"];
  return renderTable(["TASK", "HOST", "WHAT", ...head], rows);
}

type AttemptFacts = Pick<
  TaskAttempt,
  "attempt" | "status" | "exitCode" | "queuedAtMs" | "startedAtMs" | "endedAtMs" | "reason"
>;

function attemptCells(facts: AttemptFacts): string[] {
  const { attempt, status, exitCode, queuedAtMs, startedAtMs, endedAtMs, reason } = facts;
  const time = (ms: bigint) => (ms === 0n ? "" : localTimeMs(Number(ms)));
  const end = endedAtMs === 0n ? BigInt(Date.now()) : endedAtMs;
  return [
    String(attempt),
    statusWord(status),
    exitCode === undefined ? "" : String(exitCode),
    time(queuedAtMs),
    time(startedAtMs),
    startedAtMs === 0n ? "" : spokenMs(Number(end - startedAtMs)),
    reason,
  ];
}

/** A table of what tasks run. */
export function commandTable(commands: readonly TaskDetails[]): string {
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
