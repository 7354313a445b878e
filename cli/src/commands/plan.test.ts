import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { cli, fakeServer } from "../cli-fixture.js";

const primary = { role: "MARIADB_PRIMARY", roleCommand: RoleCommand.START };
const replica = { role: "MARIADB_REPLICA", roleCommand: RoleCommand.START };

describe("howdah plan", () => {
  it("shows stages, roles and hosts, and runs nothing", async (t) => {
    const hostNames = Array.from({ length: 100 }, (_, n) => `host${n + 1}`);
    const server = await fakeServer(t, {
      fleet: { getCluster: () => ({ cluster: { name: "demo" } }) },
      requests: {
        planRequest: () => ({
          stages: [
            { roles: [{ role: { ...primary, counts: { total: 1 } }, hostNames: ["host1"] }] },
            { roles: [{ role: { ...replica, counts: { total: 100 } }, hostNames }] },
          ],
        }),
      },
    });
    const { out, exitCode } = await cli(["plan", "start"], { server });
    assert.equal(exitCode, 0);
    assert.equal(
      out,
      `STAGE  COMMAND  ROLE             TASKS  HOSTS
1      START    MARIADB_PRIMARY  1      host1
2      START    MARIADB_REPLICA  100    host1, host2, host3, host4 and 96 more
2 stages, 101 tasks; nothing was run
`,
    );
  });

  it("shows in how many batches the hosts of a stage go, the canary ones first", async (t) => {
    const hostNames = Array.from({ length: 25 }, (_, n) => `h${n}`);
    const roles = [
      { role: { ...replica, counts: { total: 25 } }, hostNames },
      { role: { ...primary, counts: { total: 1 } }, hostNames: ["h0"] },
    ];
    const server = await fakeServer(t, {
      fleet: { getCluster: () => ({ cluster: { name: "demo" } }) },
      requests: { planRequest: () => ({ stages: [{ roles }, { roles: roles.slice(1) }] }) },
    });
    const batches = async (...flags: string[]) => {
      const { out } = await cli(["plan", "restart", ...flags], { server });
      const at = out.indexOf("BATCHES");
      return out
        .split("\n")
        .slice(1, 4)
        .map((line) => line.slice(at, at + 7).trim());
    };
    assert.deepEqual(await batches("--batch", "10%", "--canary", "2"), ["9", "", "1"]);
    assert.deepEqual(await batches("--batch", "25"), ["1", "", "1"]);
    assert.deepEqual(await batches("--canary", "30"), ["1", "", "1"]);
    assert.deepEqual(await batches("--canary", "1"), ["2", "", "1"]);
    const { out } = await cli(["plan", "restart", "--max-failures", "1"], { server });
    assert.doesNotMatch(out, /BATCHES/);
  });

  it("shows what each role comes after when there are no stages", async (t) => {
    const server = await fakeServer(t, {
      fleet: { getCluster: () => ({ cluster: { name: "demo" } }) },
      requests: {
        planRequest: () => ({
          stages: [
            {
              roles: [
                { role: primary, hostNames: ["host1"] },
                { role: { ...replica, blockers: [0] }, hostNames: ["host2"] },
              ],
            },
          ],
        }),
      },
    });
    const { out } = await cli(["plan", "start", "--dependency-ordered"], { server });
    assert.equal(
      out,
      `STAGE  COMMAND  ROLE             TASKS  HOSTS  AFTER
1      START    MARIADB_PRIMARY  1      host1
       START    MARIADB_REPLICA  1      host2  START MARIADB_PRIMARY
1 stage, 2 tasks; nothing was run
`,
    );
  });
});
