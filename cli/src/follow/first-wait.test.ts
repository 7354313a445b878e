import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RequestSchema, TaskSchema } from "@howdah/proto/howdah/v1/request";
import {
  ExplainTaskResponseSchema,
  type WaitSchema,
} from "@howdah/proto/howdah/v1/request_service";
import type { Session } from "../session.js";
import { firstWaitLine, watchFirstWait } from "./first-wait.js";

type Wait = MessageInitShape<typeof WaitSchema>;

const busy: Wait = { kind: "HOST_BUSY", text: "request 3 comes first on its host" };
const shut: Wait = { kind: "WINDOW", text: "window SUNDAY is shut" };
const lost: Wait = { kind: "HOST_LOST", text: "its host's agent is not connected" };

const queued = create(RequestSchema, { requestId: 7n, counts: { total: 2, pending: 2 } });

/** A session whose server names task 41 as the first that waits, for what `waitsNow` says; counts its calls. */
function sessionWith(waitsNow: () => Wait[] | undefined) {
  const calls: string[] = [];
  const session = {
    store: {
      listTasks() {
        calls.push("listTasks");
        return Promise.resolve({ tasks: [create(TaskSchema, { taskId: 41n, hostName: "h1" })] });
      },
    },
    requests: {
      explainTask() {
        calls.push("explainTask");
        const waits = waitsNow();
        if (waits === undefined) return Promise.reject(new Error("away"));
        return Promise.resolve(create(ExplainTaskResponseSchema, { waits }));
      },
    },
  } as unknown as Session;
  return { session, calls };
}

describe("firstWaitLine()", () => {
  it("names the first task that waits, its host and all that it waits for", async () => {
    const { session } = sessionWith(() => [shut, busy]);
    assert.equal(
      await firstWaitLine(session, queued),
      "task 41 on h1 waits: window SUNDAY is shut; request 3 comes first on its host",
    );
  });

  it("asks nothing while something runs, when it is over, paused or held", async () => {
    const { session, calls } = sessionWith(() => [busy]);
    const others = [
      { counts: { total: 2, pending: 1, inProgress: 1 } },
      { counts: { total: 2, completed: 2 } },
      { counts: { total: 2, pending: 2 }, paused: true },
      { counts: { total: 2, pending: 1, holdingFailed: 1 } },
    ];
    for (const other of others) {
      assert.equal(await firstWaitLine(session, create(RequestSchema, other)), "");
    }
    assert.deepEqual(calls, []);
  });

  it("leaves hosts that are away to the line about them", async () => {
    const { session } = sessionWith(() => [lost]);
    assert.equal(await firstWaitLine(session, queued), "");
  });
});

describe("watchFirstWait()", () => {
  it("tells what is new only, and that it waits no longer; a server that is away is passed over", async () => {
    const answers: (Wait[] | undefined)[] = [[shut], undefined, [shut], [busy], [busy], [], []];
    const stop = new AbortController();
    const { session } = sessionWith(() => {
      const next = answers.shift();
      if (answers.length === 0) stop.abort();
      return next;
    });
    const lines: string[] = [];
    const times = { firstMs: 1, everyMs: 1 };
    await watchFirstWait(
      session,
      () => queued,
      (line) => lines.push(line),
      stop.signal,
      times,
    );
    assert.deepEqual(lines, [
      "task 41 on h1 waits: window SUNDAY is shut",
      "task 41 on h1 waits: request 3 comes first on its host",
      "",
    ]);
  });
});
