import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { CommandReportSchema } from "@howdah/proto/howdah/v1/agent_service";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { reportProblem, toTaskReport } from "./command-report.js";

const good = {
  taskId: 1n,
  attempt: 2,
  event: TaskEvent.SUCCEEDED,
  exitCode: 0,
  receivedAtMs: 4n,
  startedAtMs: 5n,
  endedAtMs: 6n,
  lengths: [{ stream: OutputStream.STDOUT, length: 3n, written: 3n }],
  output: [{ stream: OutputStream.STDOUT, data: new Uint8Array([1, 2, 3]) }],
  reason: "done",
} satisfies MessageInitShape<typeof CommandReportSchema>;

const { STDOUT } = OutputStream;

const bad: [string, MessageInitShape<typeof CommandReportSchema>, RegExp][] = [
  ["no task", { taskId: 0n }, /^task_id: 0/],
  ["no attempt", { attempt: 0 }, /^attempt: 0/],
  ["an event that is the scheduler's", { event: TaskEvent.RELEASED }, /^event: RELEASED/],
  ["an event that is not known", { event: 99 as TaskEvent }, /^event: 99/],
  ["no stream", { output: [{ data: new Uint8Array(1) }] }, /^output, lengths: /],
  ["a stream twice", { lengths: [{ stream: STDOUT }, { stream: STDOUT }] }, /^lengths: .*twice/],
  ["a negative length", { lengths: [{ stream: STDOUT, length: -1n }] }, /^lengths: .*negative/],
  ["a negative offset", { output: [{ stream: STDOUT, offset: -1n }] }, /^output: .*negative/],
  [
    "too much output",
    { output: [{ stream: STDOUT, data: new Uint8Array(40_000) }] },
    /^output: 40000 bytes/,
  ],
];

for (const [what, fields, message] of bad) {
  test(`a report with ${what} is refused`, () => {
    const problem = reportProblem(create(CommandReportSchema, { ...good, ...fields }));
    assert.match(problem ?? "", message);
  });
}

test("a good report passes whole, with its session", () => {
  const said = create(CommandReportSchema, good);
  assert.equal(reportProblem(said), undefined);
  const { $typeName: _, ...report } = toTaskReport(said, {
    hostId: 7n,
    epoch: 8n,
    hostName: "web-1",
    agentId: "",
    journalId: "",
    agentVersion: "",
    peerAddress: "",
  });
  const { $typeName: __, ...passed } = said;
  assert.deepEqual(report, { ...passed, hostId: 7n, sessionEpoch: 8n });
});

test("a long reason is cut, and no character in two", () => {
  const said = create(CommandReportSchema, { ...good, reason: "😀".repeat(300) });
  const report = toTaskReport(said, {
    ...{ hostId: 7n, epoch: 8n, hostName: "", agentId: "", journalId: "", agentVersion: "" },
    peerAddress: "",
  });
  assert.equal([...report.reason].length, 255);
  assert.ok(report.reason.isWellFormed());
});
