import { Code, ConnectError } from "@connectrpc/connect";
import type { AcquireLeaseRequest } from "@howdah/proto/howdah/v1/store_leases";
import type {
  AppendOutputRequest,
  ReadTaskOutputRequest,
} from "@howdah/proto/howdah/v1/store_output";
import type { RecordReportsRequest } from "@howdah/proto/howdah/v1/store_reports";
import type {
  ListRequestsRequest,
  ListTasksRequest,
} from "@howdah/proto/howdah/v1/store_request_reading";
import type { OpenSessionRequest } from "@howdah/proto/howdah/v1/store_sessions";
import type { RecordTransitionsRequest } from "@howdah/proto/howdah/v1/store_transitions";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { checkId } from "../check-id.js";
import { invalid } from "../invalid.js";

const maxReports = 1_000;

/** Events of which an agent alone can know. */
const agentsOnly: ReadonlySet<TaskEvent> = new Set([
  TaskEvent.UNSPECIFIED,
  TaskEvent.STARTED,
  TaskEvent.SUCCEEDED,
  TaskEvent.FAILED,
  TaskEvent.TIMED_OUT,
  TaskEvent.INTERRUPTED,
]);

function checkText(field: string, value: string, longest: number, shortest = 1): void {
  if (value.length < shortest || value.length > longest) {
    throw invalid(field, value, `has not ${shortest} to ${longest} characters`);
  }
}

/** A page's size, given what was asked for. */
function pageSize(asked: number, usual: number, most: number): number {
  if (asked < 0) throw invalid("page_size", asked, "is negative");
  return Math.min(asked || usual, most);
}

/** The id in a page token; 0 for none. */
function pageToken(token: string): number {
  if (token === "") return 0;
  if (!/^[1-9]\d{0,15}$/.test(token)) {
    throw invalid("page_token", token, "is none of ours; take it from the answer before");
  }
  return Number(token);
}

/** Checks and reads the page of a list of requests. */
export function checkListRequests({ pageSize: size, pageToken: token }: ListRequestsRequest) {
  return { limit: pageSize(size, 20, 1_000), below: pageToken(token) };
}

/** Checks and reads the page of a list of tasks. */
export function checkListTasks(request: ListTasksRequest) {
  checkId("request_id", request.requestId);
  const after = request.changedAfterVersion;
  if (after < 0n) throw invalid("changed_after_version", after, "is negative");
  return { limit: pageSize(request.pageSize, 1_000, 10_000), above: pageToken(request.pageToken) };
}

/** Checks what of a task's output is to be read. */
export function checkReadTaskOutput({ taskId, offset, stream }: ReadTaskOutputRequest): void {
  checkId("task_id", taskId);
  if (offset < 0n || offset > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw invalid("offset", offset, "cannot be");
  }
  if (stream < 0 || stream > 3) throw invalid("stream", stream, "is no stream");
}

/** Checks a batch of the scheduler's decisions. */
export function checkRecordTransitions({
  schedulerToken,
  requests,
}: RecordTransitionsRequest): void {
  checkId("scheduler_token", schedulerToken);
  const seen = new Set<bigint>();
  for (const { requestId, transitions, newRun, abort, pause } of requests) {
    if (seen.has(requestId)) throw invalid("requests.request_id", requestId, "comes twice");
    seen.add(requestId);
    if (newRun && (abort !== undefined || pause !== undefined)) {
      throw invalid("requests.new_run", newRun, "goes with neither abort nor pause");
    }
    for (const { event } of transitions) {
      if (agentsOnly.has(event) || TaskEvent[event] === undefined) {
        throw invalid(
          "transitions.event",
          TaskEvent[event] ?? event,
          "is not the scheduler's to say",
        );
      }
      if (event === TaskEvent.RETRIED && !newRun) {
        throw invalid("transitions.event", "RETRIED", "needs new_run in its part");
      }
    }
  }
}

/** Checks a batch of reports as a whole. */
export function checkRecordReports({ reports }: RecordReportsRequest): void {
  if (reports.length > maxReports) {
    throw invalid("reports", reports.length, `are too many; send ${maxReports} at most`);
  }
}

/** Checks a batch of appends as a whole. */
export function checkAppendOutput({ appends }: AppendOutputRequest): void {
  const size = appends.reduce((sum, { chunk }) => sum + (chunk?.data.length ?? 0), 0);
  if (size > 1 << 20)
    throw invalid("appends", `of ${size} bytes`, "are too much; send 1 MiB at most");
}

/** Checks what an agent registers with. */
export function checkOpenSession(request: OpenSessionRequest): void {
  checkText("host_name", request.hostName, 255);
  if (request.hostName !== request.hostName.toLowerCase()) {
    throw invalid("host_name", request.hostName, "is not in lower case");
  }
  checkText("agent_id", request.agentId, 64);
  checkText("journal_id", request.journalId, 64);
  checkText("boot_id", request.bootId, 64, 0);
  checkText("agent_version", request.agentVersion, 64, 0);
  checkText("peer_address", request.peerAddress, 255, 0);
  checkText("dispatcher", request.dispatcher, 100);
  checkId("dispatcher_token", request.dispatcherToken);
  if (Buffer.byteLength(request.factsJson) > 64 * 1024) {
    throw invalid(
      "facts_json",
      `of ${Buffer.byteLength(request.factsJson)} bytes`,
      "is longer than 64 KiB",
    );
  }
  if (Buffer.byteLength(JSON.stringify(request.labels)) > 60_000) {
    throw invalid("labels", "of this host", "are longer than 60,000 bytes");
  }
}

/** Checks a claim to a lease. */
export function checkAcquireLease(request: AcquireLeaseRequest): void {
  checkText("name", request.name, 100);
  checkText("holder", request.holder, 150);
  checkText("address", request.address, 255, 0);
  if (!request.holder.includes("/")) {
    throw invalid(
      "holder",
      request.holder,
      "has no part that is new with each start; write it as NAME/RANDOM",
    );
  }
  if (request.durationMs <= 0n || request.durationMs > 86_400_000n) {
    throw invalid("duration_ms", request.durationMs, "is not from 1 ms to a day");
  }
}

/** The error of a lease that somebody else has. */
export function leaseLost(name: string, token: bigint): ConnectError {
  return new ConnectError(
    `lease ${name} is no longer held by token ${token}: somebody took it or it was given back`,
    Code.FailedPrecondition,
  );
}
