import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type PurgeRequestsRequest,
  type PurgeRequestsResponse,
  PurgeRequestsResponseSchema,
} from "@howdah/proto/howdah/v1/store_purge";
import { total as totalOf } from "@howdah/state/counts";
import type { Knex } from "knex";
import { untilItHolds } from "../database/transaction.js";
import { invalid } from "../invalid.js";
import { countAlertHistory, deleteAlertHistory } from "../store/list-alert-history.js";
import { deletePackage, isQuiet, listUnnamed } from "../store/purge-packages.js";
import { hideRequest, listEnded, listHidden } from "../store/purge-requests.js";
import { deleteRequest } from "../store/purge-rows.js";
import { purgeUploads } from "../store/put-package.js";
import { readRequestCounts } from "../store/read-requests.js";

const hourMs = 3_600_000;
/** Agents keep their results for so long. */
const answerMs = 7 * 24 * hourMs;
/** So long nothing may have been pushed or applied before packages are looked at. */
const quietMs = 600_000;
const tellEveryMs = 1_000;
const longestRestMs = 1_000;
const historyAtOnce = 1_000;

/** Checks what is to be purged; the age in milliseconds. */
export function checkPurgeRequests({ olderThan }: PurgeRequestsRequest): number {
  const hint =
    "is not an hour or more; say how old what may go must be, such as 7776000s for 90 days";
  if (olderThan === undefined) throw invalid("older_than", "nothing", hint);
  const ms = durationMs(olderThan);
  if (!(ms >= hourMs)) throw invalid("older_than", `${ms / 1000}s`, hint);
  return ms;
}

/**
 * Deletes what ended longer than `olderThanMs` before `now`, oldest first, and what alerts said before that, and says how far it is. Ends when the signal aborts,
 * between two statements; called again it goes on.
 */
export async function* purgeRequests(
  db: Knex,
  { olderThanMs, dryRun, now }: { olderThanMs: number; dryRun: boolean; now: number },
  signal: AbortSignal,
): AsyncGenerator<PurgeRequestsResponse> {
  const before = now - olderThanMs;
  const total = { requests: 0, tasks: 0, outputBytes: 0, packages: 0, packageBytes: 0 };
  let alertChanges = 0;
  const say = (done: boolean) =>
    create(PurgeRequestsResponseSchema, {
      requests: BigInt(total.requests),
      tasks: BigInt(total.tasks),
      outputBytes: BigInt(total.outputBytes),
      packages: BigInt(total.packages),
      packageBytes: BigInt(total.packageBytes),
      alertChanges: BigInt(alertChanges),
      endedBefore: timestampFromMs(before),
      done,
    });
  let told = performance.now();
  const isTimeToTell = () => {
    const due = performance.now() - told >= tellEveryMs;
    if (due) told = performance.now();
    return due;
  };

  async function* remove(requestId: number) {
    let began = performance.now();
    for await (const { tasks = 0, outputBytes = 0 } of deleteRequest(db, requestId)) {
      total.tasks += tasks;
      total.outputBytes += outputBytes;
      if (isTimeToTell()) yield say(false);
      await rest(performance.now() - began, signal);
      began = performance.now();
    }
    total.requests += 1;
  }

  const doomed = new Set<number>();
  if (!dryRun) for (const requestId of await listHidden(db)) yield* remove(requestId);
  for (let above: number | undefined = 0; above !== undefined; ) {
    signal.throwIfAborted();
    const page = await listEnded(db, above, before);
    const counts = await readRequestCounts(
      db,
      page.ended.map(({ requestId }) => requestId),
    );
    for (const { requestId, endTime } of page.ended) {
      const tasks = counts.get(requestId) ?? {};
      if ((tasks[Status.UNKNOWN] ?? 0) > 0 && endTime >= now - answerMs) continue;
      if (dryRun) {
        doomed.add(requestId);
        total.requests += 1;
        total.tasks += totalOf(tasks);
      } else if (await untilItHolds(() => hideRequest(db, requestId, before))) {
        yield* remove(requestId);
      }
    }
    if (isTimeToTell()) yield say(false);
    above = page.next;
  }

  if (dryRun) alertChanges = await countAlertHistory(db, before);
  for (let deleted = dryRun ? 0 : historyAtOnce; deleted === historyAtOnce; ) {
    signal.throwIfAborted();
    const began = performance.now();
    deleted = await untilItHolds(() => deleteAlertHistory(db, before, historyAtOnce));
    alertChanges += deleted;
    if (isTimeToTell()) yield say(false);
    await rest(performance.now() - began, signal);
  }

  if (await isQuiet(db, now - quietMs)) {
    for (const row of await listUnnamed(db, before, (requestId) => doomed.has(requestId))) {
      signal.throwIfAborted();
      if (!dryRun && !(await deletePackage(db, row, before))) continue;
      total.packages += 1;
      total.packageBytes += row.size;
      if (isTimeToTell()) yield say(false);
    }
  }
  if (!dryRun) await purgeUploads(db);
  yield say(true);
}

/** As long as the work before it took: so a purge takes half of one connection at most, and less when the database is slow. */
async function rest(tookMs: number, signal: AbortSignal): Promise<void> {
  await delay(Math.min(tookMs, longestRestMs), undefined, { signal });
}
