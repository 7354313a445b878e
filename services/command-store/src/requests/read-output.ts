import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import {
  type ReadTaskOutputRequest,
  type ReadTaskOutputResponse,
  ReadTaskOutputResponseSchema,
} from "@howdah/proto/howdah/v1/command_store_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { holdingStatuses, isDone } from "@howdah/state/statuses";
import type { Knex } from "knex";
import { noTask } from "../not-found.js";
import { readAttempts } from "../store/list-tasks.js";
import { readOutput, type StreamKey } from "../store/output.js";
import { readTasks, type TaskRow } from "../store/task-rows.js";
import type { ChangeFeed } from "./change-feed.js";

const chunksAtOnce = 8;

/** What is known of how an attempt ended. */
interface End {
  readonly ended: boolean;
  /** Bytes of the stream in the end; null when its agent did not say. */
  readonly length: number | null;
  /** Nobody can tell when more comes. */
  readonly lost: boolean;
}

/**
 * Reads a stream of an attempt's output from an offset: what is stored, and with `follow` what comes, until the attempt has ended and
 * all of it is here. The last message has no data and says whether that is so. A follower of a task that became UNKNOWN gets
 * what is there: nobody can tell when the rest comes.
 */
export async function* readTaskOutput(
  db: Knex,
  feed: ChangeFeed,
  request: ReadTaskOutputRequest,
  signal: AbortSignal,
): AsyncGenerator<ReadTaskOutputResponse> {
  const key = await streamKey(db, request);
  let offset = Number(request.offset);
  while (!signal.aborted) {
    // The end first: what is stored is then read after it.
    const end = await endOf(db, key);
    for (;;) {
      const chunks = await readOutput(db, key, offset, chunksAtOnce);
      const fresh = chunks.filter(({ position, data }) => position + data.length > offset);
      for (const { position, data } of fresh) {
        const rest = data.subarray(Math.max(0, offset - position));
        yield create(ReadTaskOutputResponseSchema, { offset: BigInt(offset), data: rest });
        offset += rest.length;
      }
      if (chunks.length < chunksAtOnce) break;
    }
    const complete = end.ended && offset >= (end.length ?? 0);
    if (complete || end.lost || !request.follow) {
      yield create(ReadTaskOutputResponseSchema, { offset: BigInt(offset), complete });
      return;
    }
    await feed.taskTouched(key.taskId, signal);
  }
}

async function streamKey(
  db: Knex,
  { taskId, attempt, stream }: ReadTaskOutputRequest,
): Promise<StreamKey> {
  const task = (await readTasks(db, [Number(taskId)])).get(Number(taskId));
  if (task === undefined) throw noTask(taskId);
  if (attempt < 0 || attempt > task.attempt) {
    throw new ConnectError(
      `task ${taskId} has no attempt ${attempt}, its last is ${task.attempt}`,
      Code.NotFound,
    );
  }
  return {
    taskId: task.taskId,
    attempt: attempt || task.attempt,
    stream: stream || OutputStream.STDOUT,
  };
}

async function endOf(db: Knex, key: StreamKey): Promise<End> {
  const task = (await readTasks(db, [key.taskId])).get(key.taskId);
  if (task === undefined) throw noTask(BigInt(key.taskId));
  if (key.attempt < task.attempt) {
    const former = (await readAttempts(db, key.taskId)).find(
      ({ attempt }) => attempt === key.attempt,
    );
    const lost = former === undefined || former.status === Status.UNKNOWN;
    const length = former === undefined ? null : lengthOf(former, key.stream);
    return { ended: !lost, length, lost };
  }
  const held = holdingStatuses.has(task.status) && task.status !== Status.HOLDING;
  const lost = task.status === Status.UNKNOWN;
  return {
    ended: (isDone(task.status) || held) && !lost,
    length: lengthOf(task, key.stream),
    lost,
  };
}

function lengthOf(
  row: Pick<TaskRow, "stdoutLength" | "stderrLength" | "structuredLength">,
  stream: OutputStream,
): number | null {
  switch (stream) {
    case OutputStream.STDERR:
      return row.stderrLength;
    case OutputStream.STRUCTURED:
      return row.structuredLength;
    default:
      return row.stdoutLength;
  }
}
