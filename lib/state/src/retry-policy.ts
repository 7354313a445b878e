import {
  Guarantee,
  type RequestOptions,
  RetryCause,
  type RetryPolicy,
} from "@howdah/proto/howdah/v1/operation";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { onFailureOf } from "./failure-budget.js";
import type { Policy } from "./transitions.js";

/** How often a command that is cut off again and again is tried under AT_LEAST_ONCE: it may be what takes its host down. */
const maxInterruptedAttempts = 10;

const eventOf: Readonly<Record<RetryCause, TaskEvent | undefined>> = {
  [RetryCause.UNSPECIFIED]: undefined,
  [RetryCause.FAILED]: TaskEvent.FAILED,
  [RetryCause.TIMED_OUT]: TaskEvent.TIMED_OUT,
  [RetryCause.INTERRUPTED]: TaskEvent.INTERRUPTED,
};

/** A task's verb: what its policy depends on. */
export interface Verb {
  readonly role: string;
  readonly roleCommand: RoleCommand;
}

/** What a request's options say about further attempts of a role command: `NAMENODE-START`, else `NAMENODE`, else `retry`. */
export function retryPolicyOf(
  { retry, roleRetries }: Pick<RequestOptions, "retry" | "roleRetries">,
  { role, roleCommand }: Verb,
): RetryPolicy | undefined {
  const exact = `${role}-${RoleCommand[roleCommand]}`;
  const named = [exact, role].find((name) => Object.hasOwn(roleRetries, name));
  return named === undefined ? retry : roleRetries[named];
}

/**
 * What a request's options say about the failures of its tasks of one role command. The guarantee has the last word on INTERRUPTED:
 * AT_MOST_ONCE never tries it again, AT_LEAST_ONCE always, ten attempts in all at most unless `max_attempts` is more.
 */
export function policyOf(options: RequestOptions, verb: Verb, manual = false): Policy {
  const { maxAttempts = 1, causes = [] } = retryPolicyOf(options, verb) ?? {};
  const named = causes.flatMap((cause) => eventOf[cause] ?? []);
  const retryOn = new Set(named.length > 0 ? named : [TaskEvent.FAILED, TaskEvent.TIMED_OUT]);
  const policy = { onFailure: onFailureOf(options), maxAttempts: maxAttempts || 1, manual };
  switch (options.guarantee) {
    case Guarantee.AT_MOST_ONCE:
      retryOn.delete(TaskEvent.INTERRUPTED);
      return { ...policy, retryOn };
    case Guarantee.AT_LEAST_ONCE:
      retryOn.add(TaskEvent.INTERRUPTED);
      return { ...policy, retryOn, maxInterruptedAttempts };
    default:
      return { ...policy, retryOn };
  }
}
