import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Status } from "@howdah/proto/howdah/v1/status";
import { findClockMover } from "../chaos/fleet/clock.js";
import {
  type Fleet,
  outputOf,
  over,
  pushStack,
  root,
  startFleet,
  tasksOf,
  until,
} from "./fleet.js";

const structured = 3;
const skipped: string[] = [];
const moverOf = findClockMover(skipped);

describe("how a host is, from its agent to who asks", () => {
  let fleet: Fleet;
  const clocks = mkdtempSync(join(tmpdir(), "howdah-clock-"));
  const clock = moverOf?.(clocks, "dispatcher-1");
  before(async () => {
    clock?.move(-3_600);
    fleet = await startFleet({
      agents: 1,
      envOf: (name) => (name === "dispatcher-1" ? (clock?.environment ?? {}) : {}),
    });
  });
  after(async () => {
    await fleet?.stop();
    rmSync(clocks, { recursive: true, force: true });
  });

  const host = async () => (await fleet.fleet.getHost({ hostName: "host1" })).host;

  it("its facts and its state are there once it has registered", async () => {
    const told = await until("the status", async () => {
      const found = await host();
      return found?.statusJson ? found : undefined;
    });
    const facts = JSON.parse(told.factsJson);
    assert.equal(facts.fqdn, "host1");
    assert.equal(facts.prefix, fleet.prefix("host1"));
    assert.ok(Array.isArray(facts.mounts));
    const status = JSON.parse(told.statusJson);
    assert.deepEqual(Object.keys(status).sort(), ["agentEnv", "clockSkewMs", "mounts", "problems"]);
    assert.deepEqual(status.problems, told.problems);
  });

  it("a clock that is wrong is a problem, and its host listed for it", async (t) => {
    if (clock === undefined) return t.skip(skipped.join("; "));
    const { hosts } = await until("the problem", async () => {
      const listed = await fleet.fleet.listHosts({ withProblems: true });
      return listed.hosts.length > 0 && listed;
    });
    assert.match(
      hosts[0]?.problems.find((text) => text.includes("clock")) ?? "",
      /^its clock is 60 min ahead of the server's/,
    );
  });

  it("check_host runs without a cluster, and its results are structured output", async () => {
    await pushStack(fleet, join(root, "stacks", "HOWDAH", "1.0"));
    const { request } = await fleet.requests.submitRequest({
      operation: {
        kind: {
          case: "customAction",
          value: {
            name: "check_host",
            hosts: { names: ["host1"] },
            parameters: {
              check_execute_list: "host_resolution_check,transparentHugePage",
              hosts: "localhost",
            },
          },
        },
      },
    });
    assert.ok(request);
    assert.equal(Status[(await over(fleet, request.requestId)).status], "COMPLETED");
    const [task] = await tasksOf(fleet, request.requestId);
    const results = JSON.parse(await outputOf(fleet, task?.taskId ?? 0n, structured));
    assert.equal(results.host_resolution_check.success_count, 1);
    assert.equal(results.transparentHugePage.exit_code, 0);
  });
});
