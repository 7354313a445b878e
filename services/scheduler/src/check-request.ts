import type { Operation } from "@howdah/proto/howdah/v1/operation";
import {
  type PlanRequestRequest,
  Resolution,
  type SubmitRequestRequest,
} from "@howdah/proto/howdah/v1/request_service";
import { checkOptions, checkTimeout } from "./check-options.js";
import { invalidArgument } from "./invalid-argument.js";

const maxKey = 64;
const maxText = 255;
/** MAX_ARG_STRLEN of Linux, 128 KiB, without the NUL at its end. */
const maxArgumentBytes = 131_071;

/** Checks what does not need the store. Throws INVALID_ARGUMENT, or UNIMPLEMENTED for what is declared but not built. */
export function checkSubmit(request: SubmitRequestRequest): void {
  const { idempotencyKey, context } = request;
  if (idempotencyKey.length > maxKey) {
    throw invalidArgument(
      "idempotency_key",
      `has ${idempotencyKey.length} characters; at most ${maxKey} are allowed`,
    );
  }
  checkText("context", context);
  checkPlan(request);
}

/** As checkSubmit, for a dry run. */
export function checkPlan({
  operation,
  options,
}: Pick<PlanRequestRequest, "operation" | "options">): void {
  checkOperation(operation);
  if (options !== undefined) checkOptions(options);
}

function checkOperation(operation: Operation | undefined): void {
  if (operation?.kind.case === "customAction") {
    checkTimeout("operation.custom_action.timeout", operation.kind.value.timeout);
  }
  if (operation?.kind.case !== "adHoc") return;
  const { argv, timeout } = operation.kind.value;
  if (argv.length === 0) {
    throw invalidArgument("operation.ad_hoc.argv", "is empty; name the program to run");
  }
  for (const [at, argument] of argv.entries())
    checkArgument(`operation.ad_hoc.argv[${at}]`, argument);
  checkTimeout("operation.ad_hoc.timeout", timeout);
}

/** Every host would refuse to run what its kernel does not take. */
function checkArgument(field: string, argument: string): void {
  const bytes = Buffer.byteLength(argument);
  if (bytes > maxArgumentBytes) {
    const limit = `Linux takes at most ${maxArgumentBytes} in one argument`;
    throw invalidArgument(
      field,
      `has ${bytes} bytes, and ${limit}; put it into a file on the hosts`,
    );
  }
  if (argument.includes("\0")) {
    throw invalidArgument(field, "has a NUL character, which no argument can have");
  }
}

/** Checks the id of a request. */
export function checkRequestId(requestId: bigint): void {
  if (requestId <= 0n) throw invalidArgument("request_id", `${requestId} is not an id`);
}

/** Checks the id of a task. */
export function checkTaskId(taskId: bigint): void {
  if (taskId <= 0n) throw invalidArgument("task_id", `${taskId} is not an id`);
}

/** Checks a reason. */
export function checkReason(reason: string): void {
  checkText("reason", reason);
}

/** Checks what is said about tasks that are held. */
export function checkResolution(
  resolution: Resolution,
): Exclude<Resolution, Resolution.UNSPECIFIED> {
  if (resolution in Resolution && resolution !== Resolution.UNSPECIFIED) return resolution;
  throw invalidArgument("resolution", `${resolution} is not known; say RETRY, SKIP or ABORT`);
}

/** A text that is not too long. */
export function checkText(field: string, text: string): void {
  if (text.length <= maxText) return;
  throw invalidArgument(field, `has ${text.length} characters; at most ${maxText} are allowed`);
}
