import { Code, ConnectError } from "@connectrpc/connect";
import {
  ExecutionType,
  Guarantee,
  OnFailure,
  type RequestOptions,
} from "@howdah/proto/howdah/v1/operation";
import type {
  CancelRequestRequest,
  SubmitRequestRequest,
} from "@howdah/proto/howdah/v1/request_service";
import { invalidArgument } from "./invalid-argument.js";

const maxKey = 64;
const maxText = 255;

/** Checks what does not need the store. Throws INVALID_ARGUMENT, or UNIMPLEMENTED for what is declared but not built. */
export function checkSubmit({ idempotencyKey, context, options }: SubmitRequestRequest): void {
  if (idempotencyKey.length > maxKey) {
    throw invalidArgument(
      "idempotency_key",
      `has ${idempotencyKey.length} characters; at most ${maxKey} are allowed`,
    );
  }
  checkText("context", context);
  checkOptions(options);
}

/** As checkSubmit, for the options alone. */
export function checkOptions(options: RequestOptions | undefined): void {
  if (options === undefined) return;
  for (const [role, factor] of Object.entries(options.successFactors)) {
    if (!(factor >= 0 && factor <= 1)) {
      throw invalidArgument(`options.success_factors.${role}`, `${factor} is not between 0 and 1`);
    }
  }
  const { timeout } = options;
  if (timeout !== undefined && timeout.seconds <= 0n) {
    throw invalidArgument("options.timeout", `${timeout.seconds}s is too short; at least 1s`);
  }
  const isNamed = (names: object, value: number) => value in names;
  if (!isNamed(OnFailure, options.onFailure)) {
    throw invalidArgument("options.on_failure", `${options.onFailure} is not a known value`);
  }
  notBuilt("options.on_failure HOLD", options.onFailure === OnFailure.HOLD);
  notBuilt(
    "options.execution_type DEPENDENCY_ORDERED",
    options.executionType === ExecutionType.DEPENDENCY_ORDERED,
  );
  notBuilt("options.guarantee AT_LEAST_ONCE", options.guarantee === Guarantee.AT_LEAST_ONCE);
}

/** Checks a cancel. */
export function checkCancel({ requestId, reason }: CancelRequestRequest): void {
  if (requestId <= 0n) throw invalidArgument("request_id", `${requestId} is not an id`);
  checkText("reason", reason);
}

function checkText(field: string, text: string): void {
  if (text.length <= maxText) return;
  throw invalidArgument(field, `has ${text.length} characters; at most ${maxText} are allowed`);
}

function notBuilt(what: string, asked: boolean): void {
  if (asked) throw new ConnectError(`${what} is not built yet`, Code.Unimplemented);
}
