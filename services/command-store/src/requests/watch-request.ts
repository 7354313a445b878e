import { create } from "@bufbuild/protobuf";
import {
  type WatchRequestRequest,
  type WatchRequestResponse,
  WatchRequestResponseSchema,
} from "@howdah/proto/howdah/v1/store_request_reading";
import type { Knex } from "knex";
import { noRequest } from "../not-found.js";
import { type ChangeCursor, listChangedTasks } from "../store/list-tasks.js";
import type { StageHeaders } from "../store/stage-headers.js";
import type { ChangeFeed } from "./change-feed.js";
import { readRequestView, toTaskMessages } from "./read-request.js";

const tasksPerMessage = 1_000;

/**
 * Follows a request until it is over. Each message is what is true when it is made, so that a slow caller gets several changes in one
 * and nothing piles up. Tasks come in the order of their changes, each change once at least.
 */
export async function* watchRequest(
  db: Knex,
  feed: ChangeFeed,
  headers: StageHeaders,
  { requestId: id, includeTasks }: WatchRequestRequest,
  signal: AbortSignal,
): AsyncGenerator<WatchRequestResponse> {
  const requestId = Number(id);
  const follower = feed.follow(requestId);
  try {
    let seen: ChangeCursor = { version: 0, taskId: 0 };
    while (!signal.aborted) {
      follower.reading();
      // The request first: what it says of its end then holds for the tasks as well.
      const view = await readRequestView(db, headers, requestId);
      if (view === undefined) throw noRequest(id);
      const { request, stages, open, version } = view;
      const changed = includeTasks
        ? await listChangedTasks(db, requestId, seen, tasksPerMessage)
        : [];
      const last = changed.at(-1);
      if (last !== undefined) seen = { version: last.changeVersion, taskId: last.taskId };
      const tasks = await toTaskMessages(db, headers, changed);
      yield create(WatchRequestResponseSchema, { request, stages, tasks });
      if (changed.length === tasksPerMessage) continue;
      if (!open) return;
      await follower.above(version, signal);
    }
  } finally {
    follower.close();
  }
}
