import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { AgentService } from "@howdah/proto/howdah/v1/agent_service";
import type { ClientTlsFiles } from "@howdah/rpc/tls";
import { createRpcTransport } from "@howdah/rpc/transport";
import { reconnectPauseMs, serverAddresses } from "./server-addresses.js";
import { refusal, runSession, type SessionEnd, type SessionOptions } from "./session.js";

/** How to stay connected. */
export interface StayConnectedOptions extends Omit<SessionOptions, "client"> {
  readonly addresses: readonly string[];
  readonly tls: ClientTlsFiles | undefined;
}

// Both ends ping: a link that vanished without a word is noticed within 20 s.
const keepalive = { timeMs: 12_000, timeoutMs: 8_000 };

/** Holds a session with one of the servers, whatever happens, until stopped. */
export async function stayConnected(
  options: StayConnectedOptions,
  stop: AbortSignal,
): Promise<void> {
  const { log, tls } = options;
  const addresses = serverAddresses(options.addresses);
  let tries = 0;
  while (!stop.aborted) {
    const address = addresses.next().value;
    const transport = createRpcTransport({
      address,
      addressOption: "[server] address",
      tls,
      keepalive,
      ownConnection: true,
    });
    let end: SessionEnd = { registered: false };
    try {
      end = await runSession({ ...options, client: createClient(AgentService, transport) }, stop);
    } catch (error) {
      log.warn({ server: address }, `not connected: ${refusal(error)}`);
    } finally {
      transport.close();
    }
    tries = end.registered ? 1 : tries + 1;
    const pauseMs = end.reconnectAfterMs ?? reconnectPauseMs(tries);
    await sleep(pauseMs, undefined, { signal: stop }).catch(() => undefined);
  }
}
