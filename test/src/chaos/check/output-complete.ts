import type { StoredStream } from "./history.js";
import { type Check, grouped, type Violation } from "./violation.js";

const rule = "6 output can be read back without a gap or a repeat";
/** What a script of the load prints: a number in eight digits, and its task. */
const line = /^(\d{8}) ([\w-]+):(\d+):(\d+)$/;

/**
 * Invariant 6: acknowledged output bytes can be read back, without a gap or a repeat, up to the stated cap.
 *
 * Sees: chunks that do not follow each other; less or more stored than the task's row and the agent's journal say; lines of a script
 * of the load that are missing, repeated, in another order or of another task; fewer than the script says it printed. Passes over
 * the end of what a host had that was wiped before all was acknowledged. Cannot see: bytes beyond the cap, which the load does not
 * reach.
 */
export const outputComplete: Check = (history) => {
  const found: Violation[] = [];
  const streams = new Map(
    history.output
      .filter(({ stream }) => stream === 1)
      .map((stream) => [`${stream.taskId}:${stream.attempt}`, stream]),
  );
  const printed = grouped(
    history.scripts.filter(({ kind }) => kind === "end"),
    ({ taskId, attempt }) => `${taskId}:${attempt}`,
  );
  const lost = new Set(
    history.journals
      .filter(({ wipedAtMs }) => wipedAtMs !== undefined)
      .flatMap(({ entries }) => entries.filter(({ acknowledged }) => !acknowledged))
      .map(({ taskId, attempt }) => `${taskId}:${attempt}`),
  );
  for (const stream of history.output) {
    const gap = gapOf(stream);
    if (gap === undefined) continue;
    const what = `${nameOf(stream)}: ${gap}`;
    found.push({ rule, what, taskIds: [stream.taskId] });
  }
  for (const row of [...history.tasks, ...history.formerAttempts]) {
    const { taskId, attempt, stdoutLength } = row;
    const name = `${taskId}:${attempt}`;
    const stream = streams.get(name);
    const stored = stream?.chunks.reduce((sum, { data }) => sum + data.length, 0) ?? 0;
    const report = (what: string) =>
      found.push({ rule, what: `task ${taskId} attempt ${attempt}: ${what}`, taskIds: [taskId] });
    const cutOff = lost.has(name) && stored <= (stdoutLength ?? stored);
    if (stdoutLength !== undefined && stored !== stdoutLength && !cutOff) {
      report(`${stored} bytes are stored, its row says ${stdoutLength}`);
    }
    const problem = stream && problemOf(stream);
    if (problem !== undefined) report(problem);
    const [end, ...more] = printed.get(name) ?? [];
    if (end?.lines === undefined || more.length > 0 || stdoutLength === undefined || cutOff) {
      continue;
    }
    const lines = stream === undefined ? 0 : linesOf(stream).length;
    if (lines !== end.lines) report(`${lines} lines are stored, its script printed ${end.lines}`);
  }
  for (const { entries, host } of history.journals) {
    for (const { taskId, attempt, acknowledged, result } of entries) {
      const row = history.tasks.find((task) => task.taskId === taskId && task.attempt === attempt);
      if (!acknowledged || result === undefined || row?.stdoutLength === undefined) continue;
      if (row.stdoutLength === result.stdoutBytes) continue;
      const what = `task ${taskId} attempt ${attempt} on ${host}: its journal says ${result.stdoutBytes} bytes, its row ${row.stdoutLength}`;
      found.push({ rule, what, taskIds: [taskId] });
    }
  }
  return found;
};

function nameOf({ taskId, attempt, stream }: StoredStream): string {
  return `task ${taskId} attempt ${attempt} stream ${stream}`;
}

function gapOf({ chunks }: StoredStream): string | undefined {
  let end = 0;
  for (const { position, data } of chunks) {
    if (position !== end) return `a chunk begins at ${position}, the one before ends at ${end}`;
    end += data.length;
  }
  return undefined;
}

function linesOf({ chunks }: StoredStream): RegExpExecArray[] {
  const text = Buffer.concat(chunks.map(({ data }) => data)).toString("latin1");
  return text.split("\n").flatMap((one) => {
    const match = line.exec(one);
    return match === null ? [] : [match];
  });
}

function problemOf(stream: StoredStream): string | undefined {
  for (const [i, [, number, , taskId, attempt]] of linesOf(stream).entries()) {
    if (Number(taskId) !== stream.taskId || Number(attempt) !== stream.attempt) {
      return `has a line of task ${taskId} attempt ${attempt}`;
    }
    if (Number(number) !== i + 1) return `line ${i + 1} of its output is numbered ${number}`;
  }
  return undefined;
}
