import { AlertState } from "@howdah/proto/howdah/v1/alert";
import type { Logger } from "pino";
import type { Finding } from "./alert-results.js";
import type { HostAlert } from "./host-alert.js";

/** Writes a line about what a check found; where it changed, that is. */
export function logFinding(
  log: Logger,
  { definition, clusterName }: HostAlert,
  { state, text, detail }: Finding,
): void {
  const { name, serviceName, componentName } = definition;
  const level = state === AlertState.OK ? "info" : "warn";
  log[level](
    {
      ...{ alert: name, cluster: clusterName, service: serviceName },
      ...(componentName !== "" && { component: componentName }),
      state: AlertState[state],
      ...(detail !== undefined && { detail }),
    },
    text,
  );
}
