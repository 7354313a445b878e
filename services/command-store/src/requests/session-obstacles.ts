import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type OpenSessionConflict,
  OpenSessionConflictSchema,
  type OpenSessionRequest,
} from "@howdah/proto/howdah/v1/store_sessions";
import type { LeaseRow } from "../store/leases.js";
import type { HostSession } from "../store/sessions.js";

/** The error of a dispatcher whose lease went to a newer start of it; undefined while it has it. */
export function staleDispatcher(
  { dispatcher, dispatcherToken }: OpenSessionRequest,
  lease: LeaseRow | undefined,
): ConnectError | undefined {
  if (lease === undefined || BigInt(lease.token) <= dispatcherToken) return undefined;
  return new ConnectError(
    `dispatcher_token ${dispatcherToken} of ${dispatcher} is stale, its lease is at ${lease.token}`,
    Code.FailedPrecondition,
  );
}

/**
 * The host's open session that stands in the way; undefined when there is none, or it gives way.
 * @param holder the lease of the dispatcher that has the session
 */
export function conflictWith(
  request: OpenSessionRequest,
  last: HostSession,
  holder: LeaseRow | undefined,
): OpenSessionConflict | undefined {
  if (!last.open || mayTakeOver(request, last, holder)) return undefined;
  return create(OpenSessionConflictSchema, {
    sessionEpoch: BigInt(last.sessionEpoch),
    dispatcher: last.dispatcher,
    dispatcherAddress: holder?.address ?? "",
    peerAddress: last.peerAddress,
    sameAgent: isSameAgent(request, last),
  });
}

function mayTakeOver(
  request: OpenSessionRequest,
  last: HostSession,
  holder: LeaseRow | undefined,
): boolean {
  // The dispatcher that held it has restarted, or nobody answers for it any more: there is no stream to be probed.
  const restarted =
    request.dispatcher === last.dispatcher && request.dispatcherToken > last.dispatcherToken;
  const gone = holder === undefined || holder.holder === "" || holder.token > last.dispatcherToken;
  if (restarted || gone) return true;
  return request.takeoverEpoch === BigInt(last.sessionEpoch) && isSameAgent(request, last);
}

function isSameAgent(request: OpenSessionRequest, last: HostSession): boolean {
  return request.agentId === last.agentId && request.journalId === last.journalId;
}
