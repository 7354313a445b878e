import { OutputStream } from "@howdah/proto/howdah/v1/command";
import type { Request, Stage, Task } from "@howdah/proto/howdah/v1/request";
import { sum } from "@howdah/state/counts";
import { openStatuses } from "@howdah/state/statuses";
import type { Knex } from "knex";
import type { ListedTask } from "../store/list-tasks.js";
import { readStored, streamName } from "../store/output.js";
import { readRequest, readStages } from "../store/read-requests.js";
import { type StageHeaders, stageName } from "../store/stage-headers.js";
import { toRequestMessage, toStageMessage, toTaskMessage } from "./request-messages.js";

/** A request with its stages. */
export interface RequestView {
  readonly request: Request;
  readonly stages: Stage[];
  /** Not over. */
  readonly open: boolean;
  readonly version: number;
}

/** Reads a request with its stages; undefined when there is none. The stages may be newer than the request, never older. */
export async function readRequestView(
  db: Knex,
  headers: StageHeaders,
  requestId: number,
): Promise<RequestView | undefined> {
  const request = await readRequest(db, requestId);
  if (request === undefined) return undefined;
  const stages = await readStages(db, requestId);
  const counts = sum(stages.flatMap((stage) => stage.roles.map((role) => role.counts)));
  const shared = await headers.read(db, stages);
  return {
    request: toRequestMessage(request, counts, Date.now()),
    stages: stages.map((stage) => toStageMessage(stage, shared.get(stageName(stage)) ?? [])),
    open: request.open,
    version: request.version,
  };
}

/** Tasks as callers get them. How long the output of open ones is so far is looked up; an ended one's agent has declared it. */
export async function toTaskMessages(
  db: Knex,
  stages: StageHeaders,
  tasks: readonly ListedTask[],
): Promise<Task[]> {
  const headers = await stages.read(db, tasks);
  const streams = [OutputStream.STDOUT, OutputStream.STDERR];
  const stored = await readStored(
    db,
    tasks
      .filter(({ status, startTime }) => openStatuses.has(status) && startTime > 0)
      .flatMap(({ taskId, attempt }) => streams.map((stream) => ({ taskId, attempt, stream }))),
  );
  return tasks.map((task) =>
    toTaskMessage(task, {
      shared: headers.get(stageName(task))?.[task.roleIndex],
      stdoutLength: stored.get(streamName({ ...task, stream: OutputStream.STDOUT })),
      stderrLength: stored.get(streamName({ ...task, stream: OutputStream.STDERR })),
    }),
  );
}
