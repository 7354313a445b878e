import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Status } from "@howdah/proto/howdah/v1/status";
import { type Fleet, over, pushStack, runLine, startFleet, tasksOf, until } from "./fleet.js";
import { writeStack } from "./write-stack.js";

/** Waits until the file `go` is there. */
const script = `
until [ -e "$HOWDAH_PREFIX/go" ]; do sleep 0.05; done
`;

describe("a background command", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet({ agents: 1 });
    const customCommands = [{ name: "BALANCE", background: true }];
    const components = [{ name: "MOVER", script: "mover.sh", customCommands }];
    const files = { "package/scripts/mover.sh": script };
    await pushStack(fleet, writeStack(fleet.dir, "SLOW", components, files));
    const services = [{ name: "SLOW", components: [{ name: "MOVER", hostNames: ["host1"] }] }];
    await fleet.fleet.applyCluster({ name: "slow", stack: "SLOW/1.0", services });
  });
  after(() => fleet?.stop());

  it("runs beside what its host does in order, which waits for it no more than it for that", async () => {
    const go = join(fleet.prefix("host1"), "go");
    const run = (line: string) => runLine(fleet, line, ["host1"]);
    const starts = async (requestId: bigint) => {
      await until(`request ${requestId} to run`, async () => {
        const [task] = await tasksOf(fleet, requestId);
        return task?.status === Status.IN_PROGRESS;
      });
    };
    const before = await run(`until [ -e ${go}.first ]; do sleep 0.05; done`);
    await starts(before);
    const { request } = await fleet.requests.submitRequest({
      operation: {
        kind: { case: "customCommand", value: { component: "MOVER", command: "BALANCE" } },
      },
    });
    const background = request?.requestId ?? 0n;
    await starts(background);
    writeFileSync(`${go}.first`, "");
    assert.equal(Status[(await over(fleet, before)).status], "COMPLETED");
    const behind = await run("true");
    assert.equal(Status[(await over(fleet, behind)).status], "COMPLETED");
    assert.equal(Status[(await tasksOf(fleet, background))[0]?.status ?? 0], "IN_PROGRESS");
    writeFileSync(go, "");
    assert.equal(Status[(await over(fleet, background)).status], "COMPLETED");
  });
});
