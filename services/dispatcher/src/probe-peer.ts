import { createClient } from "@connectrpc/connect";
import { DispatcherService } from "@howdah/proto/howdah/v1/dispatcher_service";
import type { ClientTlsFiles } from "@howdah/rpc/tls";
import { connectService } from "@howdah/service/connect-service";
import type { Logger } from "pino";
import { messageOf } from "./retry.js";

/** Asks another dispatcher whether a session there is alive. */
export type ProbePeer = (address: string, hostId: bigint, epoch: bigint) => Promise<boolean>;

/** Makes it. A dispatcher that cannot be reached, or does not answer within four seconds, has no live session. */
export function createProbePeer(tls: ClientTlsFiles | undefined, log: Logger): ProbePeer {
  return async (address, hostId, epoch) => {
    if (address === "") return false;
    const transport = connectService({ address, tls });
    try {
      const client = createClient(DispatcherService, transport);
      const request = { hostId, sessionEpoch: epoch };
      const { alive } = await client.probeSession(request, { timeoutMs: 4_000 });
      return alive;
    } catch (error) {
      log.warn(
        { error: messageOf(error), address },
        "the dispatcher of a host's session does not answer",
      );
      return false;
    } finally {
      transport.close();
    }
  };
}
