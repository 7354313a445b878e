import type { ServiceImpl } from "@connectrpc/connect";
import type { AlertRunService } from "@howdah/proto/howdah/v1/alert_service";
import { NotLeadingError } from "../not-leading.js";
import type { AlertWatch } from "./alert-watch.js";
import { type RunAlertSources, runAlert } from "./run-alert.js";

/** What the service needs. */
export interface AlertRunServiceOptions extends RunAlertSources {
  /** What watches alerts, or undefined while another scheduler leads. */
  readonly leading: () => AlertWatch | undefined;
}

/** Runs alerts now, on hosts or at the store. */
export function createAlertRunService(
  options: AlertRunServiceOptions,
): ServiceImpl<typeof AlertRunService> {
  return {
    async *runAlert(request, { signal }) {
      const watch = options.leading();
      if (watch === undefined) {
        throw new NotLeadingError(
          "this scheduler stands by and another one leads, or is about to",
          "no",
        );
      }
      // Else hosts that are there would be answered as not connected.
      if (!watch.knowsSessions) {
        throw new NotLeadingError(
          "this scheduler has begun to lead, and knows no sessions yet",
          "no",
        );
      }
      yield* runAlert(options, watch, request, signal);
    },
  };
}
