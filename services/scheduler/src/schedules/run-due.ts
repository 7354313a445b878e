import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { OverlapPolicy, ScheduleOutcome } from "@howdah/proto/howdah/v1/schedule";
import type { RecordScheduleRequestSchema } from "@howdah/proto/howdah/v1/store_schedules";
import type { Leading, SubmitSources } from "../submit-request.js";
import { judgeDue, type Verdict } from "./judge-due.js";
import { type KnownSchedule, knownSchedule } from "./known-schedule.js";
import { latestMs } from "./schedule-times.js";
import { submitDue } from "./submit-due.js";

/** What running schedules needs. */
export interface RunDueOptions extends SubmitSources, Leading {
  /** A run that starts late by no more than this is on time. */
  readonly latenessMs: number;
  /** The wall clock. */
  readonly now: () => number;
}

const longestText = 1_000;

/**
 * Does what a schedule asks for now: nothing, or runs or skips its due time; one only, so that the caller can tell what became of each,
 * also when the next has come meanwhile. First the due time is recorded as being submitted, so that no
 * other is begun before it is known what became of it; then the request is made, then that is recorded. Whoever finds the schedule between
 * two of these goes on there.
 * @returns the schedule as it is now; undefined when it is gone
 * @throws what the store says: what may pass, or FAILED_PRECONDITION when a newer scheduler has the lease
 */
export async function runDue(
  options: RunDueOptions,
  schedule: KnownSchedule,
  signal: AbortSignal,
): Promise<KnownSchedule | undefined> {
  let known: KnownSchedule | undefined = schedule;
  do {
    const step = await nextStep(options, known, signal);
    if (step === undefined) return known;
    // Whether it was recorded or somebody was faster: what counts is what the store has now.
    known = await recordSchedule(options, known, step, signal);
  } while (known?.schedule.lastOutcome === ScheduleOutcome.SUBMITTING);
  return known;
}

/** What of a schedule's standing is changed. */
export type Change = Pick<
  MessageInitShape<typeof RecordScheduleRequestSchema>,
  "enabled" | "countedUntilMs" | "lastDueMs" | "lastRequestId" | "lastOutcome" | "lastOutcomeText"
>;

async function nextStep(
  options: RunDueOptions,
  known: KnownSchedule,
  signal: AbortSignal,
): Promise<Change | undefined> {
  const { schedule, spec, lastDueMs } = known;
  const nowMs = options.now();
  const latest = latestMs(spec, options.latenessMs);
  if (schedule.lastOutcome === ScheduleOutcome.SUBMITTING) {
    const isTooLate = nowMs - lastDueMs > latest;
    const { outcome, text, requestId } = await submitDue(
      options,
      options,
      known,
      isTooLate,
      signal,
    );
    return {
      lastOutcome: outcome,
      lastOutcomeText: text,
      ...(requestId && { lastRequestId: requestId }),
    };
  }
  if (!schedule.enabled) return undefined;
  const verdict = judgeDue({ ...known, latestMs: latest }, nowMs);
  if (verdict === undefined) return undefined;
  const due = { countedUntilMs: BigInt(verdict.dueMs), lastDueMs: BigInt(verdict.dueMs) };
  const skip = verdict.skip ?? (await overlap(options, known, signal));
  if (skip === undefined) {
    const lastOutcome = ScheduleOutcome.SUBMITTING;
    return { ...due, lastOutcome, lastOutcomeText: verdict.missed };
  }
  const lastOutcome = ScheduleOutcome.SKIPPED;
  return { ...due, lastOutcome, lastOutcomeText: skippedText(skip, verdict) };
}

function skippedText(skip: string, { missed }: Verdict): string {
  return missed === "" ? skip : `${skip}; ${missed}`;
}

/** Why the schedule's last request keeps it from running; undefined when it does not. */
async function overlap(
  { store }: RunDueOptions,
  { schedule, spec }: KnownSchedule,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { lastRequestId: requestId } = schedule;
  if (requestId === 0n || spec.overlap === OverlapPolicy.RUN) return undefined;
  try {
    const { request } = await store.getRequest({ requestId }, { signal });
    if (request === undefined || request.progressPercent === 100) return undefined;
    return `request ${requestId}, of the run before, has not ended`;
  } catch (error) {
    // Purged: it ended long ago.
    if (ConnectError.from(error).code === Code.NotFound) return undefined;
    throw error;
  }
}

/**
 * Records where a schedule stands, if nobody else has meanwhile.
 * @returns the schedule as it is now; undefined when it is gone
 */
export async function recordSchedule(
  { store, token }: Pick<RunDueOptions, "store" | "token">,
  { schedule, countedUntilMs, lastDueMs }: KnownSchedule,
  change: Change,
  signal: AbortSignal,
): Promise<KnownSchedule | undefined> {
  const { scheduleId, version, enabled, lastRequestId, lastOutcome, lastOutcomeText } = schedule;
  const { stored } = await store.recordSchedule(
    {
      schedulerToken: token,
      ...{ scheduleId, version, enabled, lastRequestId, lastOutcome },
      countedUntilMs: BigInt(countedUntilMs),
      lastDueMs: BigInt(lastDueMs),
      ...change,
      lastOutcomeText: (change.lastOutcomeText ?? lastOutcomeText).slice(0, longestText),
    },
    { signal },
  );
  return stored && knownSchedule(stored);
}
