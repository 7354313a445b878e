import { create, fromBinary } from "@bufbuild/protobuf";
import {
  type CommandSpec,
  CommandSpecSchema,
  type ExecutionCommand,
  ExecutionCommandSchema,
} from "@howdah/proto/howdah/v1/command";
import type { Knex } from "knex";
import { type BoundedMap, createBoundedMap } from "../bounded-map.js";
import { type Bindings, createBindings, unbound } from "../store/bindings.js";
import { readOwnCommands } from "../store/read-commands.js";
import {
  createStageHeaders,
  type SharedCommand,
  type StageHeaders,
  stageName,
} from "../store/stage-headers.js";
import type { TaskRow } from "../store/task-rows.js";
import type { RequestDraft } from "./request-draft.js";

/** What commands are put together from, kept in mind by this process. */
export interface CommandParts {
  readonly stages: StageHeaders;
  readonly bindings: Bindings;
  /** Requests whose tasks have nothing of their own in what they run. */
  readonly shared: BoundedMap<number, true>;
}

/** Nothing in mind yet. */
export function createCommandParts(): CommandParts {
  return {
    stages: createStageHeaders(),
    bindings: createBindings(),
    shared: createBoundedMap(1_000),
  };
}

/** Keeps in mind what a request was made with, so that it need not be read for its first tasks. */
export function keepInMind(parts: CommandParts, requestId: number, draft: RequestDraft): void {
  parts.stages.keep(requestId, draft.stages);
  if (!draft.hasOwnCommands) parts.shared.set(requestId, true);
}

/** Puts together what is sent to the agents for tasks, in the order of the tasks. */
export async function assembleCommands(
  db: Knex,
  parts: CommandParts,
  tasks: readonly TaskRow[],
): Promise<ExecutionCommand[]> {
  if (tasks.length === 0) return [];
  const stages = await parts.stages.read(db, tasks);
  const bindings = await parts.bindings.read(
    db,
    tasks.map(({ bindingId }) => bindingId),
  );
  const own = await readOwnCommands(
    db,
    tasks.filter(({ requestId }) => !parts.shared.get(requestId)).map(({ taskId }) => taskId),
  );
  return tasks.map((task) => {
    const shared = stages.get(stageName(task))?.[task.roleIndex];
    if (shared === undefined) throw new Error(`task ${task.taskId}: its role is not in its stage`);
    const { bindingId: _, ...digests } = bindings.get(task.bindingId) ?? unbound;
    return create(ExecutionCommandSchema, {
      taskId: BigInt(task.taskId),
      attempt: task.attempt,
      requestId: BigInt(task.requestId),
      stageId: task.stageId,
      hostId: BigInt(task.hostId),
      role: shared.role.role,
      roleCommand: shared.role.roleCommand,
      spec: mergedSpec(shared, own.get(task.taskId)),
      ...digests,
      cancelRequested: task.cancelRequested,
    });
  });
}

/** What a task runs: what its role shares, and its own on top. One serialised message after another is protobuf's merge. */
export function mergedSpec(shared: SharedCommand, own: Uint8Array | undefined): CommandSpec {
  if (own === undefined) return shared.role.command ?? create(CommandSpecSchema);
  return fromBinary(CommandSpecSchema, Buffer.concat([shared.bytes, own]));
}
