import { create } from "@bufbuild/protobuf";
import {
  type AppendResult,
  AppendResultSchema,
  type OutputAppend,
} from "@howdah/proto/howdah/v1/store_output";
import type { Knex } from "knex";
import { untilItHolds } from "../database/transaction.js";
import {
  insertOutput,
  readStreamStates,
  type StoredChunk,
  type StreamKey,
  type StreamState,
  streamName,
} from "../store/output.js";
import { chunkProblem, planAppends } from "./output-appends.js";

/** What became of appends: one result each, in the same order, and what was stored. */
export interface Appended {
  readonly results: AppendResult[];
  readonly chunks: readonly StoredChunk[];
}

/**
 * Stores output where it continues what is stored; what does not changes nothing, and the answer says how much is there. Output of
 * former attempts is taken as well: it may come long after the next one began.
 */
export function appendOutput(db: Knex, appends: readonly OutputAppend[]): Promise<Appended> {
  const streams = new Map(appends.map((append) => [streamName(keyOf(append)), keyOf(append)]));
  return untilItHolds(async () => {
    const states = await readStreamStates(db, streams.values());
    const problems = appends.map((append) =>
      problemOf(append, states.get(streamName(keyOf(append)))),
    );
    const accepted = appends.flatMap((append, i) =>
      append.chunk === undefined || problems[i] !== undefined
        ? []
        : [{ ...keyOf(append), chunk: append.chunk }],
    );
    const stored = new Map(Array.from(states, ([name, { length }]) => [name, length]));
    const chunks = planAppends(accepted, stored);
    await insertOutput(db, chunks);
    return {
      results: appends.map((append, i) =>
        create(AppendResultSchema, {
          length: BigInt(
            problems[i] === undefined ? (stored.get(streamName(keyOf(append))) ?? 0) : 0,
          ),
          refused: problems[i] ?? "",
        }),
      ),
      chunks,
    };
  });
}

function keyOf({ taskId, attempt, chunk }: OutputAppend): StreamKey {
  return { taskId: Number(taskId), attempt, stream: chunk?.stream ?? 0 };
}

function problemOf(
  { taskId, attempt, hostId, sessionEpoch, chunk }: OutputAppend,
  state: StreamState | undefined,
): string | undefined {
  if (chunk === undefined) return "chunk is not set";
  if (state === undefined || state.hostId === null || state.lastAttempt === null)
    return `there is no task ${taskId}`;
  if (hostId !== BigInt(state.hostId)) {
    return `task ${taskId} is host ${state.hostId}'s, not host ${hostId}'s`;
  }
  if (attempt < 1 || attempt > state.lastAttempt) {
    return `task ${taskId} has no attempt ${attempt}, its last is ${state.lastAttempt}`;
  }
  const epoch = state.sessionEpoch ?? 0;
  if (sessionEpoch !== BigInt(epoch)) {
    return `session ${sessionEpoch} of host ${hostId} is not its current one, which is ${epoch}`;
  }
  return chunkProblem(chunk);
}
