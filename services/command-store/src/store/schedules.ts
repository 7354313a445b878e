import { isDuplicate } from "../database/database-errors.js";
import { bytes, execute, query } from "../database/query.js";
import type { Binding } from "../database/statement.js";
import type { Database } from "../database/together.js";
import { noNewerScheduler } from "./scheduler-fence.js";

/** Where a schedule stands. */
export interface ScheduleState {
  readonly enabled: boolean;
  /** Due times up to here do not count any more. */
  readonly countedUntil: number;
  /** 0 before the first. */
  readonly lastDue: number;
  /** 0 before the first. */
  readonly lastRequestId: number;
  /** A howdah.v1.ScheduleOutcome. */
  readonly lastOutcome: number;
  readonly lastOutcomeText: string;
}

/** A row of schedule. */
export interface ScheduleRow extends ScheduleState {
  readonly scheduleId: number;
  /** A serialised howdah.v1.ScheduleSpec. */
  readonly spec: Buffer;
  readonly version: number;
}

type RawRow = Omit<ScheduleRow, "enabled"> & { readonly enabled: number };

const columns = `schedule_id as scheduleId, spec, enabled, version, counted_until as countedUntil, last_due as lastDue,
  last_request_id as lastRequestId, last_outcome as lastOutcome, last_outcome_text as lastOutcomeText`;

async function readWhere(db: Database, where: string, bindings: Binding[]): Promise<ScheduleRow[]> {
  const sql = `select ${columns} from schedule ${where}`;
  const rows = await query<RawRow>(db, sql, bindings);
  return rows.map((row) => ({ ...row, enabled: row.enabled === 1 }));
}

/** All schedules, by name. */
export function readSchedules(db: Database): Promise<ScheduleRow[]> {
  return readWhere(db, "order by name", []);
}

/** The schedule of a name. */
export async function readScheduleNamed(
  db: Database,
  name: string,
): Promise<ScheduleRow | undefined> {
  const [row] = await readWhere(db, "where name = ?", [name]);
  return row;
}

/** The schedule of an id. */
export async function readSchedule(db: Database, id: number): Promise<ScheduleRow | undefined> {
  const [row] = await readWhere(db, "where schedule_id = ?", [id]);
  return row;
}

/** A schedule to be stored. */
export interface ScheduleToStore {
  readonly token: number;
  readonly name: string;
  readonly spec: Uint8Array;
  readonly countedUntil: number;
}

/** Makes a schedule; whether it did: not when there is one of that name, or a newer scheduler. */
export async function insertSchedule(db: Database, schedule: ScheduleToStore): Promise<boolean> {
  const { token, name, spec, countedUntil } = schedule;
  const inserting = execute(
    db,
    `insert into schedule (name, spec, enabled, version, counted_until, last_due, last_request_id, last_outcome, last_outcome_text)
    select ?, ?, 1, 1, ?, 0, 0, 0, '' from store
    where not exists (select 1 from schedule as other where other.name = ?) and ${noNewerScheduler}`,
    [name, bytes(spec), countedUntil, name, token],
  );
  // Of two at once, each of which saw none of that name, the second meets the unique key.
  const { affectedRows } = await inserting.catch((error: unknown) => {
    if (isDuplicate(error)) return { affectedRows: 0 };
    throw error;
  });
  return affectedRows === 1;
}

/** Changes what a schedule runs, if it is in this version and there is no newer scheduler; whether it did. */
export async function updateSpec(
  db: Database,
  { token, name, spec, countedUntil }: ScheduleToStore,
  version: number,
): Promise<boolean> {
  const { affectedRows } = await execute(
    db,
    `update schedule set spec = ?, counted_until = ?, version = version + 1
    where name = ? and version = ? and ${noNewerScheduler}`,
    [bytes(spec), countedUntil, name, version, token],
  );
  return affectedRows === 1;
}

/** Changes where a schedule stands, if it is in this version and there is no newer scheduler; whether it did. */
export async function updateSchedule(
  db: Database,
  { token, scheduleId, version }: { token: number; scheduleId: number; version: number },
  state: ScheduleState,
): Promise<boolean> {
  const { enabled, countedUntil, lastDue, lastRequestId, lastOutcome, lastOutcomeText } = state;
  const { affectedRows } = await execute(
    db,
    `update schedule set enabled = ?, counted_until = ?, last_due = ?, last_request_id = ?, last_outcome = ?,
      last_outcome_text = ?, version = version + 1
    where schedule_id = ? and version = ? and ${noNewerScheduler}`,
    [
      enabled ? 1 : 0,
      countedUntil,
      lastDue,
      lastRequestId,
      lastOutcome,
      lastOutcomeText,
      scheduleId,
      version,
      token,
    ],
  );
  return affectedRows === 1;
}

/** Deletes a schedule, if there is no newer scheduler; whether it did. */
export async function deleteSchedule(db: Database, name: string, token: number): Promise<boolean> {
  const sql = `delete from schedule where name = ? and ${noNewerScheduler}`;
  const { affectedRows } = await execute(db, sql, [name, token]);
  return affectedRows > 0;
}
