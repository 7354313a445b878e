import type { AlertExecutionCommand } from "@howdah/proto/howdah/v1/agent_service";
import type { ClusterAlerts } from "@howdah/proto/howdah/v1/alert";
import { createSlots } from "../status/slots.js";
import type { Finding } from "./alert-results.js";
import { unknown } from "./check-alert.js";
import { alertKey, type HostAlert } from "./host-alert.js";
import type { OneAtATime } from "./one-at-a-time.js";
import type { WatchedCluster } from "./watched-cluster.js";
import { within } from "./within.js";

/** What answering needs. */
export interface AskedAlertsOptions {
  readonly running: OneAtATime;
  readonly read: (cluster: ClusterAlerts, signal: AbortSignal) => Promise<WatchedCluster>;
  readonly check: (
    alert: HostAlert,
    watched: WatchedCluster,
    signal: AbortSignal,
  ) => Promise<Finding>;
}

/** What came of an alert that was asked for. */
export interface AskedFinding {
  /** Undefined when there is no such alert. */
  readonly alert: HostAlert | undefined;
  readonly finding: Finding;
}

/** Besides those of the schedule, so that nobody waits for one that hangs. */
const mostAtOnce = 2;
const mostWaiting = 1_000;
/** What an alert needs and this host lacks is waited for so long. */
const fetchMs = 30_000;

/** Makes what runs alerts that were asked for. It answers in any case; only a signal that aborts makes it reject, or answer anything. */
export function createAskedAlerts({ running, read, check }: AskedAlertsOptions) {
  const slots = createSlots(mostAtOnce);
  let waiting = 0;

  async function run(
    { cluster, name }: AlertExecutionCommand,
    signal: AbortSignal,
  ): Promise<AskedFinding> {
    let alert: HostAlert | undefined;
    waiting += 1;
    try {
      if (waiting > mostWaiting) throw new Error("too many alerts were asked for at once");
      if (cluster === undefined) throw new Error("the server does not say of which cluster");
      const watched = await within(fetchMs, "its documents did not come", signal, (either) =>
        read(cluster, either),
      );
      const found = alertNamed(watched, name);
      alert = found;
      const finding = await running.run(alertKey(found), () =>
        slots.run(signal, () => check(found, watched, signal)),
      );
      return { alert, finding };
    } catch (error) {
      return { alert, finding: unknown(error) };
    } finally {
      waiting -= 1;
    }
  }
  return run;
}

function alertNamed({ definitions, alerts, cluster }: WatchedCluster, name: string): HostAlert {
  const alert = alerts.find(({ definition }) => definition.name === name);
  if (alert !== undefined) return alert;
  const what = JSON.stringify(name.slice(0, 200));
  throw new Error(
    definitions.some((definition) => definition.name === name)
      ? `the alert ${what} watches nothing on this host`
      : `the cluster ${cluster.clusterName} has no alert ${what} that agents check`,
  );
}
