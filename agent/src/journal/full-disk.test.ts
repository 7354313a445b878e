import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  mkdtempSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type AgentFolders, agentFolders, createFolders } from "../folders.js";
import { installSupervisor } from "../run/install-supervisor.js";
import {
  asJsonCommand,
  shellCommand,
  silent,
  startTestAgent,
  testKey,
  textOf,
  until,
} from "../testing/test-agent.js";
import { testStore } from "../testing/test-store.js";
import { JournalFullError } from "./journal-file.js";
import { openJournal } from "./open-journal.js";

/** Mounts a file system of 1 MiB, which only root may. */
function mountSmallDisk(): { place: string; unmount: () => void } | undefined {
  const place = mkdtempSync(join(tmpdir(), "howdah-small-disk-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", place]);
  if (mounted.status !== 0) {
    rmSync(place, { recursive: true });
    return undefined;
  }
  const unmount = () => {
    spawnSync("umount", [place]);
    rmSync(place, { recursive: true });
  };
  return { place, unmount };
}

const disk = mountSmallDisk();

describe("a full disk", { skip: disk ? false : "only root can mount a small disk" }, () => {
  let folders: AgentFolders;
  let filler: string;
  before(() => {
    folders = agentFolders(join(disk?.place ?? "", "agent"));
    createFolders(folders);
    installSupervisor(folders);
    filler = join(disk?.place ?? "", "filler");
  });
  after(() => disk?.unmount());

  function fill(): void {
    writeFileSync(filler, "");
    for (const bytes of [4096, 1]) {
      try {
        for (;;) appendFileSync(filler, Buffer.alloc(bytes));
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
      }
    }
    assert.equal(statfsSync(folders.data).bavail, 0);
  }

  it("refuses new commands, keeping nothing of them, and records every result it promised", async () => {
    const journal = await openJournal(folders, silent, { chunkBytes: 16 * 1024 });
    let accepted = 0;
    fill();
    await assert.rejects(async () => {
      for (;;) {
        await journal.accept(testKey(accepted), { filler: "x".repeat(1_000) });
        accepted++;
      }
    }, JournalFullError);
    assert.ok(accepted > 0);
    assert.equal(journal.entry(testKey(accepted)), undefined);
    for (let task = 0; task < accepted; task++) {
      const key = testKey(task);
      const worst = "\u0001".repeat(1_000);
      await journal.started(key);
      await journal.tombstone(key, worst);
      await journal.ended(key, {
        ...{ status: "ABORTED", exitCode: 143, reason: worst, started: true, tries: 1 },
        ...{ startedAtMs: 1e12, endedAtMs: 1e12, startedUptimeMs: 1e9, endedUptimeMs: 1e9 },
        ...{ bootId: "x".repeat(36), stdoutBytes: 1e12, stderrBytes: 1e12 },
        structuredOutBytes: 1e5,
      });
      await journal.acknowledged(key);
    }
    assert.equal(statfsSync(folders.data).bavail, 0);
    await journal.close();
    const again = await openJournal(folders, silent);
    assert.equal(
      again.entries().filter(({ acknowledgedAtMs }) => acknowledgedAtMs).length,
      accepted,
    );
    truncateSync(filler, 0);
    assert.equal(await again.accept(testKey(accepted), {}), "accepted");
    await again.close();
  });

  it("does not keep a running command's result from being recorded", async () => {
    const agent = await startTestAgent(folders);
    const key = testKey(900);
    const go = join(disk?.place ?? "", "go");
    const line = `until [ -e ${go} ]; do sleep 0.05; done; exit 6`;
    await agent.queue.accept(key, asJsonCommand(shellCommand(key, line)));
    const record = join(folders.steps, `${testStore}.900.1`, "1.script.record");
    await until(() => textOf(record), "the command to run");
    fill();
    writeFileSync(go, "");
    await agent.queue.idle();
    const result = agent.journal.entry(key)?.result;
    assert.deepEqual([result?.status, result?.exitCode], ["FAILED", 6]);
    assert.match(result?.reason ?? "", /is full: what did not fit of its output is missing$/);
    await agent.stop();
    truncateSync(filler, 0);
  });

  it("fails a command that finds no room to start, and says so", async () => {
    const agent = await startTestAgent(folders);
    const [first, second] = [testKey(901), testKey(902)];
    const go = join(disk?.place ?? "", "go2");
    const wait = shellCommand(first, `until [ -e ${go} ]; do sleep 0.05; done`);
    await agent.queue.accept(first, asJsonCommand(wait));
    await agent.queue.accept(second, asJsonCommand(shellCommand(second, "true")));
    await until(
      () => textOf(join(folders.steps, `${testStore}.901.1`, "1.script.record")),
      "the first",
    );
    fill();
    writeFileSync(go, "");
    await agent.queue.idle();
    const result = agent.journal.entry(second)?.result;
    assert.deepEqual([result?.status, result?.started], ["FAILED", false]);
    assert.match(
      result?.reason ?? "",
      /no room for the command's files on the disk of .*: free space there|disk full/,
    );
    await agent.stop();
    truncateSync(filler, 0);
  });
});
