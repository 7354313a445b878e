import { Status } from "@howdah/proto/howdah/v1/status";
import type { TaskSpec } from "@howdah/proto/howdah/v1/store_request_creation";
import { componentCommandOf } from "@howdah/state/component-states";
import type { NewRequest, NewTask } from "../store/insert-request.js";
import { untouched } from "./next-task.js";

/** A task of a request that is being stored, as it waits for its release. */
export function newTask(
  { header, stages }: NewRequest,
  taskId: number,
  { stageId, roleIndex, hostId, batch, command }: TaskSpec,
): NewTask {
  const role = stages[stageId]?.roles[roleIndex];
  if (role === undefined) throw new Error(`stage ${stageId} has no role ${roleIndex}`);
  const customCommand = role.command?.customCommand ?? "";
  const does =
    header.clusterId === 0n ? undefined : componentCommandOf(role.roleCommand, customCommand);
  const row = {
    ...untouched,
    // Known once it is inserted.
    requestId: 0,
    taskId,
    stageId,
    roleIndex,
    hostId: Number(hostId),
    role: role.role,
    roleCommand: role.roleCommand,
    componentCommand: does ?? null,
    batch,
    manual: role.manual,
    status: Status.PENDING as const,
    attempt: 1,
    sessionEpoch: 0,
    changeVersion: 1,
  };
  return { row, command };
}
