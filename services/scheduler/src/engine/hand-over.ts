import { Status } from "@howdah/proto/howdah/v1/status";
import type { RequestTransitionsResult } from "@howdah/proto/howdah/v1/store_transitions";
import type { Cancel, ReleasedCommand } from "./dispatcher-link.js";
import type { HostQueues } from "./host-queues.js";
import type { RequestRun } from "./request-run.js";
import type { RunTask } from "./run-task.js";

/** What handing over needs. */
export interface HandOverOptions {
  readonly runs: ReadonlyMap<bigint, RequestRun>;
  readonly queues: HostQueues;
  /** Hands commands to a dispatcher; returns at once. */
  readonly enqueue: (dispatcher: string, commands: readonly ReleasedCommand[]) => void;
  /** Hands cancels to a dispatcher; returns at once. */
  readonly cancel: (dispatcher: string, cancels: readonly Cancel[]) => void;
}

/**
 * Hands committed releases to the dispatchers of their hosts. A host without a session registers again, and its dispatcher sends it then
 * what its journal lacks.
 */
export function handOverCommands(
  { runs, queues, enqueue }: HandOverOptions,
  results: readonly Pick<RequestTransitionsResult, "commands">[],
): void {
  const lists = new Map<string, ReleasedCommand[]>();
  for (const { commands } of results) {
    for (const command of commands) {
      const task = runs.get(command.requestId)?.task(command.taskId);
      const session = queues.session(command.hostId);
      // Not QUEUED: its agent has it already.
      if (session === undefined || task?.status !== Status.QUEUED) continue;
      append(lists, session.dispatcher, { sessionEpoch: task.sessionEpoch, command });
    }
  }
  for (const [dispatcher, commands] of lists) enqueue(dispatcher, commands);
}

/** Hands cancels to the dispatchers of their hosts. A host without a session is told when it has one again. */
export function handOverCancels(
  { runs, queues, cancel }: HandOverOptions,
  tasks: Iterable<RunTask>,
): void {
  const lists = new Map<string, Cancel[]>();
  for (const { hostId, taskId, attempt, requestId } of tasks) {
    const session = queues.session(hostId);
    if (session === undefined) continue;
    const reason = runs.get(requestId)?.reason || "the request was aborted";
    append(lists, session.dispatcher, { hostId, taskId, attempt, reason });
  }
  for (const [dispatcher, cancels] of lists) cancel(dispatcher, cancels);
}

function append<T>(lists: Map<string, T[]>, dispatcher: string, one: T): void {
  const list = lists.get(dispatcher);
  if (list === undefined) lists.set(dispatcher, [one]);
  else list.push(one);
}
