import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  NothingToDoSchema,
  type SubmitRequestRequest,
  SubmitRequestRequestSchema,
} from "@howdah/proto/howdah/v1/request_service";
import { ScheduleOutcome } from "@howdah/proto/howdah/v1/schedule";
import { checkSubmit } from "../check-request.js";
import { findRequest, type Leading, type SubmitSources, submitRequest } from "../submit-request.js";
import type { KnownSchedule } from "./known-schedule.js";

/** What became of a due time. */
export interface Outcome {
  readonly outcome: ScheduleOutcome;
  readonly text: string;
  /** The request that was made. */
  readonly requestId?: bigint;
}

/** Another try would have the same answer. */
const final: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.FailedPrecondition,
  Code.AlreadyExists,
  Code.NotFound,
  Code.OutOfRange,
  Code.PermissionDenied,
  Code.Unimplemented,
]);

/**
 * Makes the request of a schedule's last due time. May be repeated: the due time makes the key, so that there is one request for it,
 * whoever asks again.
 * @param isTooLate whether it must not be made any more, unless it has been made already
 * @throws what may pass: the store is away
 */
export async function submitDue(
  sources: SubmitSources,
  leading: Leading,
  known: KnownSchedule,
  isTooLate: boolean,
  signal: AbortSignal,
): Promise<Outcome> {
  const request = requestOf(known);
  try {
    if (isTooLate) {
      const found = await findRequest(sources.store, request, signal);
      if (found !== undefined) return submitted(found.requestId, known);
      const text = "missed: it could not be submitted before it was too late";
      return { outcome: ScheduleOutcome.SKIPPED, text };
    }
    checkSubmit(request);
    const { request: made } = await submitRequest(sources, leading, request, signal);
    return submitted(made.requestId, known);
  } catch (error) {
    const refused = ConnectError.from(error);
    const { code, rawMessage } = refused;
    if (!final.has(code)) throw error;
    if (refused.findDetails(NothingToDoSchema).length > 0) {
      return { outcome: ScheduleOutcome.SKIPPED, text: `skipped: ${rawMessage}` };
    }
    return { outcome: ScheduleOutcome.REFUSED, text: `no request was made: ${rawMessage}` };
  }
}

/** What the schedule submits for its last due time: the same whenever it is asked for again. */
export function requestOf({ schedule, spec, lastDueMs }: KnownSchedule): SubmitRequestRequest {
  const { context, operation, options } = spec;
  return create(SubmitRequestRequestSchema, {
    idempotencyKey: `schedule/${schedule.scheduleId}/${lastDueMs}`,
    context,
    ...(operation && { operation }),
    ...(options && { options }),
  });
}

function submitted(requestId: bigint, { schedule }: KnownSchedule): Outcome {
  const missed = schedule.lastOutcomeText;
  const text = `made request ${requestId}${missed === "" ? "" : `; ${missed}`}`;
  return { outcome: ScheduleOutcome.SUBMITTED, text, requestId };
}
