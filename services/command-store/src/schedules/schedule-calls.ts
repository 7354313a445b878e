import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { ScheduleSchema, ScheduleSpecSchema } from "@howdah/proto/howdah/v1/schedule";
import type { Knex } from "knex";
import { checkId } from "../check-id.js";
import { untilItHolds } from "../database/transaction.js";
import { hasNewerScheduler } from "../store/scheduler-fence.js";
import {
  deleteSchedule,
  insertSchedule,
  readSchedule,
  readScheduleNamed,
  readSchedules,
  type ScheduleRow,
  updateSchedule,
  updateSpec,
} from "../store/schedules.js";
import { deleteWindow, putWindow, readWindows } from "../store/windows.js";
import { needsOfWindow } from "./needs-of-window.js";
import { checkName, checkOutcomeText, checkWindow, required } from "./schedule-requests.js";

/** The calls about schedules and maintenance windows. */
export type ScheduleCalls = Pick<
  ServiceImpl<typeof CommandStoreService>,
  | "storeSchedule"
  | "readSchedules"
  | "recordSchedule"
  | "removeSchedule"
  | "storeWindow"
  | "readWindows"
  | "removeWindow"
>;

/** Keeps schedules and maintenance windows. When they are due is the scheduler's to say. */
export function scheduleCalls(db: Knex): ScheduleCalls {
  return {
    async storeSchedule({ schedulerToken, spec: given, version, countedUntilMs }) {
      checkId("scheduler_token", schedulerToken);
      const spec = required("spec", given);
      const { name } = spec;
      checkName("spec.name", name);
      const token = Number(schedulerToken);
      const bytes = toBinary(ScheduleSpecSchema, spec);
      const toStore = { token, name, spec: bytes, countedUntil: Number(countedUntilMs) };
      const stored = await untilItHolds(() =>
        version === 0n ? insertSchedule(db, toStore) : updateSpec(db, toStore, Number(version)),
      );
      if (!stored) throw await refusal(db, token, `schedule ${name} has been changed meanwhile`);
      const row = await readScheduleNamed(db, name);
      return row === undefined ? {} : { stored: toMessage(row) };
    },

    async readSchedules({ name }) {
      if (name === "") return { schedules: (await readSchedules(db)).map(toMessage) };
      const row = await readScheduleNamed(db, name);
      return { schedules: row === undefined ? [] : [toMessage(row)] };
    },

    async recordSchedule(request) {
      const { schedulerToken, scheduleId: id, version, enabled, lastOutcome } = request;
      checkId("scheduler_token", schedulerToken);
      checkId("schedule_id", id);
      checkOutcomeText(request.lastOutcomeText);
      const [token, scheduleId] = [Number(schedulerToken), Number(id)];
      const recorded = await untilItHolds(() =>
        updateSchedule(
          db,
          { token, scheduleId, version: Number(version) },
          {
            enabled,
            countedUntil: Number(request.countedUntilMs),
            lastDue: Number(request.lastDueMs),
            lastRequestId: Number(request.lastRequestId),
            lastOutcome,
            lastOutcomeText: request.lastOutcomeText,
          },
        ),
      );
      if (!recorded && (await hasNewerScheduler(db, token))) throw stale(token);
      const row = await readSchedule(db, scheduleId);
      return { recorded, ...(row && { stored: toMessage(row) }) };
    },

    async removeSchedule({ schedulerToken, name }) {
      checkId("scheduler_token", schedulerToken);
      const token = Number(schedulerToken);
      if (await untilItHolds(() => deleteSchedule(db, name, token))) return {};
      throw await refusal(db, token, `there is no schedule ${name}`, Code.NotFound);
    },

    async storeWindow({ schedulerToken, window: given }) {
      checkId("scheduler_token", schedulerToken);
      const window = required("window", given);
      checkWindow(window);
      const { name, cron, timeZone, duration } = window;
      const row = { name, cron, timeZone, durationMs: duration ? durationMs(duration) : 0 };
      const token = Number(schedulerToken);
      await untilItHolds(() => putWindow(db, row, token));
      // Of a window that was as it is now MySQL says that nothing was done.
      if (await hasNewerScheduler(db, token)) throw stale(token);
      return {};
    },

    async readWindows() {
      const rows = await readWindows(db);
      const windows = rows.map(({ durationMs: ms, ...row }) => ({
        ...row,
        duration: durationFromMs(ms),
      }));
      return { windows };
    },

    async removeWindow({ schedulerToken, name }) {
      checkId("scheduler_token", schedulerToken);
      const token = Number(schedulerToken);
      const needs = await needsOfWindow(db, name);
      if (needs !== undefined) {
        throw new ConnectError(
          `window ${name} is needed by ${needs}; change or end those first`,
          Code.FailedPrecondition,
        );
      }
      if (await untilItHolds(() => deleteWindow(db, name, token))) return {};
      throw await refusal(db, token, `there is no window ${name}`, Code.NotFound);
    },
  };
}

function toMessage(row: ScheduleRow) {
  const schedule = create(ScheduleSchema, {
    scheduleId: BigInt(row.scheduleId),
    spec: fromBinary(ScheduleSpecSchema, row.spec),
    enabled: row.enabled,
    ...(row.lastDue > 0 && { lastDueAt: timestampFromMs(row.lastDue) }),
    lastRequestId: BigInt(row.lastRequestId),
    lastOutcome: row.lastOutcome,
    lastOutcomeText: row.lastOutcomeText,
    version: BigInt(row.version),
  });
  return { schedule, countedUntilMs: BigInt(row.countedUntil) };
}

/** Why a write did nothing: a newer scheduler, or else what the caller says. */
async function refusal(
  db: Knex,
  token: number,
  otherwise: string,
  code = Code.FailedPrecondition,
): Promise<ConnectError> {
  return (await hasNewerScheduler(db, token)) ? stale(token) : new ConnectError(otherwise, code);
}

function stale(token: number): ConnectError {
  return new ConnectError(
    `the scheduler's lease ${token} is over: another one has taken it`,
    Code.FailedPrecondition,
  );
}
