import { create } from "@bufbuild/protobuf";
import type { AlertSession, SessionAlerts } from "@howdah/agent/alerts/alerts";
import {
  type AlertExecutionCommand,
  AlertReportSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import { AlertState } from "@howdah/proto/howdah/v1/alert";

/** What running an alert finds, in SKIPPED's text. */
const pretendedFinding = "a simulated host, which checks nothing";

/**
 * The alerts of a simulated host: none is watched, and one that is to be run now is answered SKIPPED at once, which changes nothing that
 * is kept.
 */
export class PretendedAlerts implements SessionAlerts {
  private session: AlertSession | undefined;
  private sequence = 0n;

  command(): void {}

  acknowledged(): void {}

  connected(session: AlertSession): void {
    this.session = session;
  }

  disconnected(): void {
    this.session = undefined;
  }

  execute({ executionId, cluster }: AlertExecutionCommand): void {
    this.sequence += 1n;
    const clusterId = cluster?.clusterId ?? 0n;
    const found = { state: AlertState.SKIPPED, text: pretendedFinding };
    this.session?.send(
      create(AlertReportSchema, {
        sequence: this.sequence,
        results: [{ executionId, clusterId, ...found }],
      }),
    );
  }
}
