import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type CreateRequestRequest,
  RequestCommitSchema,
  RequestHeaderSchema,
  TaskChunkSchema,
  type TaskRelease,
  type TaskSpec,
} from "@howdah/proto/howdah/v1/store_request_creation";
import type { Knex } from "knex";
import { desiredStates } from "../components/desired-states.js";
import { isDuplicate } from "../database/database-errors.js";
import { type Executed, newId, type Statement } from "../database/statement.js";
import { together } from "../database/together.js";
import { commitTogether, inTransaction } from "../database/transaction.js";
import { invalid } from "../invalid.js";
import type { Bindings } from "../store/bindings.js";
import {
  allPending,
  findByKey,
  makeReady,
  type NewTask,
  requestRows,
  roleRows,
  taskRows,
  touchPreparing,
} from "../store/insert-request.js";
import { abandonPreparing, deleteAbandoned } from "../store/purge-preparing.js";
import { requestOf, type StoredRequest, selectRequest } from "../store/read-requests.js";
import { readTasks, type TaskRow } from "../store/task-rows.js";
import { countsOf, firstReleases, standingOf } from "./first-releases.js";
import { newTask } from "./new-task.js";
import { createDraft, type RequestDraft } from "./request-draft.js";
import type { TaskIds } from "./task-ids.js";

/** A request that is stored. */
export interface Created {
  readonly requestId: number;
  /** False when it was there already. */
  readonly created: boolean;
  /** Of all its tasks, in the order sent; only when `created`, and not when it is not known which of them were released with it. */
  readonly taskIds: readonly number[];
  /** What was stored now, as it was committed; absent when that was another call. */
  readonly stored?: Stored;
}

/** A request as it was committed. */
interface Stored {
  readonly request: StoredRequest;
  readonly draft: RequestDraft;
  /** The tasks that were released with it, in the order asked for. */
  readonly released: readonly TaskRow[];
}

/**
 * Stores a request that comes in parts. One that fits in one chunk is one transaction, in one round trip, or two when tasks are released
 * with it. A larger one is PREPARING, and seen by nobody, while its chunks are written in transactions of their own; a last small one makes
 * it visible. What broke off half-way is made anew when the same key comes again. Nothing more is committed of one with releases once the
 * signal has aborted.
 */
export async function createRequest(
  db: Knex,
  ids: TaskIds,
  bindings: Bindings,
  parts: AsyncIterable<CreateRequestRequest>,
  clock: () => number,
  signal: AbortSignal,
): Promise<Created> {
  let draft: RequestDraft | undefined;
  let preparing: number | undefined;
  let waiting: readonly TaskSpec[] = [];
  const taskIds: number[] = [];

  const number = async (of: RequestDraft, specs: readonly TaskSpec[]): Promise<NewTask[]> => {
    const taken = await ids.take(db, specs.length);
    for (const id of taken) taskIds.push(id);
    return specs.map((spec, i) => newTask(of, taken[i] ?? 0, spec));
  };

  for await (const part of unfolded(parts)) {
    if (draft === undefined) {
      if (part.case !== "header")
        throw invalid("part", part.case, "comes first; send the header first");
      draft = createDraft(part.value);
      continue;
    }
    switch (part.case) {
      case "header":
        throw invalid("part", part.case, "came twice; a stream makes one request");
      case "stage":
        draft.addStage(part.value);
        break;
      case "tasks":
        draft.addTasks(part.value);
        if (waiting.length > 0) {
          if (preparing === undefined) {
            const stored = await findStored(db, draft);
            if (stored !== undefined) return stored;
            preparing = await prepare(db, draft, clock());
          }
          await insertChunk(db, preparing, draft, await number(draft, waiting), clock());
        }
        waiting = part.value.tasks;
        break;
      case "releases":
        draft.addReleases(part.value);
        break;
      case "commit": {
        draft.commit(part.value);
        const tasks = await number(draft, waiting);
        const now = clock();
        return preparing === undefined
          ? insertWhole(db, bindings, draft, tasks, now, signal)
          : finish(db, draft, preparing, tasks, taskIds, now);
      }
      case undefined:
        throw invalid(
          "part",
          "nothing",
          "is not known here; send a header, stages, tasks or the commit",
        );
    }
  }
  throw invalid(
    "part",
    "end of stream",
    "came before the commit; nothing was stored, send it again",
  );
}

/** A part; what is released with a request comes by itself, before the commit. */
type Part =
  | Exclude<CreateRequestRequest["part"], { case: "whole" }>
  | { readonly case: "releases"; readonly value: readonly TaskRelease[] };

/** The parts one by one, those of a request that came in one message too. */
async function* unfolded(messages: AsyncIterable<CreateRequestRequest>): AsyncGenerator<Part> {
  for await (const { part } of messages) {
    if (part.case === "whole") {
      const { header = create(RequestHeaderSchema), stages, tasks, releases } = part.value;
      yield { case: "header", value: header };
      for (const stage of stages) yield { case: "stage", value: stage };
      if (tasks.length > 0) yield { case: "tasks", value: create(TaskChunkSchema, { tasks }) };
      yield { case: "releases", value: releases };
      const commit = create(RequestCommitSchema, { taskCount: tasks.length });
      yield { case: "commit", value: commit };
    } else yield part;
  }
}

/** The request that has the draft's key already, if its content is the same. One that was never finished gives way. */
async function findStored(db: Knex, { header }: RequestDraft): Promise<Created | undefined> {
  const found = await findByKey(db, header.idempotencyKey);
  if (found === undefined) return undefined;
  const { requestId, digest, ready } = found;
  if (!digest.equals(header.contentDigest)) throw keyTaken(header.idempotencyKey, requestId);
  if (ready === 1) return { requestId, created: false, taskIds: [] };
  if (await abandonPreparing(db, requestId)) await deleteAbandoned(db, requestId);
  return undefined;
}

/** The error of a key that stands for another content. */
export function keyTaken(key: string, requestId: number): ConnectError {
  return new ConnectError(
    `idempotency_key "${key}" is request ${requestId}'s, whose content is another; take a new key for a new request`,
    Code.AlreadyExists,
  );
}

/** Begins a request that is written in several transactions. */
async function prepare(db: Knex, draft: RequestDraft, now: number): Promise<number> {
  try {
    const [made] = await commitTogether(db, requestRows(draft, allPending, { ready: false, now }));
    return (made as Executed).insertId;
  } catch (error) {
    if (isDuplicate(error)) throw overtaken(draft);
    throw error;
  }
}

function overtaken({ header }: RequestDraft): ConnectError {
  return new ConnectError(
    `another call is making the request of idempotency_key "${header.idempotencyKey}"; send it again`,
    Code.Aborted,
  );
}

async function insertChunk(
  db: Knex,
  requestId: number,
  draft: RequestDraft,
  tasks: readonly NewTask[],
  now: number,
): Promise<void> {
  const { header } = draft;
  try {
    await inTransaction(db, async (trx) => {
      if (!(await touchPreparing(trx, requestId, header.idempotencyKey, now))) {
        throw overtaken(draft);
      }
      await together(trx, taskRows(requestId, tasks));
    });
  } catch (error) {
    // The ids are ours alone, so it was committed and the answer was lost.
    if (!isDuplicate(error)) throw error;
  }
}

/** How many tasks' components are written in one transaction. */
const wantedAtOnce = 1_000;

/** Makes visible a request that was written in several transactions. `taskIds`: of all its tasks; `tasks`: those not written yet. */
async function finish(
  db: Knex,
  draft: RequestDraft,
  preparing: number,
  tasks: readonly NewTask[],
  taskIds: readonly number[],
  now: number,
): Promise<Created> {
  const { header, stages } = draft;
  const earlier = taskIds.slice(0, taskIds.length - tasks.length);
  // A piece at a time, before the commit that makes it ready: in one with that, a large request's would keep the reports about every
  // component waiting for half a minute. What was asked for stands there then, should the request never come to be.
  for (let from = 0; from < earlier.length; from += wantedAtOnce) {
    const piece = desiredStates(preparing, draft, earlier.slice(from, from + wantedAtOnce));
    if (piece.length > 0) await commitTogether(db, piece);
  }
  const own = tasks.map(({ row }) => row.taskId);
  const request = await inTransaction(db, async (trx) => {
    if (!(await makeReady(trx, preparing, header.idempotencyKey, now))) {
      // Ready already: the commit before this one was lost on its way back.
      const found = await findByKey(trx, header.idempotencyKey);
      if (found?.requestId === preparing && found.ready === 1) return undefined;
      throw overtaken(draft);
    }
    const answers = await together(trx, [
      ...taskRows(preparing, tasks),
      roleRows(preparing, stages, countsOf(draft, [])),
      ...desiredStates(preparing, draft, own),
      selectRequest(preparing),
    ]);
    return requestOf(answers.at(-1));
  });
  const stored = request && { request, draft, released: [] };
  return { requestId: preparing, created: true, taskIds, ...(stored && { stored }) };
}

async function insertWhole(
  db: Knex,
  bindings: Bindings,
  draft: RequestDraft,
  tasks: readonly NewTask[],
  now: number,
  signal: AbortSignal,
): Promise<Created> {
  const taskIds = tasks.map(({ row }) => row.taskId);
  for (let tries = 1; tries <= 2; tries += 1) {
    try {
      const stored = await inTransaction(db, async (trx) => {
        const { released, fence } = await firstReleases(trx, bindings, draft, tasks, now);
        // Who asked keeps the hosts for these tasks, but not for long after the call has ended.
        if (released.length > 0) signal.throwIfAborted();
        const rows = wholeRows(draft, tasks, released, now);
        const answers = await trx.finish([...rows, ...fence]);
        const request = requestOf(answers[rows.length - 1]);
        if (request === undefined) throw new Error("a request is not there that was just made");
        const { requestId } = request;
        return { request, draft, released: released.map((row) => ({ ...row, requestId })) };
      });
      return { requestId: stored.request.requestId, created: true, taskIds, stored };
    } catch (error) {
      if (!isDuplicate(error)) throw error;
    }
    // Somebody was first: another call, or this one, whose commit was answered into a broken connection. Or it broke off half-way: then
    // its key is free now.
    const stored = await findStored(db, draft);
    if (stored === undefined) continue;
    const first = taskIds[0] ?? 0;
    const ours = (await readTasks(db, [first])).get(first)?.requestId === stored.requestId;
    if (!ours) return stored;
    return { ...stored, created: true, taskIds: draft.releases.length > 0 ? [] : taskIds };
  }
  throw overtaken(draft);
}

/** Inserts a request and all it has, some of its tasks released, and reads it. */
function wholeRows(
  draft: RequestDraft,
  tasks: readonly NewTask[],
  released: readonly TaskRow[],
  now: number,
): Statement[] {
  const counts = countsOf(draft, released);
  const rows = new Map(released.map((row) => [row.taskId, row]));
  const made = tasks.map(({ row, command }) => ({ row: rows.get(row.taskId) ?? row, command }));
  const taskIds = tasks.map(({ row }) => row.taskId);
  return [
    ...requestRows(draft, standingOf(draft, counts), { ready: true, now }),
    roleRows(newId, draft.stages, counts),
    ...taskRows(newId, made),
    ...desiredStates(newId, draft, taskIds),
    selectRequest(newId),
  ];
}
