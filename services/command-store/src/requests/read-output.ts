import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type ReadTaskOutputRequest,
  type ReadTaskOutputResponse,
  ReadTaskOutputResponseSchema,
} from "@howdah/proto/howdah/v1/store_output";
import { encodedAs, joined, partsWith } from "@howdah/rpc/encoded-message";
import { holdingStatuses, isDone } from "@howdah/state/statuses";
import type { Knex } from "knex";
import { noTask } from "../not-found.js";
import { readAttempts } from "../store/list-tasks.js";
import { readOutput, type StreamKey } from "../store/output.js";
import { readTasks, type TaskRow } from "../store/task-rows.js";
import type { OutputFeed } from "./output-feed.js";

const chunksAtOnce = 8;

/** What is known of how an attempt ended. */
interface End {
  readonly ended: boolean;
  /** Bytes of the stream in the end; null when its agent did not say. */
  readonly length: number | null;
  /** Nobody can tell when more comes. */
  readonly lost: boolean;
  /** Of the task's change that says so. */
  readonly changeVersion: number;
}

/**
 * Reads a stream of an attempt's output from an offset: what is stored, and with `follow` what comes, until the attempt has ended and
 * all of it is here. The last message has no data and says whether that is so. A follower of a task that became UNKNOWN gets
 * what is there: nobody can tell when the rest comes.
 */
export async function* readTaskOutput(
  db: Knex,
  feed: OutputFeed,
  request: ReadTaskOutputRequest,
  signal: AbortSignal,
): AsyncGenerator<ReadTaskOutputResponse> {
  const key = await streamKey(db, request);
  let offset = Number(request.offset);
  // Before the first look, so that nothing falls between.
  const follower = request.follow ? feed.follow(key) : undefined;
  try {
    // The end first: what is stored is then read after it.
    let end = await endOf(db, key);
    let look = true;
    while (!signal.aborted) {
      if (look) {
        for await (const { at, data } of storedFrom(db, key, offset)) {
          yield message(at, data);
          offset = at + data.length;
        }
      }
      const complete = end.ended && offset >= (end.length ?? 0);
      if (complete || end.lost || follower === undefined) {
        yield create(ReadTaskOutputResponseSchema, { offset: BigInt(offset), complete });
        return;
      }
      const news = await follower.news(offset, end.changeVersion, signal);
      for (const data of news.chunks) {
        yield message(offset, data);
        offset += data.length;
      }
      if (news.task) end = await endOf(db, key);
      look = news.store || news.task;
    }
  } finally {
    follower?.close();
  }
}

/** What is stored of a stream from an offset on, a chunk at a time. */
async function* storedFrom(
  db: Knex,
  key: StreamKey,
  from: number,
): AsyncGenerator<{ at: number; data: Buffer }> {
  let offset = from;
  for (;;) {
    const chunks = await readOutput(db, key, offset, chunksAtOnce);
    for (const { position, data } of chunks) {
      if (position + data.length <= offset) continue;
      const rest = data.subarray(Math.max(0, offset - position));
      yield { at: offset, data: rest };
      offset += rest.length;
    }
    if (chunks.length < chunksAtOnce) return;
  }
}

/** A message with bytes, encoded already, with one copy of them. */
function message(offset: number, data: Buffer): ReadTaskOutputResponse {
  const rest = { offset: BigInt(offset) };
  return encodedAs(
    create(ReadTaskOutputResponseSchema, { ...rest, data }),
    joined(partsWith(ReadTaskOutputResponseSchema, rest, "data", [data])),
  );
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
  const { changeVersion } = task;
  if (key.attempt < task.attempt) {
    const former = (await readAttempts(db, key.taskId)).find(
      ({ attempt }) => attempt === key.attempt,
    );
    const lost = former === undefined || former.status === Status.UNKNOWN;
    const length = former === undefined ? null : lengthOf(former, key.stream);
    return { ended: !lost, length, lost, changeVersion };
  }
  const held = holdingStatuses.has(task.status) && task.status !== Status.HOLDING;
  const lost = task.status === Status.UNKNOWN;
  return {
    ended: (isDone(task.status) || held) && !lost,
    length: lengthOf(task, key.stream),
    lost,
    changeVersion,
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
