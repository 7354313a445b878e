import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import type { Logger } from "pino";
import type { ComponentName } from "./component-of.js";
import type { CheckEnd } from "./run-check.js";

/** Scripts of Ambari stacks say so of what does not run; it is no news. */
const expectedErrors = /ComponentIsNotRunning|ClientComponentHasNoStatus/;

/** What the log is told of a component's checks: what is new, and nothing again and again. */
export interface StatusLog {
  /** A check found the state; `changed` when it is not what the last one found. */
  found(state: ComponentState, changed: boolean, end: CheckEnd): void;
  /** A check could not be made. */
  trouble(reason: string): void;
}

/** Makes the log of one component. */
export function createStatusLog(
  log: Logger,
  { componentName, clusterId }: ComponentName,
): StatusLog {
  const fields = { component: componentName, cluster: String(clusterId) };
  let last: string | undefined;
  return {
    found(state, changed, { exitCode, stderr }) {
      if (last !== undefined) log.info(fields, "its status can be checked again");
      last = undefined;
      if (!changed) return;
      const unusual = exitCode !== 0 && !expectedErrors.test(stderr) && { exitCode, stderr };
      log.info({ ...fields, state: ComponentState[state], ...unusual }, "a component's status");
    },
    trouble(reason) {
      if (last === reason) return;
      last = reason;
      log.warn({ ...fields, reason }, "a component's status cannot be checked");
    },
  };
}
