import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { AgentService } from "@howdah/proto/howdah/v1/agent_service";
import {
  idleAlerts,
  idleChecks,
  silent,
  startTestAgent,
  temporaryFolders,
} from "../testing/test-agent.js";
import { serveDispatcher } from "../testing/test-dispatcher.js";
import { fileOutput } from "./attempt-output.js";
import { Outbox } from "./outbox.js";
import { Reporter } from "./reporter.js";
import { runSession } from "./session.js";
import { connectionTo } from "./stay-connected.js";

test("a server that does not answer the registration is given up", async (t) => {
  const dispatcher = await serveDispatcher(t);
  dispatcher.script.deaf = true;
  const { folders, remove } = temporaryFolders();
  const { journal, queue, stop } = await startTestAgent(folders);
  const transport = connectionTo(dispatcher.address, undefined);
  t.after(async () => {
    transport.close();
    await stop();
    remove();
  });
  const end = await runSession(
    {
      ...{ journal, queue, log: silent, hostName: "h", agentVersion: "1", labels: {} },
      factsJson: () => "{}",
      output: fileOutput(folders, silent),
      client: createClient(AgentService, transport),
      reporter: new Reporter(journal, silent),
      status: idleChecks(folders),
      alerts: idleAlerts(folders),
      onLive: () => undefined,
      onJournalError: (error) => {
        throw error;
      },
      lastStore: { storeId: "" },
      registerWithinMs: 300,
    },
    new AbortController().signal,
  );
  assert.equal(end.livedMs, 0);
  assert.equal(end.error?.code, Code.DeadlineExceeded);
});

test("what waits for a server that does not read is bounded", async () => {
  let overflows = 0;
  const outbox = new Outbox<number>(3, () => {
    overflows += 1;
  });
  for (const message of [1, 2, 3]) outbox.put(message);
  const written = outbox[Symbol.asyncIterator]();
  assert.equal((await written.next()).value, 1);
  outbox.put(4);
  assert.equal(overflows, 0);
  outbox.put(5);
  outbox.put(6);
  assert.equal(overflows, 1);
  assert.equal((await written.next()).done, true);
});
