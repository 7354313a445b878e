import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { AlertDefinitionCommandSchema } from "@howdah/proto/howdah/v1/agent_service";
import type {
  DispatcherService,
  HostsAlertDefinitions,
} from "@howdah/proto/howdah/v1/dispatcher_service";
import { invalid } from "../invalid.js";
import type { SchedulerFence } from "../scheduler-token.js";
import type { SessionRegistry } from "../session-registry.js";
import type { AlertExecutions } from "./alert-executions.js";

const maxHosts = 10_000;
const maxTimeoutMs = 600_000;

/** What the calls about alerts need. */
export interface AlertCallParts {
  readonly registry: Pick<SessionRegistry, "ofHost">;
  readonly fence: SchedulerFence;
  readonly executions: Pick<AlertExecutions, "execute">;
}

/** Makes the calls of schedulers about alerts. */
export function createAlertCalls({
  registry,
  fence,
  executions,
}: AlertCallParts): Pick<
  ServiceImpl<typeof DispatcherService>,
  "sendAlertDefinitions" | "executeAlert"
> {
  return {
    sendAlertDefinitions({ schedulerToken, definitions }) {
      fence.check(schedulerToken);
      checkHosts(definitions);
      for (const { command, hostIds } of definitions) {
        const told = command ?? create(AlertDefinitionCommandSchema);
        for (const hostId of hostIds) registry.ofHost(hostId)?.outbox.watchAlerts(told);
      }
      return {};
    },
    async *executeAlert(request, { signal }) {
      fence.check(request.schedulerToken);
      const { cluster, name, hostIds, timeoutMs } = request;
      if (cluster === undefined) throw invalid("cluster: is not set");
      if (name === "") throw invalid("name: is empty");
      if (hostIds.length > maxHosts) throw tooMany("host_ids", hostIds.length);
      if (timeoutMs < 1n || timeoutMs > maxTimeoutMs) {
        throw invalid(`timeout_ms: ${timeoutMs} is not from 1 to ${maxTimeoutMs}`);
      }
      yield* executions.execute(request, signal);
    },
  };
}

function checkHosts(definitions: readonly HostsAlertDefinitions[]): void {
  const count = definitions.reduce((sum, { hostIds }) => sum + hostIds.length, 0);
  if (count > maxHosts) throw tooMany("definitions", count);
  const seen = new Set<bigint>();
  for (const hostId of definitions.flatMap(({ hostIds }) => hostIds)) {
    if (seen.has(hostId)) throw invalid(`definitions: host ${hostId} is in it twice`);
    seen.add(hostId);
  }
}

function tooMany(field: string, count: number) {
  return invalid(`${field}: ${count} hosts in one call, at most ${maxHosts}`);
}
