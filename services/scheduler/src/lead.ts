import type { Client } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type { RpcTransport } from "@howdah/rpc/transport";
import type { Logger } from "pino";
import { claimRequests } from "./claim-requests.js";
import { Dispatchers } from "./dispatchers.js";
import { Engine, type EngineTimes } from "./engine/engine.js";

/** What leading needs. */
export interface LeadOptions extends EngineTimes {
  readonly store: Client<typeof CommandStoreService>;
  readonly log: Logger;
  /** Opens a connection to a dispatcher's address. */
  readonly connect: (address: string) => RpcTransport;
  /** How often the dispatchers' leases are looked at. Default 2,000. */
  readonly lookMs?: number;
}

/**
 * Leads for one turn: announces the token to the dispatchers, makes what is unfinished its own, reads it, drives it until the signal aborts. Rejects
 * with StaleOwnerError when another scheduler has taken over. All is closed when it settles.
 * @param started called with the engine, which takes in requests from then on
 */
export async function lead(
  options: LeadOptions,
  token: bigint,
  turn: AbortSignal,
  started: (engine: Engine) => void,
): Promise<void> {
  const dispatchers = new Dispatchers({ ...options, token });
  const engine = new Engine({
    ...options,
    token,
    enqueue: (dispatcher, commands) => dispatchers.enqueue(dispatcher, commands),
    cancel: (dispatcher, cancels) => dispatchers.cancel(dispatcher, cancels),
  });
  const over = new AbortController();
  const end = () => {
    over.abort();
    engine.stop();
  };
  turn.addEventListener("abort", end, { once: true });
  if (turn.aborted) end();
  const following = dispatchers.follow(engine, over.signal);
  try {
    started(engine);
    await dispatchers.announced;
    await claimRequests({ ...options, token }, over.signal);
    await engine.drive();
  } finally {
    turn.removeEventListener("abort", end);
    end();
    await following;
  }
}
