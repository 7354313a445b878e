import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ExplainRequestResponseSchema } from "@howdah/proto/howdah/v1/request_service";
import { NotLeadingError } from "./not-leading.js";
import { readRequest, type Steering } from "./steer-request.js";

const mostHosts = 20;

/**
 * Says which hosts a request waits for since they are away. From memory alone while it is driven.
 * @throws ConnectError NOT_FOUND; UNAVAILABLE when the request is not driven yet
 */
export async function explainRequest(
  { store, engine }: Steering,
  requestId: bigint,
  signal: AbortSignal,
): Promise<MessageInitShape<typeof ExplainRequestResponseSchema>> {
  const away = engine.hostsAway(requestId);
  if (away === undefined) {
    const { progressPercent } = await readRequest(store, requestId, signal);
    if (progressPercent === 100) return {};
    throw new NotLeadingError(`request ${requestId} is not taken over yet`, "no");
  }
  const now = performance.now();
  const hosts = away.map(({ hostId, away: known }) => ({
    hostName: known?.hostName || `host ${hostId}`,
    lost: known?.lost === true,
    awayMs: BigInt(Math.round(now - (known?.since ?? now))),
  }));
  hosts.sort((a, b) => Number(b.awayMs - a.awayMs) || (a.hostName < b.hostName ? -1 : 1));
  return {
    awayHosts: hosts.slice(0, mostHosts),
    awayHostCount: hosts.length,
    taskCount: away.reduce((sum, { tasks }) => sum + tasks, 0),
  };
}
