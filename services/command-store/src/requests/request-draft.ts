import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import type {
  RequestCommit,
  RequestHeader,
  StageHeader,
  TaskChunk,
  TaskRelease,
} from "@howdah/proto/howdah/v1/store_request_creation";
import { invalid } from "../invalid.js";
import { abandonedPrefix } from "../store/purge-preparing.js";

/** The highest batch of a rolling request. */
const maxBatch = 32_767;

/** MAX_ARG_STRLEN of Linux, 128 KiB, without the NUL at its end: a longer argument is run on no host. */
const maxArgumentBytes = 131_071;

/** The most tasks of one chunk. */
export const maxChunkTasks = 1_000;

/** A request while its parts come in, checked as they come. Its functions throw INVALID_ARGUMENT. */
export interface RequestDraft {
  readonly header: RequestHeader;
  readonly stages: readonly StageHeader[];
  /** How many tasks each role has so far, by stage and role. */
  readonly counts: readonly (readonly number[])[];
  /** Whether one of its tasks has something of its own in what it runs. */
  readonly hasOwnCommands: boolean;
  /** Tasks that are to be released with it. */
  readonly releases: readonly TaskRelease[];
  addStage(stage: StageHeader): void;
  addTasks(chunk: TaskChunk): void;
  /** Of the tasks of the only chunk, after it. */
  addReleases(releases: readonly TaskRelease[]): void;
  commit(commit: RequestCommit): void;
}

/** Begins a request with its header. */
export function createDraft(header: RequestHeader): RequestDraft {
  checkHeader(header);
  const stages: StageHeader[] = [];
  const counts: number[][] = [];
  const releases: TaskRelease[] = [];
  let taskCount = 0;
  let lastStage = 0;
  let hasOwnCommands = false;
  return {
    header,
    stages,
    counts,
    releases,
    get hasOwnCommands() {
      return hasOwnCommands;
    },
    addStage(stage) {
      if (taskCount > 0)
        throw invalid("stage", stage.stageId, "comes after tasks; send all stages first");
      if (stage.stageId !== stages.length) {
        throw invalid(
          "stage.stage_id",
          stage.stageId,
          `is out of order; the next stage is ${stages.length}`,
        );
      }
      checkRoles(stage);
      stages.push(stage);
      counts.push(stage.roles.map(() => 0));
    },
    addTasks({ tasks }) {
      if (tasks.length > maxChunkTasks) {
        throw invalid(
          "tasks",
          tasks.length,
          `are too many; send at most ${maxChunkTasks} at a time`,
        );
      }
      for (const { stageId, roleIndex, hostId, batch, command } of tasks) {
        hasOwnCommands ||= command !== undefined;
        const roles = counts[stageId];
        if (roles?.[roleIndex] === undefined) {
          throw invalid(
            "tasks.role_index",
            `${stageId}/${roleIndex}`,
            "is no role of a stage that was sent",
          );
        }
        if (stageId < lastStage) {
          throw invalid(
            "tasks.stage_id",
            stageId,
            `comes after ${lastStage}; send tasks in the order of their stages`,
          );
        }
        if (hostId <= 0n) throw invalid("tasks.host_id", hostId, "is no host");
        if (batch < 0 || batch > maxBatch) {
          throw invalid("tasks.batch", batch, `is not from 0 to ${maxBatch}`);
        }
        roles[roleIndex] += 1;
        lastStage = stageId;
      }
      taskCount += tasks.length;
    },
    addReleases(added) {
      const seen = new Set<number>();
      for (const release of added) {
        const { task } = release;
        if (task < 0 || task >= taskCount) {
          throw invalid("whole.releases.task", task, "is no place of a task");
        }
        if (seen.has(task)) throw invalid("whole.releases.task", task, "comes twice");
        seen.add(task);
        releases.push(release);
      }
    },
    commit({ taskCount: sent }) {
      if (taskCount === 0) {
        throw invalid("commit.task_count", sent, "a request needs at least one task");
      }
      if (sent !== taskCount) {
        throw invalid(
          "commit.task_count",
          sent,
          `is not the number of tasks that came, ${taskCount}`,
        );
      }
      for (const [stageId, roles] of counts.entries()) {
        const empty = roles.indexOf(0);
        if (empty >= 0) throw invalid("stage.roles", `${stageId}/${empty}`, "has no task");
      }
    },
  };
}

function checkHeader({ idempotencyKey, contentDigest, context }: RequestHeader): void {
  checkKey("header.idempotency_key", idempotencyKey);
  checkDigest("header.content_digest", contentDigest);
  if (context.length > 255) {
    throw invalid("header.context", `of ${context.length} characters`, "is longer than 255");
  }
}

/** Checks a caller's key. */
export function checkKey(field: string, key: string): void {
  if (key === "") throw invalid(field, key, "is required: 1 to 64 characters");
  if (key.length > 64) throw invalid(field, key, "is longer than 64 characters");
  if (key.startsWith(abandonedPrefix)) throw invalid(field, key, `begins with ${abandonedPrefix}`);
}

/** Checks a SHA-256. */
export function checkDigest(field: string, digest: Uint8Array): void {
  if (digest.length !== 32) {
    throw invalid(field, `of ${digest.length} bytes`, "is no SHA-256, which has 32");
  }
}

function checkRoles({ stageId, roles }: StageHeader): void {
  if (roles.length === 0) throw invalid("stage.roles", `of stage ${stageId}`, "is empty");
  for (const { role, roleCommand, successFactor, command } of roles) {
    if (role === "" || role.length > 100) {
      throw invalid("stage.roles.role", role, "has not 1 to 100 characters");
    }
    if (roleCommand === RoleCommand.UNSPECIFIED || RoleCommand[roleCommand] === undefined) {
      throw invalid("stage.roles.role_command", roleCommand, "is no role command");
    }
    if (!(successFactor >= 0 && successFactor <= 1)) {
      throw invalid("stage.roles.success_factor", successFactor, "is not from 0 to 1");
    }
    const long = command?.argv.find((argument) => Buffer.byteLength(argument) > maxArgumentBytes);
    if (long !== undefined) {
      const length = `of ${Buffer.byteLength(long)} bytes`;
      throw invalid("stage.roles.command.argv", length, `is longer than ${maxArgumentBytes}`);
    }
  }
  checkBlockers(stageId, roles);
}

/** Roles that wait for each other would wait for ever. */
function checkBlockers(stageId: number, roles: StageHeader["roles"]): void {
  const waiting = roles.map(() => 0);
  const blocked = roles.map((): number[] => []);
  for (const [index, { blockers }] of roles.entries()) {
    for (const blocker of new Set(blockers)) {
      const place = `${stageId}/${index}`;
      if (blocked[blocker] === undefined) {
        throw invalid("stage.roles.blockers", `${blocker} of ${place}`, "is no role of its stage");
      }
      blocked[blocker].push(index);
      waiting[index] = (waiting[index] ?? 0) + 1;
    }
  }
  const ready = roles.flatMap((_, index) => (waiting[index] === 0 ? [index] : []));
  for (const index of ready) {
    for (const next of blocked[index] ?? []) {
      waiting[next] = (waiting[next] ?? 0) - 1;
      if (waiting[next] === 0) ready.push(next);
    }
  }
  if (ready.length === roles.length) return;
  const stuck = waiting.flatMap((count, index) => (count > 0 ? [index] : []));
  throw invalid("stage.roles.blockers", `of ${stageId}/${stuck}`, "wait for each other");
}
