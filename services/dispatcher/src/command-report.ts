import { create } from "@bufbuild/protobuf";
import type { CommandReport } from "@howdah/proto/howdah/v1/agent_service";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { type TaskReport, TaskReportSchema } from "@howdah/proto/howdah/v1/store_reports";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { agentEvents } from "@howdah/state/transitions";
import type { SessionIdentity } from "./session.js";

/** Twice what an agent may put into a report, so that nobody is refused over how bytes are counted. */
const maxOutputBytes = 32 << 10;
const maxReason = 255;

/** The report as it goes to the store, with the session it came on. A long reason is cut. */
export function toTaskReport(said: CommandReport, { hostId, epoch }: SessionIdentity): TaskReport {
  // Field by field: with what it is to hold as its argument, `create` takes several times as long, and this is per report.
  const report = create(TaskReportSchema);
  report.taskId = said.taskId;
  report.attempt = said.attempt;
  report.hostId = hostId;
  report.sessionEpoch = epoch;
  report.event = said.event;
  if (said.exitCode !== undefined) report.exitCode = said.exitCode;
  report.startedAtMs = said.startedAtMs;
  report.receivedAtMs = said.receivedAtMs;
  report.endedAtMs = said.endedAtMs;
  report.lengths = said.lengths;
  report.restEmpty = said.restEmpty;
  report.output = said.output;
  report.reason = cut(said.reason);
  return report;
}

/** What is wrong with a report that no store should be bothered with; undefined when nothing is. */
export function reportProblem(report: CommandReport): string | undefined {
  const { taskId, attempt, event, lengths, output } = report;
  if (taskId <= 0n) return `task_id: ${taskId} is no task`;
  if (attempt <= 0) return `attempt: ${attempt} is no attempt, they are counted from 1`;
  if (!agentEvents.has(event)) {
    return `event: ${TaskEvent[event] ?? event} is not for an agent to say`;
  }
  const streams = [...lengths, ...output].map(({ stream }) => stream);
  if (streams.some((stream) => stream === OutputStream.UNSPECIFIED || !(stream in OutputStream))) {
    return "output, lengths: a stream that is not known";
  }
  if (new Set(lengths.map(({ stream }) => stream)).size < lengths.length) {
    return "lengths: a stream is there twice";
  }
  if (lengths.some(({ length, written }) => length < 0n || written < 0n)) {
    return "lengths: a length is negative";
  }
  if (output.length > 16) return `output: ${output.length} chunks, at most 16`;
  if (output.some(({ offset }) => offset < 0n)) return "output: an offset is negative";
  const bytes = output.reduce((sum, { data }) => sum + data.byteLength, 0);
  if (bytes > maxOutputBytes) return `output: ${bytes} bytes, at most 16384; upload the rest`;
  return undefined;
}

function cut(reason: string): string {
  // By code points, so that no character is cut in two.
  return reason.length <= maxReason ? reason : [...reason].slice(0, maxReason).join("");
}
