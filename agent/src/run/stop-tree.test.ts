import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { listProcesses, type ProcessInfo } from "../process-table.js";
import { silent } from "../testing/test-agent.js";
import { selectTree, stopTree } from "./stop-tree.js";

const supervisor = { pid: 100, startTime: 1_000, bootId: "boot" };

function info(pid: number, parent: number, more: Partial<ProcessInfo> = {}): ProcessInfo {
  const rest = { session: pid, startTime: pid * 10, name: "sh", zombie: false };
  return { pid, parent, ...rest, ...more };
}

const leader = info(100, 1, { session: 100, startTime: 1_000 });

/** The pids that are to be stopped and those that are waited for. */
function select(
  processes: ProcessInfo[],
  options: { tagged?: number[]; known?: [number, number][] } = {},
): { victims: number[]; spared: number[] } {
  const { victims, spared } = selectTree(
    processes,
    new Map(options.known),
    { tag: "HOWDAH_TASK=x", supervisor },
    (pid) => options.tagged?.includes(pid) ?? false,
  );
  return { victims: victims.map(({ pid }) => pid), spared: spared.map(({ pid }) => pid) };
}

describe("selectTree()", () => {
  it("takes descendants, the session and the tagged, never the supervisor or strangers", () => {
    const processes = [
      leader,
      info(101, 100, { session: 100 }),
      info(102, 101), // a session of its own, but a child
      info(103, 1, { session: 100 }), // lost its parent, not its session
      info(104, 1), // lost both, but is tagged
      info(105, 104), // its child
      info(106, 1),
    ];
    assert.deepEqual(select(processes, { tagged: [100, 104] }), {
      victims: [101, 102, 103, 104, 105],
      spared: [],
    });
  });

  it("takes the leader of a session without a supervisor like the rest", () => {
    const processes = [leader, info(101, 1, { session: 100 }), info(102, 1)];
    const tree = { tag: "HOWDAH_TASK=x", leader: supervisor };
    const { victims } = selectTree(processes, new Map(), tree, () => false);
    assert.deepEqual(
      victims.map(({ pid }) => pid),
      [100, 101],
    );
  });

  it("leaves the dead alone, and itself and its ancestors even if they are tagged", () => {
    const processes = [
      leader,
      info(101, 100, { zombie: true }),
      info(process.pid, process.ppid),
      info(process.ppid, 1),
      info(109, process.pid),
    ];
    const tagged = [process.pid, process.ppid];
    assert.deepEqual(select(processes, { tagged }), { victims: [], spared: [] });
  });

  it("spares package managers and what they started", () => {
    const processes = [
      leader,
      info(101, 100, { name: "python3" }),
      info(102, 101, { name: "apt-get" }),
      info(103, 102, { name: "dpkg" }),
      info(104, 103, { name: "postinst" }),
    ];
    assert.deepEqual(select(processes), { victims: [101], spared: [102, 103, 104] });
  });

  it("does not mistake another process with the supervisor's pid for it", () => {
    const other = info(100, 1, { startTime: 9_999, session: 100 });
    const processes = [other, info(101, 100, { session: 100 })];
    assert.deepEqual(select(processes), { victims: [], spared: [] });
  });

  it("finds the session of a supervisor that is dead", () => {
    assert.deepEqual(select([info(101, 1, { session: 100 })]).victims, [101]);
  });

  it("remembers a process by its start time, not by its pid", () => {
    const processes = [leader, info(101, 1), info(102, 1)];
    const known: [number, number][] = [
      [101, 1_010],
      [102, 5],
    ];
    assert.deepEqual(select(processes, { known }).victims, [101]);
  });
});

describe("stopTree()", () => {
  it("looks again before it believes that nobody is left: who is just being started may be missed by a look", async (t) => {
    const tag = `HOWDAH_TASK=stop-tree-${process.pid}`;
    const start = () => {
      const child = spawn("sleep", ["600"], {
        env: { HOWDAH_TASK: tag.slice(12) },
        stdio: "ignore",
      });
      t.after(() => child.kill("SIGKILL"));
      return child;
    };
    const [seen, missed] = [start(), start()];
    const ended = Promise.all([once(seen, "exit"), once(missed, "exit")]);
    await Promise.all([once(seen, "spawn"), once(missed, "spawn")]);
    let missedOnce = false;
    const look = () => {
      const all = listProcesses();
      if (missedOnce) return all;
      missedOnce = !all.some(({ pid, zombie }) => pid === seen.pid && !zombie);
      return all.filter(({ pid }) => pid !== missed.pid);
    };
    const { signal } = new AbortController();
    const report = await stopTree({ tag, look, signal, log: silent });
    assert.deepEqual([report.terminated, report.leftRunning], [2, []]);
    await ended;
  });
});
