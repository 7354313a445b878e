import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ConnectResponse, ReportAckedSchema } from "@howdah/proto/howdah/v1/agent_service";
import { ExecutionCommandSchema, OutputStream } from "@howdah/proto/howdah/v1/command";
import { ReportOutcome } from "@howdah/proto/howdah/v1/store_reports";
import { Outbox } from "./outbox.js";
import { eventually } from "./testing/eventually.js";

function outboxOf() {
  const sent: ConnectResponse["message"]["case"][] = [];
  const acked: bigint[] = [];
  const stream = {
    send({ message }: ConnectResponse) {
      sent.push(message.case);
      if (message.case === "reportAck") acked.push(...message.value.acks.map((ack) => ack.taskId));
      return true;
    },
    end: () => sent.push(undefined),
  };
  const outbox = new Outbox(stream, () => undefined);
  const acknowledge = (taskId: bigint, more: MessageInitShape<typeof ReportAckedSchema> = {}) =>
    outbox.acknowledge(
      create(ReportAckedSchema, { taskId, outcome: ReportOutcome.RECORDED, ...more }),
    );
  return { outbox, sent, acked, acknowledge };
}

/** When all is written that is to be written at once. */
const written = () => new Promise((resolve) => setImmediate(resolve));

test("that a report is recorded is said along with the next command, before it", async () => {
  const { outbox, sent, acked, acknowledge } = outboxOf();
  acknowledge(1n);
  acknowledge(2n);
  await written();
  assert.deepEqual(sent, []);
  outbox.queue.addCommand(create(ExecutionCommandSchema, { taskId: 3n, attempt: 1 }));
  outbox.wake();
  await written();
  assert.deepEqual(
    [sent, acked],
    [
      ["reportAck", "executionCommand"],
      [1n, 2n],
    ],
  );
});

test("it is said a moment later when nothing else is, and before the stream ends", async () => {
  const { outbox, sent, acknowledge } = outboxOf();
  acknowledge(1n);
  await eventually("the acknowledgement", () => sent.length === 1);
  acknowledge(2n);
  outbox.end();
  await written();
  assert.deepEqual(sent, ["reportAck", "reportAck", undefined]);
});

test("it is said at once when the agent waits for it, or when many are to be said", async () => {
  const stored = [{ stream: OutputStream.STDOUT, length: 5n }];
  for (const more of [{ outcome: ReportOutcome.STALE_SESSION }, { stored }]) {
    const { acked, acknowledge } = outboxOf();
    acknowledge(1n);
    acknowledge(2n, more);
    await written();
    assert.deepEqual(acked, [1n, 2n]);
  }
  const { acked, acknowledge } = outboxOf();
  for (let taskId = 1n; taskId <= 11n; taskId += 1n) acknowledge(taskId);
  await written();
  assert.equal(acked.length, 11);
});
