import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import type { TaskSpec } from "@howdah/proto/howdah/v1/store_request_creation";
import { componentCommandOf } from "@howdah/state/component-states";
import type { NewRequest, NewTask } from "../store/insert-request.js";
import type { TaskRow } from "../store/task-rows.js";
import { untouched } from "./next-task.js";

/** Of a task as it waits for its release, what makes it this one apart. */
const waiting: TaskRow = {
  ...untouched,
  // Known once it is inserted.
  requestId: 0,
  taskId: 0,
  stageId: 0,
  roleIndex: 0,
  hostId: 0,
  role: "",
  roleCommand: RoleCommand.UNSPECIFIED,
  componentCommand: null,
  batch: 0,
  manual: false,
  status: Status.PENDING,
  attempt: 1,
  sessionEpoch: 0,
  changeVersion: 1,
};

/** A task of a request that is being stored. Only changes what is in `waiting`: a field that is added behind a spread takes a microsecond. */
export function newTask(
  { header, stages }: NewRequest,
  taskId: number,
  { stageId, roleIndex, hostId, batch, command }: TaskSpec,
): NewTask {
  const of = stages[stageId]?.roles[roleIndex];
  if (of === undefined) throw new Error(`stage ${stageId} has no role ${roleIndex}`);
  const { role, roleCommand, manual } = of;
  const customCommand = of.command?.customCommand ?? "";
  const does = header.clusterId === 0n ? undefined : componentCommandOf(roleCommand, customCommand);
  const componentCommand = does ?? null;
  const row: TaskRow = {
    ...waiting,
    taskId,
    stageId,
    roleIndex,
    hostId: Number(hostId),
    role,
    roleCommand,
    componentCommand,
    batch,
    manual,
  };
  return { row, command };
}
