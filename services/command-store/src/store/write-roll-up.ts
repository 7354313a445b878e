import { type Counts, sum } from "@howdah/state/counts";
import type { TaskStatus } from "@howdah/state/statuses";
import { jsonRows } from "../database/json-rows.js";
import type { Answer, Statement } from "../database/statement.js";
import { counterList, type RawCounts, toCounts } from "./counter-columns.js";
import type { RequestRow } from "./request-rows.js";
import { type RoleMove, roleName } from "./write-task-changes.js";

/** A stage and the counts of its roles. */
export interface StageCounts {
  readonly requestId: number;
  readonly stageId: number;
  readonly status: TaskStatus;
  readonly displayStatus: TaskStatus;
  readonly startTime: number;
  readonly endTime: number;
  readonly roles: readonly RoleCounts[];
}

/** A role of a stage and how many of its tasks are in each status. */
export interface RoleCounts {
  readonly roleIndex: number;
  readonly role: string;
  readonly counts: Counts;
  readonly successFactor: number;
}

type RawStageRole = Omit<StageCounts, "roles"> & Omit<RoleCounts, "counts"> & RawCounts;

/** What reads the stages of requests with the counts of their roles; `stageCountsOf` takes its answer. */
export function selectStageCounts(requestIds: readonly number[]): Statement {
  return {
    sql: `select s.request_id as requestId, s.stage_id as stageId, s.status + 0 as status,
      s.display_status + 0 as displayStatus, s.start_time as startTime, s.end_time as endTime,
      r.role_index as roleIndex, r.role, r.success_factor as successFactor, ${counterList}
    from stage s join role_success_criteria r on r.request_id = s.request_id and r.stage_id = s.stage_id
    where s.request_id in (?) and r.request_id in (?)
    order by s.request_id, s.stage_id`,
    bindings: [requestIds, requestIds],
  };
}

/** The stages with the counts of their roles, in order. */
export function stageCountsOf(answer: Answer | undefined): StageCounts[] {
  const stages: (StageCounts & { roles: RoleCounts[] })[] = [];
  for (const row of (answer ?? []) as readonly RawStageRole[]) {
    let stage = stages.at(-1);
    if (stage?.requestId !== row.requestId || stage.stageId !== row.stageId) {
      const { requestId, stageId, status, displayStatus, startTime, endTime } = row;
      stage = { requestId, stageId, status, displayStatus, startTime, endTime, roles: [] };
      stages.push(stage);
    }
    const { roleIndex, role, successFactor } = row;
    stage.roles.push({ roleIndex, role, successFactor, counts: toCounts(row) });
  }
  return stages;
}

/** The stages as they are after these moves. */
export function movedStages(
  stages: readonly StageCounts[],
  moves: readonly RoleMove[],
): StageCounts[] {
  const deltas = new Map(
    moves.map((move) => [roleName(move.requestId, move.stageId, move.roleIndex), move.deltas]),
  );
  return stages.map((stage) => ({
    ...stage,
    roles: stage.roles.map((role) => {
      const moved = deltas.get(roleName(stage.requestId, stage.stageId, role.roleIndex));
      return moved === undefined
        ? role
        : { ...role, counts: sum([role.counts, Object.fromEntries(moved)]) };
    }),
  }));
}

const updateStages = `update ${jsonRows("v", {
  request_id: "bigint",
  stage_id: "int",
  status: "tinyint",
  display_status: "tinyint",
  start_time: "bigint",
  end_time: "bigint",
})} straight_join stage s force index (primary) on s.request_id = v.request_id and s.stage_id = v.stage_id
set s.status = v.status, s.display_status = v.display_status, s.start_time = v.start_time, s.end_time = v.end_time`;

/** Writes the statuses and times of stages. */
export function stageWrites(stages: readonly Omit<StageCounts, "roles">[]): Statement[] {
  if (stages.length === 0) return [];
  const rows = stages.map((s) => [
    s.requestId,
    s.stageId,
    s.status,
    s.displayStatus,
    s.startTime,
    s.endTime,
  ]);
  return [{ sql: updateStages, bindings: [JSON.stringify(rows)] }];
}

const updateRequests = `update ${jsonRows("v", {
  request_id: "bigint",
  version: "bigint",
  owner_token: "bigint",
  open: "tinyint",
  status: "tinyint",
  display_status: "tinyint",
  progress: "tinyint",
  run: "int",
  cancel_requested: "tinyint",
  aborted: "tinyint",
  abort_reason: "varchar(255) character set utf8mb4",
  paused: "tinyint",
  pause_reason: "varchar(255) character set utf8mb4",
  budget_failures: "int",
  start_time: "bigint",
  end_time: "bigint",
})} straight_join request r force index (primary) on r.request_id = v.request_id
set r.version = v.version, r.owner_token = v.owner_token, r.open = v.open, r.status = v.status, r.display_status = v.display_status, r.progress_percent = v.progress,
  r.run = v.run, r.cancel_requested = v.cancel_requested, r.aborted = v.aborted, r.abort_reason = v.abort_reason,
  r.paused = v.paused, r.pause_reason = v.pause_reason, r.budget_failures = v.budget_failures,
  r.start_time = v.start_time, r.end_time = v.end_time`;

/** Writes how requests are now. Their rows must be locked by this transaction. */
export function requestWrites(requests: readonly RequestRow[]): Statement[] {
  if (requests.length === 0) return [];
  const rows = requests.map((r) => [
    r.requestId,
    r.version,
    r.ownerToken,
    r.open ? 1 : null,
    r.status,
    r.displayStatus,
    r.progress,
    r.run,
    r.cancelRequested ? 1 : 0,
    r.aborted ? 1 : 0,
    r.abortReason,
    r.paused ? 1 : 0,
    r.pauseReason,
    r.budgetFailures,
    r.startTime,
    r.endTime,
  ]);
  return [{ sql: updateRequests, bindings: [JSON.stringify(rows)] }];
}
