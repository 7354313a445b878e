import { clone, create } from "@bufbuild/protobuf";
import { type AlertResult, AlertResultSchema } from "@howdah/proto/howdah/v1/alert";
import {
  type HostAlertResults,
  HostAlertResultsSchema,
} from "@howdah/proto/howdah/v1/store_alerts";
import type { Session } from "../session.js";
import type { Word } from "./waiting-alert.js";

/** What one call of RecordAlerts may hold. */
const maxResults = 10_000;
const maxBytes = 1 << 20;

/**
 * The calls of RecordAlerts that tell these words: mostly one. Each host has its results oldest first, and what is stale on it, whole, in
 * every call that names it.
 * @param staleOf the definitions that are stale on a session's host now
 */
export function recordCalls(
  words: readonly (readonly [Session, Word])[],
  staleOf: (session: Session) => readonly bigint[],
  nowMs: number,
): HostAlertResults[][] {
  const calls: HostAlertResults[][] = [];
  let hosts = new Map<Session, HostAlertResults>();
  let count = 0;
  let bytes = 0;

  function close(): void {
    if (hosts.size === 0) return;
    for (const { results } of hosts.values()) results.sort((a, b) => Number(b.ageMs - a.ageMs));
    calls.push([...hosts.values()]);
    hosts = new Map();
    count = 0;
    bytes = 0;
  }

  for (const [session, word] of words) {
    const result = word.result && aged(word.result, nowMs - word.atMs);
    // Never less than it has on the wire.
    const size = result === undefined ? 0 : 60 + result.text.length * 3;
    for (let times = 0; times < (result === undefined ? 1 : word.times); times += 1) {
      if (count === maxResults || bytes + size > maxBytes) close();
      let host = hosts.get(session);
      if (host === undefined) {
        const staleDefinitionIds = [...staleOf(session)];
        host = create(HostAlertResultsSchema, { session: session.key, staleDefinitionIds });
        hosts.set(session, host);
        bytes += 40 + staleDefinitionIds.length * 10;
      }
      if (result === undefined) continue;
      host.results.push(result);
      count += 1;
      bytes += size;
    }
  }
  close();
  return calls;
}

/** The result with the time that it has waited here. */
function aged(result: AlertResult, waitedMs: number): AlertResult {
  const older = clone(AlertResultSchema, result);
  older.ageMs += BigInt(Math.max(0, Math.round(waitedMs)));
  return older;
}
