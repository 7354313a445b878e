import { OutputStream } from "@howdah/proto/howdah/v1/command";
import type { Task } from "@howdah/proto/howdah/v1/request";
import type { Session } from "../session.js";
import { failures, roleCommandWord, statusWord } from "../text/words.js";
import { lastOutput } from "./read-output.js";

/** Of how many failed tasks the last output is shown, and of how many a line. */
const shownWithOutput = 3;
const shown = 10;
const shownLines = 10;

/** Tells which tasks of a request failed, why, and how to see more; nothing when none did. */
export async function failedTasksReport(session: Session, requestId: bigint): Promise<string> {
  const { tasks, nextPageToken } = await session.store.listTasks({
    requestId,
    statuses: [...failures],
    pageSize: shown,
  });
  if (tasks.length === 0) return "";
  const parts: string[] = [];
  for (const [index, task] of tasks.entries()) {
    parts.push(`${taskLine(task)}\n`);
    if (index < shownWithOutput) parts.push(await taskOutput(session, task));
  }
  if (nextPageToken !== "") {
    parts.push(`and more: howdah tasks ${requestId} --failed\n`);
  }
  return parts.join("");
}

/** A task that failed, in a line: "task 12 START MARIADB on host1: FAILED, exit code 1, …". */
export function taskLine(task: Task): string {
  const verb = roleCommandWord(task.roleCommand, task.customCommand);
  const facts = [
    statusWord(task.status),
    ...(task.exitCode === undefined ? [] : [`exit code ${task.exitCode}`]),
    ...(task.attempt > 1 ? [`attempt ${task.attempt}`] : []),
    ...(task.reason === "" ? [] : [task.reason]),
  ];
  return `task ${task.taskId} ${verb} ${task.role} on ${task.hostName}: ${facts.join(", ")}`;
}

/** The end of what a task wrote: to standard error, or to standard output where that is empty. */
async function taskOutput(session: Session, task: Task): Promise<string> {
  const useStderr = task.stderrLength > 0n;
  const { text } = await lastOutput(session, {
    taskId: task.taskId,
    stream: useStderr ? OutputStream.STDERR : OutputStream.STDOUT,
    length: useStderr ? task.stderrLength : task.stdoutLength,
    lines: shownLines,
  });
  const lines = text === "" ? [] : text.split("\n").map((line) => `    ${line}\n`);
  const more = useStderr ? " --stderr" : "";
  return `${lines.join("")}    all of it: howdah logs ${task.taskId}${more}\n`;
}
