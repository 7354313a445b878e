import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  ExecutionType,
  OfflinePolicy,
  type RequestOptions,
} from "@howdah/proto/howdah/v1/operation";
import type { Operation } from "./planner/operation.js";

/** What of a request's options bears on its plan. */
export function commonOptions(options: RequestOptions | undefined): Partial<Operation> {
  const offlineHosts = offlinePolicy(options);
  return {
    ...(options && { successFactors: options.successFactors }),
    ...(options?.timeout && { timeoutMs: durationMs(options.timeout) }),
    ...(options?.executionType === ExecutionType.DEPENDENCY_ORDERED && {
      executionType: "DEPENDENCY_ORDERED" as const,
    }),
    ...(offlineHosts && { offlineHosts }),
  };
}

/** What is done about hosts that are lost or in maintenance; undefined for the default. */
export function offlinePolicy(options: RequestOptions | undefined) {
  switch (options?.offlinePolicy) {
    case OfflinePolicy.WAIT:
      return "wait" as const;
    case OfflinePolicy.REFUSE:
      return "refuse" as const;
    default:
      return undefined;
  }
}
