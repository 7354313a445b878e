import type { Duration } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  Concurrency,
  ExecutionType,
  Guarantee,
  OfflinePolicy,
  OnFailure,
  type Operation,
  type RequestOptions,
} from "@howdah/proto/howdah/v1/operation";
import type {
  CancelRequestRequest,
  PlanRequestRequest,
  SubmitRequestRequest,
} from "@howdah/proto/howdah/v1/request_service";
import { invalidArgument } from "./invalid-argument.js";

const maxKey = 64;
const maxText = 255;
const maxTimeoutSeconds = 2_592_000n;

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
  if (operation?.kind.case !== "adHoc") return;
  const { argv, timeout } = operation.kind.value;
  if (argv.length === 0) {
    throw invalidArgument("operation.ad_hoc.argv", "is empty; name the program to run");
  }
  checkTimeout("operation.ad_hoc.timeout", timeout);
}

function checkOptions(options: RequestOptions): void {
  for (const [role, factor] of Object.entries(options.successFactors)) {
    if (!(factor >= 0 && factor <= 1)) {
      throw invalidArgument(`options.success_factors.${role}`, `${factor} is not between 0 and 1`);
    }
  }
  checkTimeout("options.timeout", options.timeout);
  checkNamed("options.on_failure", OnFailure, options.onFailure);
  checkNamed("options.guarantee", Guarantee, options.guarantee);
  checkNamed("options.execution_type", ExecutionType, options.executionType);
  checkNamed("options.offline_policy", OfflinePolicy, options.offlinePolicy);
  notBuilt("options.on_failure HOLD", options.onFailure === OnFailure.HOLD);
  notBuilt(
    "options.execution_type DEPENDENCY_ORDERED",
    options.executionType === ExecutionType.DEPENDENCY_ORDERED,
  );
  notBuilt("options.guarantee AT_LEAST_ONCE", options.guarantee === Guarantee.AT_LEAST_ONCE);
  notBuilt("options.retry", options.retry !== undefined);
  notBuilt("options.role_retries", Object.keys(options.roleRetries).length > 0);
  notBuilt("options.rolling", options.rolling !== undefined);
  notBuilt("options.concurrency", options.concurrency > Concurrency.IN_ORDER);
  notBuilt("options.max_in_flight", options.maxInFlight !== 0);
  notBuilt("options.offline_expiry", options.offlineExpiry !== undefined);
}

/** Whole milliseconds, from 1 s to 30 days. */
function checkTimeout(field: string, timeout: Duration | undefined): void {
  if (timeout === undefined) return;
  const { seconds, nanos } = timeout;
  if (seconds < 1n || seconds > maxTimeoutSeconds || nanos % 1_000_000 !== 0) {
    throw invalidArgument(
      field,
      `${seconds}.${String(Math.abs(nanos)).padStart(9, "0")}s will not do; give whole milliseconds from 1s to ${maxTimeoutSeconds}s`,
    );
  }
}

function checkNamed(field: string, names: object, value: number): void {
  if (!(value in names)) throw invalidArgument(field, `${value} is not a known value`);
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
