import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { AgentService } from "@howdah/proto/howdah/v1/agent_service";
import type { ClientTlsFiles } from "@howdah/rpc/tls";
import { createRpcTransport, type RpcTransport } from "@howdah/rpc/transport";
import { reconnectPauseMs, serverAddresses } from "./server-addresses.js";
import { runSession } from "./session.js";
import type { SessionEnd, SessionOptions } from "./session-options.js";

/** How to reach the servers. */
export interface Servers {
  readonly addresses: readonly string[];
  readonly tls: ClientTlsFiles | undefined;
}

/** How to stay connected. */
export interface StayConnectedOptions extends Omit<SessionOptions, "client">, Servers {
  /** Waited for before each try; for who has many agents in one process. The try is over when `onLive` is told of it. Default: nothing. */
  readonly turn?: () => Promise<void>;
}

// Both ends ping: a link that vanished without a word is noticed within 20 s.
const keepalive = { timeMs: 12_000, timeoutMs: 8_000 };
/** A session that lived so long shows that the server is well: the next tries begin with a short pause again. */
const wellAfterMs = 1_000;

/**
 * The connection to a server, made with the first call. Throws an Error for an address that cannot be one, TlsFileError for a file
 * that is not as it should be; both in one line.
 */
export function connectionTo(address: string, tls: ClientTlsFiles | undefined): RpcTransport {
  const addressOption = "[server] address";
  return createRpcTransport({ address, addressOption, tls, keepalive, ownConnection: true });
}

/** Holds a session with one of the servers, whatever happens, until stopped. Never rejects. */
export async function stayConnected(
  options: StayConnectedOptions,
  stop: AbortSignal,
): Promise<void> {
  const addresses = serverAddresses(options.addresses);
  let address = addresses.next().value;
  let tries = 0;
  while (!stop.aborted) {
    await options.turn?.();
    if (stop.aborted) return;
    const end = await oneSession(address, options, stop);
    if (end.error !== undefined && !stop.aborted) {
      const { code, rawMessage } = end.error;
      options.log.warn({ server: address }, `not connected: ${Code[code]}: ${rawMessage}`);
    }
    tries = end.livedMs >= wellAfterMs ? 1 : tries + 1;
    // The server's word counts, but not that of one that sends us away all the time.
    const asked = end.reconnectAfterMs;
    const pauseMs =
      asked !== undefined && tries <= 2 ? asked : Math.max(asked ?? 0, reconnectPauseMs(tries));
    if (end.sameServer !== true) address = addresses.next().value;
    await sleep(pauseMs, undefined, { signal: stop }).catch(() => undefined);
  }
}

async function oneSession(
  address: string,
  options: StayConnectedOptions,
  stop: AbortSignal,
): Promise<SessionEnd> {
  let transport: RpcTransport | undefined;
  try {
    // Made anew each time: the files of its certificate may be others by now.
    transport = connectionTo(address, options.tls);
    return await runSession({ ...options, client: createClient(AgentService, transport) }, stop);
  } catch (error) {
    return { livedMs: 0, error: ConnectError.from(error, Code.FailedPrecondition) };
  } finally {
    transport?.close();
  }
}
