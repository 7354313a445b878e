import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type Lease, LeaseSchema } from "@howdah/proto/howdah/v1/store_leases";
import type { TaskChange } from "@howdah/proto/howdah/v1/task_change";
import { isDone, type TaskStatus } from "@howdah/state/statuses";
import type { Knex } from "knex";
import type { Logger } from "pino";
import { alertCalls } from "../alerts/alert-calls.js";
import { checkId } from "../check-id.js";
import { componentCalls } from "../components/component-calls.js";
import { untilItHolds } from "../database/transaction.js";
import { checkRecordHostStatuses, recordHostStatuses } from "../hosts/record-host-statuses.js";
import { noRequest, noTask } from "../not-found.js";
import { scheduleCalls } from "../schedules/schedule-calls.js";
import { findByKey } from "../store/insert-request.js";
import { type LeaseRow, readLeases, releaseLease, renewLease } from "../store/leases.js";
import { findHostId, listTasks, readAttempts, readListedTask } from "../store/list-tasks.js";
import { readOwnCommands } from "../store/read-commands.js";
import {
  listRequests,
  listUnfinished,
  readRequestCounts,
  readVersions,
} from "../store/read-requests.js";
import { readStoreId } from "../store/read-store-id.js";
import { writeClosedSessions } from "../store/sessions.js";
import { stageName } from "../store/stage-headers.js";
import { createTaskRequests, type TaskKey } from "../store/task-requests.js";
import { appendOutput } from "./append-output.js";
import { createChangeFeed } from "./change-feed.js";
import {
  checkAcquireLease,
  checkAppendOutput,
  checkListRequests,
  checkListTasks,
  checkOpenSession,
  checkReadTaskOutput,
  checkRecordReports,
  checkRecordTransitions,
  leaseLost,
} from "./command-store-requests.js";
import { assembleCommands, createCommandParts, keepInMind, mergedSpec } from "./commands.js";
import { createRequest, keyTaken } from "./create-request.js";
import { acquireLease } from "./leases.js";
import { openSessions } from "./open-sessions.js";
import { createOutputFeed } from "./output-feed.js";
import { checkPurgeRequests, purgeRequests } from "./purge-requests.js";
import { readTaskOutput } from "./read-output.js";
import { readRequestView, toTaskMessages } from "./read-request.js";
import { checkRecordLostHosts, recordLostHosts } from "./record-lost-hosts.js";
import { recordReports } from "./record-reports.js";
import { recordTransitions } from "./record-transitions.js";
import { checkDigest, checkKey } from "./request-draft.js";
import { toAttemptMessage, toRequestMessage } from "./request-messages.js";
import { createSessionOpener } from "./session-opener.js";
import { createTaskIds } from "./task-ids.js";
import { watchRequest } from "./watch-request.js";

/** Requests, stages, tasks, commands, output, sessions and leases on this database. */
export function createCommandStoreService(
  db: Knex,
  log: Logger,
): ServiceImpl<typeof CommandStoreService> {
  const feed = createChangeFeed(db, log);
  const output = createOutputFeed(db, log);
  const parts = createCommandParts();
  const taskIds = createTaskIds();
  const taskRequests = createTaskRequests();
  let storeId: string | undefined;
  const openNext = createSessionOpener(async (requests) => {
    storeId ??= await readStoreId(db);
    const { answers, requestIds } = await openSessions(db, parts, storeId, requests, Date.now());
    feed.requestsChanged(requestIds);
    return answers;
  });

  async function viewOf(requestId: bigint) {
    const view = await readRequestView(db, parts.stages, Number(requestId));
    if (view === undefined) throw noRequest(requestId);
    return view;
  }

  return {
    ...scheduleCalls(db),
    ...alertCalls(db),
    async recordHostStatuses(request) {
      checkRecordHostStatuses(request);
      await recordHostStatuses(db, request.statuses, Date.now());
      return {};
    },
    async recordLostHosts(request) {
      checkRecordLostHosts(request);
      const lost = await recordLostHosts(db, request, Date.now());
      return { lostHostIds: lost.map(BigInt) };
    },

    ...componentCalls(db),

    async getRequest({ requestId }) {
      checkId("request_id", requestId);
      const { request, stages } = await viewOf(requestId);
      return { request, stages };
    },

    async listRequests(request) {
      const page = checkListRequests(request);
      const { unfinishedOnly } = request;
      const found = await listRequests(db, { ...page, unfinishedOnly });
      const counts = await readRequestCounts(
        db,
        found.map(({ requestId }) => requestId),
      );
      const full = found.length === page.limit;
      return {
        requests: found.map((row) =>
          toRequestMessage(row, counts.get(row.requestId) ?? {}, Date.now()),
        ),
        nextPageToken: full ? `${found.at(-1)?.requestId ?? ""}` : "",
      };
    },

    async listTasks(request) {
      const { requestId: id, stageId, statuses, hostName, changedAfterVersion } = request;
      const page = checkListTasks(request);
      const requestId = Number(id);
      const version = (await readVersions(db, [requestId])).get(requestId);
      if (version === undefined) throw noRequest(id);
      const hostId = hostName === "" ? undefined : ((await findHostId(db, hostName)) ?? 0);
      const tasks = await listTasks(db, {
        requestId,
        stageId,
        statuses: statuses as TaskStatus[],
        hostId,
        changedAfter: Number(changedAfterVersion),
        ...page,
      });
      const full = tasks.length === page.limit;
      return {
        tasks: await toTaskMessages(db, parts.stages, tasks),
        nextPageToken: full ? `${tasks.at(-1)?.taskId ?? ""}` : "",
        version: BigInt(version),
      };
    },

    async getTask({ taskId: id }) {
      checkId("task_id", id);
      const taskId = Number(id);
      const task = await readListedTask(db, taskId);
      if (task === undefined) throw noTask(id);
      const [message] = await toTaskMessages(db, parts.stages, [task]);
      const headers = await parts.stages.read(db, [task]);
      const shared = headers.get(stageName(task))?.[task.roleIndex];
      if (message === undefined || shared === undefined) throw noTask(id);
      const command = mergedSpec(shared, (await readOwnCommands(db, [taskId])).get(taskId));
      if (command.timeoutMs > 0n) message.timeoutMs = command.timeoutMs;
      const attempts = await readAttempts(db, taskId);
      return {
        task: message,
        command,
        attempts: attempts.map(toAttemptMessage),
      };
    },

    watchRequest(request, { signal }: HandlerContext) {
      checkId("request_id", request.requestId);
      return watchRequest(db, feed, parts.stages, request, signal);
    },

    readTaskOutput(request, { signal }: HandlerContext) {
      checkReadTaskOutput(request);
      return readTaskOutput(db, output, request, signal);
    },

    purgeRequests(request, { signal }: HandlerContext) {
      const olderThanMs = checkPurgeRequests(request);
      const { dryRun } = request;
      return purgeRequests(db, { olderThanMs, dryRun, now: Date.now() }, signal);
    },

    async createRequest(stream, { signal }: HandlerContext) {
      const { bindings } = parts;
      const made = await createRequest(db, taskIds, bindings, stream, Date.now, signal);
      const { requestId, created, taskIds: ids, stored } = made;
      if (stored === undefined) {
        const { request } = await viewOf(BigInt(requestId));
        return { request, created, taskIds: ids.map(BigInt) };
      }
      const { draft, released } = stored;
      keepInMind(parts, requestId, draft);
      taskRequests.keep(released);
      const commands = await assembleCommands(db, parts, released).catch((error: unknown) => {
        log.warn(
          { err: error, request: requestId },
          "cannot read the commands of a request that was made",
        );
        return undefined;
      });
      const queued = released.length;
      const counts = { [Status.PENDING]: ids.length - queued, [Status.QUEUED]: queued };
      const request = toRequestMessage(stored.request, counts, Date.now());
      // It was made, whatever became of reading: without ids its maker looks how its tasks are.
      if (commands === undefined) return { request, created };
      return { request, created, taskIds: ids.map(BigInt), commands };
    },

    async findRequest({ idempotencyKey, contentDigest }) {
      checkKey("idempotency_key", idempotencyKey);
      checkDigest("content_digest", contentDigest);
      const found = await findByKey(db, idempotencyKey);
      if (found?.ready !== 1) return {};
      if (!found.digest.equals(contentDigest)) throw keyTaken(idempotencyKey, found.requestId);
      const { request } = await viewOf(BigInt(found.requestId));
      return { request };
    },

    async listUnfinished() {
      const found = await listUnfinished(db);
      return {
        requests: found.map(({ requestId, version, ownerToken }) => ({
          requestId: BigInt(requestId),
          version: BigInt(version),
          ownerToken: BigInt(ownerToken),
        })),
      };
    },

    async recordTransitions(request) {
      checkRecordTransitions(request);
      const results = await recordTransitions(db, parts, request, Date.now());
      // Soon their agents will have something to say about them.
      for (const { changes } of results) taskRequests.keep(changes.map(taskKeyOf));
      const over = results.filter(({ requestStatus }) => isDone(requestStatus));
      feed.requestsChanged(requestIdsOf(results), new Set(requestIdsOf(over)));
      output.tasksChanged(results.flatMap(({ changes }) => changes.map((c) => Number(c.taskId))));
      return { results };
    },

    async recordReports(request) {
      checkRecordReports(request);
      const recorded = await recordReports(db, taskRequests, request.reports, Date.now());
      const { results, changes, grown, over } = recorded;
      feed.requestsChanged(new Set(requestIdsOf(changes)), over);
      output.tasksChanged(new Set([...grown, ...changes.map(({ taskId }) => Number(taskId))]));
      return { results, changes };
    },

    async appendOutput(request) {
      checkAppendOutput(request);
      const { results, chunks } = await appendOutput(db, request.appends);
      output.appended(chunks);
      return { results };
    },

    async openSession(request) {
      checkOpenSession(request);
      return openNext(request);
    },

    async closeSessions({ sessions }) {
      const keys = sessions.map(({ hostId, sessionEpoch }) => ({
        hostId: Number(hostId),
        sessionEpoch: Number(sessionEpoch),
      }));
      await untilItHolds(() => writeClosedSessions(db, keys, Date.now()));
      return {};
    },

    async acquireLease(request) {
      checkAcquireLease(request);
      const { lease, acquired } = await untilItHolds(() => acquireLease(db, request, Date.now()));
      return { lease: toLease(lease), acquired };
    },

    async renewLease({ name, token }) {
      const renewed = await untilItHolds(() => renewLease(db, name, Number(token), Date.now()));
      if (!renewed) throw leaseLost(name, token);
      return {};
    },

    async releaseLease({ name, token }) {
      await untilItHolds(() => releaseLease(db, name, Number(token)));
      return {};
    },

    async listLeases({ prefix }) {
      return { leases: (await readLeases(db, prefix)).map(toLease) };
    },
  };
}

function taskKeyOf({ taskId, requestId }: TaskChange): TaskKey {
  return { taskId: Number(taskId), requestId: Number(requestId) };
}

function requestIdsOf(all: readonly { readonly requestId: bigint }[]): number[] {
  return all.map(({ requestId }) => Number(requestId));
}

function toLease(row: LeaseRow): Lease {
  return create(LeaseSchema, {
    name: row.name,
    holder: row.holder,
    token: BigInt(row.token),
    counter: BigInt(row.counter),
    durationMs: BigInt(row.durationMs),
    address: row.address,
    renewedAt: timestampFromMs(row.renewedAt),
  });
}
