import { fromBinary } from "@bufbuild/protobuf";
import { TaskEvent } from "@howdah/proto/howdah/v1/command_store_service";
import { Guarantee, RequestOptionsSchema } from "@howdah/proto/howdah/v1/operation";
import type { Policy } from "@howdah/state/transitions";
import type { RequestRow } from "./store/request-rows.js";

/** How often a command that is cut off again and again is tried under AT_LEAST_ONCE: it may be what takes its host down. */
const maxInterruptedAttempts = 10;

const interrupted: ReadonlySet<TaskEvent> = new Set([TaskEvent.INTERRUPTED]);
const nothing: ReadonlySet<TaskEvent> = new Set();

/** By the options they were read from, since a batch asks for one request's policy again and again. */
const policies = new WeakMap<Buffer, Policy>();

/** What a request's options say about the failures of its tasks. */
export function policyOf(request: Pick<RequestRow, "onFailure" | "options">): Policy {
  const policy = policies.get(request.options) ?? readPolicy(request);
  policies.set(request.options, policy);
  return policy;
}

function readPolicy({ onFailure, options }: Pick<RequestRow, "onFailure" | "options">): Policy {
  const { guarantee } = fromBinary(RequestOptionsSchema, options);
  const retried = guarantee === Guarantee.AT_LEAST_ONCE;
  return {
    onFailure,
    maxAttempts: retried ? maxInterruptedAttempts : 1,
    retryOn: retried ? interrupted : nothing,
    manual: false,
  };
}
