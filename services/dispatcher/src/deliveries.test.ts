import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { TaskChangeSchema } from "@howdah/proto/howdah/v1/task_change";
import { createDeliveries } from "./deliveries.js";

const change = create(TaskChangeSchema, { taskId: 1n });

test("a watcher that does not keep up is sent away; others are not", async () => {
  const deliveries = createDeliveries({ dispatcher: "d", sessions: () => [], maxWaiting: 10 });
  const { signal } = new AbortController();
  const [slow, quick] = [deliveries.watch(1n, signal), deliveries.watch(1n, signal)];
  await slow.next();
  await quick.next();
  for (let times = 0; times < 5; times += 1) {
    deliveries.changed([change, change, change]);
    const { value } = await quick.next();
    assert.ok(value?.event.case === "changes");
  }
  await assert.rejects(slow.next(), { code: Code.ResourceExhausted });
  deliveries.changed([change]);
  assert.ok((await quick.next()).value?.event.case === "changes");
  await quick.return(undefined);
});

test("a watch ends with its signal's reason", async () => {
  const deliveries = createDeliveries({ dispatcher: "d", sessions: () => [] });
  const abort = new AbortController();
  const watch = deliveries.watch(1n, abort.signal);
  await watch.next();
  const next = watch.next();
  abort.abort(new Error("gone"));
  await assert.rejects(next, /gone/);
});
