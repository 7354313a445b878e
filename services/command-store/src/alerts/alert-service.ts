import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { AlertService } from "@howdah/proto/howdah/v1/alert_service";

/** Alerts are not built yet: every method says so. */
export function createAlertService(): ServiceImpl<typeof AlertService> {
  return {
    listAlertDefinitions: notBuilt,
    updateAlertDefinition: notBuilt,
    listAlerts: notBuilt,
    listAlertHistory: notBuilt,
  };
}

/** Answers UNIMPLEMENTED. */
export function notBuilt(): never {
  throw new ConnectError("alerts are not built yet", Code.Unimplemented);
}
