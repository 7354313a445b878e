import { create } from "@bufbuild/protobuf";
import {
  type AppendResult,
  AppendResultSchema,
  type OutputAppend,
} from "@howdah/proto/howdah/v1/command_store_service";
import type { Knex } from "knex";
import { untilItHolds } from "../database/transaction.js";
import { insertOutput, readStored, type StreamKey, streamName } from "../store/output.js";
import { readSessionEpochs } from "../store/sessions.js";
import { readTasks, type TaskRow } from "../store/task-rows.js";
import { chunkProblem, planAppends } from "./output-appends.js";

/** What became of appends: one result each, in the same order, and the tasks whose output grew. */
export interface Appended {
  readonly results: AppendResult[];
  readonly grown: ReadonlySet<number>;
}

/**
 * Stores output where it continues what is stored; what does not changes nothing, and the answer says how much is there. Output of
 * former attempts is taken as well: it may come long after the next one began.
 */
export function appendOutput(db: Knex, appends: readonly OutputAppend[]): Promise<Appended> {
  return untilItHolds(async () => {
    const [tasks, epochs] = await Promise.all([
      readTasks(db, [...new Set(appends.map(({ taskId }) => Number(taskId)))]),
      readSessionEpochs(db, [...new Set(appends.map(({ hostId }) => Number(hostId)))]),
    ]);
    const problems = appends.map((append) =>
      problemOf(append, tasks.get(Number(append.taskId)), epochs.get(Number(append.hostId))),
    );
    const accepted = appends.flatMap((append, i) =>
      append.chunk === undefined || problems[i] !== undefined
        ? []
        : [{ ...keyOf(append), chunk: append.chunk }],
    );
    const stored = await readStored(db, accepted);
    const chunks = planAppends(accepted, stored);
    await insertOutput(db, chunks);
    return {
      results: appends.map((append, i) =>
        create(AppendResultSchema, {
          length: BigInt(stored.get(streamName(keyOf(append))) ?? 0),
          refused: problems[i] ?? "",
        }),
      ),
      grown: new Set(chunks.map(({ taskId }) => taskId)),
    };
  });
}

function keyOf({ taskId, attempt, chunk }: OutputAppend): StreamKey {
  return { taskId: Number(taskId), attempt, stream: chunk?.stream ?? 0 };
}

function problemOf(
  { taskId, attempt, hostId, sessionEpoch, chunk }: OutputAppend,
  task: TaskRow | undefined,
  epoch: number | undefined,
): string | undefined {
  if (chunk === undefined) return "chunk is not set";
  if (task === undefined) return `there is no task ${taskId}`;
  if (hostId !== BigInt(task.hostId)) {
    return `task ${taskId} is host ${task.hostId}'s, not host ${hostId}'s`;
  }
  if (attempt < 1 || attempt > task.attempt) {
    return `task ${taskId} has no attempt ${attempt}, its last is ${task.attempt}`;
  }
  if (sessionEpoch !== BigInt(epoch ?? 0)) {
    return `session ${sessionEpoch} of host ${hostId} is not its current one, which is ${epoch ?? 0}`;
  }
  return chunkProblem(chunk);
}
