import type { Task } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import { isFailure, plural, statusWord, taskTook } from "../text/words.js";

/** What a task wrote, or the end of it. */
export interface TaskOutput {
  stdout: string;
  stderr: string;
}

/** What is printed for a host. */
export interface HostBlock {
  /** For standard output. */
  out: string;
  /** For standard error. */
  err: string;
  /** How many lines of output are in it. */
  lines: number;
}

/**
 * A host's part of what an ad-hoc command prints: each line behind the host's name, `|` for what it wrote to standard
 * output and `!` to standard error; of more lines than `limit` the last ones. A line about the task where it did not end
 * well or wrote nothing.
 */
export function hostBlock(task: Task, output: TaskOutput, limit: number): HostBlock {
  const out = lastLines(output.stdout, limit);
  const err = lastLines(output.stderr, limit - out.shown.length);
  const { hostName } = task;
  const hidden = out.hidden + err.hidden;
  const before =
    hidden > 0
      ? `${hostName}: ${plural(hidden, "line")} not shown; howdah logs ${task.taskId}\n`
      : "";
  const lines = out.shown.length + err.shown.length;
  const quiet = task.status === Status.COMPLETED && lines > 0;
  return {
    out: before + prefixed(out.shown, `${hostName} | `) + (quiet ? "" : `${endLine(task)}\n`),
    err: prefixed(err.shown, `${hostName} ! `),
    lines,
  };
}

/** How a task ended: "host1: FAILED, exit code 2, 0.4 s". */
export function endLine(task: Task): string {
  const facts = [
    statusWord(task.status),
    ...(isFailure(task.status) && task.exitCode !== undefined
      ? [`exit code ${task.exitCode}`]
      : []),
    ...(task.reason === "" ? [] : [task.reason]),
    taskTook(task),
  ];
  return `${task.hostName}: ${facts.filter((fact) => fact !== "").join(", ")}`;
}

function lastLines(text: string, limit: number): { shown: string[]; hidden: number } {
  const all = text === "" ? [] : text.replace(/\n$/, "").split("\n");
  const shown = limit <= 0 ? [] : all.slice(-limit);
  return { shown, hidden: all.length - shown.length };
}

function prefixed(lines: readonly string[], prefix: string): string {
  return lines.map((line) => `${prefix}${line}\n`).join("");
}
