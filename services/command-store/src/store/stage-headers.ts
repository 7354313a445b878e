import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { CommandSpecSchema } from "@howdah/proto/howdah/v1/command";
import {
  type StageHeader,
  StageHeaderSchema,
  type StageRoleSpec,
} from "@howdah/proto/howdah/v1/store_request_creation";
import { createBoundedMap } from "../bounded-map.js";
import { jsonRows } from "../database/json-rows.js";
import { query } from "../database/query.js";
import type { Database } from "../database/together.js";

/** A role of a stage, and what its commands share, parsed and serialised. */
export interface SharedCommand {
  readonly role: StageRoleSpec;
  readonly bytes: Uint8Array;
}

/** A stage's place. */
export interface StageKey {
  readonly requestId: number;
  readonly stageId: number;
}

/** What the commands of stages share. Stages never change, so this process reads each once while it keeps it in mind. */
export interface StageHeaders {
  /** The roles of stages, in order, by `stageName`. */
  read(db: Database, keys: readonly StageKey[]): Promise<Map<string, readonly SharedCommand[]>>;
  /** Takes the stages of a request that was just made. */
  keep(requestId: number, stages: readonly StageHeader[]): void;
}

/** A name for a stage, for maps. */
export function stageName({ requestId, stageId }: StageKey): string {
  return `${requestId}/${stageId}`;
}

const selectHeaders = `select s.request_id as requestId, s.stage_id as stageId, s.command_params as header
  from ${jsonRows("v", { request_id: "bigint", stage_id: "int" })}
  straight_join stage s force index (primary) on s.request_id = v.request_id and s.stage_id = v.stage_id`;

/** Of a request that has more stages the first ones: it must not push all others out. */
const keptAtOnce = 50;

/** Keeps the headers of the last 1,000 stages in mind. */
export function createStageHeaders(): StageHeaders {
  const cache = createBoundedMap<string, readonly SharedCommand[]>(1_000);
  return {
    async read(db, keys) {
      const found = new Map<string, readonly SharedCommand[]>();
      const missing = new Map<string, StageKey>();
      for (const key of keys) {
        const name = stageName(key);
        const roles = cache.get(name);
        if (roles === undefined) missing.set(name, key);
        else found.set(name, roles);
      }
      if (missing.size === 0) return found;
      const rows = await query<StageKey & { header: Buffer }>(db, selectHeaders, [
        JSON.stringify(
          Array.from(missing.values(), ({ requestId, stageId }) => [requestId, stageId]),
        ),
      ]);
      for (const row of rows) {
        const shared = sharedOf(fromBinary(StageHeaderSchema, row.header));
        cache.set(stageName(row), shared);
        found.set(stageName(row), shared);
      }
      return found;
    },
    keep(requestId, stages) {
      for (const stage of stages.slice(0, keptAtOnce)) {
        cache.set(stageName({ requestId, stageId: stage.stageId }), sharedOf(stage));
      }
    },
  };
}

function sharedOf({ roles }: StageHeader): SharedCommand[] {
  return roles.map((role) => ({
    role,
    bytes:
      role.command === undefined ? new Uint8Array() : toBinary(CommandSpecSchema, role.command),
  }));
}
