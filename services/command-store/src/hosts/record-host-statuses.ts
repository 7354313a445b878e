import { createHash } from "node:crypto";
import type { HostStatus, RecordHostStatusesRequest } from "@howdah/proto/howdah/v1/store_hosts";
import type { Knex } from "knex";
import { untilItHolds } from "../database/transaction.js";
import { invalid } from "../invalid.js";
import {
  type AgentHostStatus,
  findChangedHosts,
  writeHostStatuses,
} from "../store/host-statuses.js";

const maxStatuses = 1_000;
const maxBytes = 32 << 10;
const maxProblems = 20;
const maxProblemLength = 1_000;

/** The form of the call. Throws INVALID_ARGUMENT. */
export function checkRecordHostStatuses({ statuses }: RecordHostStatusesRequest): void {
  if (statuses.length > maxStatuses) {
    throw invalid("statuses", statuses.length, `are too many; send at most ${maxStatuses} a call`);
  }
  for (const { session, statusJson, problems } of statuses) {
    const host = `host ${session?.hostId ?? 0n}`;
    const bytes = Buffer.byteLength(statusJson);
    if (bytes > maxBytes) {
      throw invalid("statuses.status_json", host, `has ${bytes} bytes, at most ${maxBytes}`);
    }
    const tooLong = problems.some((text) => text.length > maxProblemLength);
    if (problems.length > maxProblems || tooLong) {
      throw invalid(
        "statuses.problems",
        host,
        `are more than ${maxProblems}, or one has more than ${maxProblemLength} characters`,
      );
    }
  }
}

/**
 * Records how hosts are, each on condition that its session is the host's. What a host told before is not written again: a fleet that
 * registers anew costs one statement that reads. Of two words of one host the later one counts.
 */
export async function recordHostStatuses(
  db: Knex,
  statuses: readonly HostStatus[],
  now: number,
): Promise<void> {
  const last = new Map(statuses.map(toStored).map((each) => [each.hostId, each]));
  const told = [...last.values()].sort((a, b) => a.hostId - b.hostId);
  const changed = await findChangedHosts(db, told);
  const news = told.filter(({ hostId }) => changed.has(hostId));
  await untilItHolds(() => writeHostStatuses(db, news, now));
}

function toStored({ session, statusJson, problems }: HostStatus): AgentHostStatus {
  const texts = problems.length === 0 ? null : JSON.stringify(problems);
  return {
    hostId: Number(session?.hostId ?? 0),
    sessionEpoch: Number(session?.sessionEpoch ?? 0),
    digest: createHash("sha256").update(`${statusJson}\n${texts}`).digest("hex"),
    status: statusJson,
    problems: texts,
  };
}
