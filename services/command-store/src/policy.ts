import { fromBinary } from "@bufbuild/protobuf";
import { TaskEvent } from "@howdah/proto/howdah/v1/command_store_service";
import { Guarantee, RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import type { Policy } from "@howdah/state/transitions";
import type { RequestRow } from "./store/request-rows.js";

/** How often a command that is cut off again and again is tried under AT_LEAST_ONCE: it may be what takes its host down. */
const maxInterruptedAttempts = 10;

const interrupted: ReadonlySet<TaskEvent> = new Set([TaskEvent.INTERRUPTED]);
const nothing: ReadonlySet<TaskEvent> = new Set();

/** What a request's options say about the failures of its tasks. */
export function policyOf({
  onFailure,
  options,
}: Pick<RequestRow, "onFailure" | "options">): Policy {
  const { guarantee } = fromBinary(RequestOptionsSchema, options);
  const retried = guarantee === Guarantee.AT_LEAST_ONCE;
  return {
    onFailure,
    maxAttempts: retried ? maxInterruptedAttempts : 1,
    retryOn: retried ? interrupted : nothing,
    manual: false,
  };
}
