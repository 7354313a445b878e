import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import type {
  OpenSessionConflict,
  OpenSessionResponse,
} from "@howdah/proto/howdah/v1/store_sessions";
import type { Limiter } from "./limiter.js";
import type { ProbePeer } from "./probe-peer.js";
import type { Registration } from "./registration.js";
import { isAway } from "./retry.js";
import type { SessionRegistry } from "./session-registry.js";

/** How long an agent has to answer a probe. */
export const probeTimeoutMs = 2_000;

/** What opening sessions needs. */
export interface OpenSessionParts {
  readonly store: Pick<Client<typeof CommandStoreService>, "openSession" | "closeSessions">;
  readonly registry: SessionRegistry;
  /** Bounds how many calls are under way at the store. */
  readonly limiter: Limiter;
  readonly probePeer: ProbePeer;
  /** Our lease; its token is undefined while we do not hold it. */
  readonly lease: { readonly name: string; readonly token: bigint | undefined };
}

/** Opens a session for a registration that came from `peerAddress`. */
export type OpenSession = (
  registration: Registration,
  peerAddress: string,
  signal: AbortSignal,
) => Promise<OpenSessionResponse>;

/**
 * Makes what opens sessions at the store. It fails with UNAVAILABLE while the store is away or our lease is not held, and
 * with ALREADY_EXISTS, naming both peers, when another session of the host stands in the way: that one is taken over only if
 * it is the same agent's, with the same journal, and its stream does not answer a probe.
 *
 * The call to the store is not cut short by the signal: we must learn whether it opened a session that somebody has to close.
 */
export function createOpenSession(parts: OpenSessionParts): OpenSession {
  const { store, registry, limiter, probePeer, lease } = parts;
  /** The store that we serve; known from the first session on. */
  let storeId: string | undefined;
  /** Registrations of one host go one after the other. */
  const busy = new Map<string, Promise<unknown>>();

  async function ask(
    registration: Registration,
    peerAddress: string,
    takeoverEpoch: bigint,
    signal: AbortSignal,
  ): Promise<OpenSessionResponse> {
    const { register, hostName, entries } = registration;
    const { agentId, journalId, bootId, agentVersion, labels, factsJson } = register;
    // The attempts of another store say nothing about this one's, though their numbers may be the same.
    const ours = storeId === undefined || register.storeId === storeId;
    const request = {
      ...{ hostName, agentId, journalId, bootId, agentVersion, labels, factsJson, peerAddress },
      dispatcher: lease.name,
      takeoverEpoch,
      listed: ours ? entries.map(({ taskId, attempt }) => ({ taskId, attempt })) : [],
    };
    const response = await limiter.run(() => {
      const dispatcherToken = lease.token;
      if (dispatcherToken === undefined)
        throw unavailable("this dispatcher does not hold its lease");
      return store.openSession({ ...request, dispatcherToken }, { timeoutMs: 10_000 });
    }, signal);
    if (response.conflict !== undefined) return response;
    storeId = response.storeId;
    if (request.listed.length === 0 || register.storeId === storeId) return response;
    return ask(registration, peerAddress, response.sessionEpoch, signal);
  }

  /** Whether the session in the way is alive; one that is ours on paper only is closed. */
  async function probe(hostId: bigint, conflict: OpenSessionConflict): Promise<boolean> {
    const { dispatcher, dispatcherAddress, sessionEpoch } = conflict;
    if (dispatcher !== lease.name) return probePeer(dispatcherAddress, hostId, sessionEpoch);
    const session = registry.find(hostId, sessionEpoch);
    if (session !== undefined) return session.probe(probeTimeoutMs);
    await store.closeSessions({ sessions: [{ hostId, sessionEpoch }] }, { timeoutMs: 10_000 });
    return false;
  }

  async function open(
    registration: Registration,
    peerAddress: string,
    signal: AbortSignal,
  ): Promise<OpenSessionResponse> {
    let takeoverEpoch = 0n;
    for (let round = 1; round <= 4; round += 1) {
      const response = await ask(registration, peerAddress, takeoverEpoch, signal);
      const { conflict, hostId } = response;
      if (conflict === undefined) return response;
      const ourOrphan =
        conflict.dispatcher === lease.name &&
        registry.find(hostId, conflict.sessionEpoch) === undefined;
      const alive = await probe(hostId, conflict);
      if (!ourOrphan && (alive || !conflict.sameAgent)) {
        throw taken(registration, peerAddress, conflict);
      }
      takeoverEpoch = conflict.sameAgent ? conflict.sessionEpoch : 0n;
    }
    throw unavailable(`sessions of host ${registration.hostName} open and close all the time`);
  }

  return async (registration, peerAddress, signal) => {
    const { hostName } = registration;
    const before = busy.get(hostName);
    const opened = (async () => {
      await before?.catch(() => {});
      signal.throwIfAborted();
      return open(registration, peerAddress, signal);
    })();
    busy.set(hostName, opened);
    try {
      return await opened;
    } catch (error) {
      if (signal.aborted || !isAway(error)) throw error;
      const { rawMessage } = ConnectError.from(error);
      throw unavailable(`the command store cannot be asked: ${rawMessage}`);
    } finally {
      if (busy.get(hostName) === opened) busy.delete(hostName);
    }
  };
}

function taken(
  { hostName, register }: Registration,
  peerAddress: string,
  conflict: OpenSessionConflict,
): ConnectError {
  return new ConnectError(
    `host ${hostName} is connected from ${conflict.peerAddress}; ` +
      `this agent (id ${register.agentId}) comes from ${peerAddress}: ` +
      "cloned machines must have host names of their own and agents with empty data folders",
    Code.AlreadyExists,
  );
}

function unavailable(what: string): ConnectError {
  return new ConnectError(`${what}; register again later`, Code.Unavailable);
}
