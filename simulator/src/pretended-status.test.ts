import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { JournalEntry, ResultStatus } from "@howdah/agent/journal/entry";
import { memoryJournal } from "@howdah/agent/journal/memory-journal";
import { tellAfterMs } from "@howdah/agent/status/tell-after";
import { CommandSpecSchema, StatusCheckSchema } from "@howdah/proto/howdah/v1/command";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { PretendedStatus } from "./pretended-status.js";

const check = (componentName: string) =>
  create(StatusCheckSchema, { componentName, spec: create(CommandSpecSchema, { clusterId: 7n }) });

/** A command of a component that has ended. */
async function ended(roleCommand: string, status: ResultStatus): Promise<JournalEntry> {
  const journal = memoryJournal("agent");
  const key = { storeId: "s", taskId: "1", attempt: 1 };
  const spec = { clusterId: "7", componentName: "WORKER" };
  await journal.accept(key, { roleCommand: `ROLE_COMMAND_${roleCommand}`, spec });
  await journal.ended(key, {
    ...{ status, exitCode: 0, reason: "", started: true, tries: 1, bootId: "none" },
    ...{ startedAtMs: 1, endedAtMs: 2, startedUptimeMs: 1, endedUptimeMs: 2 },
    ...{ stdoutBytes: 0, stderrBytes: 0, structuredOutBytes: 0 },
  });
  const entry = journal.entry(key);
  assert.ok(entry);
  return entry;
}

describe("PretendedStatus", () => {
  it("should tell what commands made of components, only changes, and everything to a new session", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const status = new PretendedStatus();
    let told: string[] = [];
    const connect = () =>
      status.connected((statuses) => {
        told = statuses.map(
          ({ componentName, state }) => `${componentName} ${ComponentState[state]}`,
        );
      });
    const heard = () => {
      t.mock.timers.tick(tellAfterMs);
      const now = told;
      told = [];
      return now;
    };
    connect();
    assert.deepEqual(heard(), []);
    status.command([check("WORKER"), check("LEADER")]);
    assert.deepEqual(heard(), ["WORKER INSTALLED", "LEADER INSTALLED"]);
    status.command([check("WORKER"), check("LEADER")]);
    assert.deepEqual(heard(), []);

    const start = await ended("START", "COMPLETED");
    status.began(start);
    status.recorded(start);
    assert.deepEqual(heard(), [], "nobody looks while its command runs");
    status.ended(start);
    assert.deepEqual(heard(), ["WORKER STARTED"]);
    status.recorded(start);
    assert.deepEqual(heard(), ["WORKER STARTED"], "once more after the result is recorded");
    status.ended(await ended("STOP", "FAILED"));
    assert.deepEqual(heard(), ["WORKER STARTED"]);

    status.disconnected();
    status.ended(await ended("STOP", "COMPLETED"));
    assert.deepEqual(heard(), []);
    connect();
    assert.deepEqual(heard(), ["WORKER INSTALLED", "LEADER INSTALLED"]);
    status.close();
  });
});
