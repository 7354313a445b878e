import { clone, create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { type MaintenanceWindow, ScheduleSchema } from "@howdah/proto/howdah/v1/schedule";
import { type StoredSchedule, StoredScheduleSchema } from "@howdah/proto/howdah/v1/store_schedules";

type ScheduleCalls = Pick<
  ServiceImpl<typeof CommandStoreService>,
  | "storeSchedule"
  | "readSchedules"
  | "recordSchedule"
  | "removeSchedule"
  | "storeWindow"
  | "readWindows"
  | "removeWindow"
>;

/** Schedules and windows in memory, by the rules of the store. */
export class FakeSchedules {
  readonly rows = new Map<string, StoredSchedule>();
  readonly windows = new Map<string, MaintenanceWindow>();
  /** The highest token that a scheduler's lease has had. */
  token = 1n;
  /** How many calls of RecordSchedule commit and then fail. */
  loseAnswers = 0;
  /** Called before each RecordSchedule commits; may throw instead. */
  beforeRecord: () => void = () => undefined;
  private nextId = 1n;

  /** Makes the calls; `check` throws while the store is away. */
  calls(check: () => void): ScheduleCalls {
    const fence = (token: bigint) => {
      check();
      if (token < this.token) {
        throw new ConnectError("another one has taken the lease", Code.FailedPrecondition);
      }
    };
    const copy = (row: StoredSchedule) => clone(StoredScheduleSchema, row);
    return {
      storeSchedule: ({ schedulerToken, spec, version, countedUntilMs }) => {
        fence(schedulerToken);
        const name = spec?.name ?? "";
        const old = this.rows.get(name);
        if ((old?.schedule?.version ?? 0n) !== version) {
          throw new ConnectError("changed meanwhile", Code.FailedPrecondition);
        }
        const scheduleId = old?.schedule?.scheduleId ?? this.nextId++;
        const schedule = old?.schedule ?? create(ScheduleSchema, { enabled: true });
        Object.assign(schedule, { scheduleId, version: version + 1n, spec });
        const row = create(StoredScheduleSchema, { schedule, countedUntilMs });
        this.rows.set(name, row);
        return { stored: copy(row) };
      },
      readSchedules: ({ name }) => {
        check();
        const rows = [...this.rows.entries()].filter(([each]) => name === "" || each === name);
        return { schedules: rows.map(([, row]) => copy(row)) };
      },
      recordSchedule: (request) => {
        this.beforeRecord();
        fence(request.schedulerToken);
        const row = [...this.rows.values()].find(
          ({ schedule }) => schedule?.scheduleId === request.scheduleId,
        );
        if (row?.schedule === undefined) return { recorded: false };
        const recorded = row.schedule.version === request.version;
        if (recorded) {
          const { enabled, lastRequestId, lastOutcome, lastOutcomeText, lastDueMs } = request;
          const version = row.schedule.version + 1n;
          Object.assign(row.schedule, {
            ...{ enabled, lastRequestId, lastOutcome, lastOutcomeText, version },
            ...(lastDueMs > 0n && { lastDueAt: timestampFromMs(Number(lastDueMs)) }),
          });
          row.countedUntilMs = request.countedUntilMs;
        }
        if (this.loseAnswers > 0) {
          this.loseAnswers -= 1;
          throw new ConnectError("the connection was lost", Code.Unavailable);
        }
        return { recorded, stored: copy(row) };
      },
      removeSchedule: ({ schedulerToken, name }) => {
        fence(schedulerToken);
        if (this.rows.delete(name)) return {};
        throw new ConnectError(`there is no schedule ${name}`, Code.NotFound);
      },
      storeWindow: ({ schedulerToken, window }) => {
        fence(schedulerToken);
        if (window !== undefined) this.windows.set(window.name, window);
        return {};
      },
      readWindows: () => {
        check();
        return { windows: [...this.windows.values()] };
      },
      removeWindow: ({ schedulerToken, name }) => {
        fence(schedulerToken);
        if (this.windows.delete(name)) return {};
        throw new ConnectError(`there is no window ${name}`, Code.NotFound);
      },
    };
  }
}
