import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { freePorts } from "../stacks/script-host.js";
import { type Fleet, pushStack, root, startFleet, until } from "./fleet.js";
import { howdah } from "./howdah.js";

describe("the alerts that ship with the stack HOWDAH", () => {
  let fleet: Fleet;
  let basePort: number;

  before(async () => {
    basePort = await freePorts(2);
    fleet = await startFleet({ agents: 2 });
    await pushStack(fleet, join(root, "stacks", "HOWDAH", "1.0"));
    const on = (name: string, host: string) => ({ name, hostNames: [host] });
    const components = [on("MARIADB_PRIMARY", "host1"), on("MARIADB_REPLICA", "host2")];
    await fleet.fleet.applyCluster({
      ...{ name: "demo", stack: "HOWDAH/1.0", services: [{ name: "MARIADB", components }] },
      configurations: {
        "mariadb-env": {
          properties: { base_port: String(basePort), replication_password: "s3cret" },
        },
      },
    });
  });
  after(() => fleet?.stop());

  it("ask each host's server at the port of its own, and count the replicas", async () => {
    for (const [place, [host, name]] of [
      ["host1", "mariadb_primary_answers"],
      ["host2", "mariadb_replica_answers"],
    ].entries()) {
      const { stdout, stderr } = await howdah(fleet, "alert", "run", name ?? "");
      const where = `127.0.0.1:${basePort + place}`;
      const text = `${host}  CRITICAL  MariaDB does not answer at ${where}: Connection refused`;
      assert.equal(stdout, `${text}\n1 CRITICAL\n`, stderr);
    }
    await until("the replicas to be counted", async () => {
      const { stdout } = await howdah(fleet, "alerts", "--name", "mariadb_replicas_percent");
      return /^CRITICAL .*affected: \[1\], total: \[1\]$/m.test(stdout);
    });
  });

  it("take the source that the operators' page has for other thresholds of disks", async () => {
    const page = readFileSync(join(root, "docs", "operating.md"), "utf8");
    const [, source] = /```json\n(\{ "type": "SCRIPT".*?)\n```/s.exec(page) ?? [];
    assert.ok(source);
    const thresholds = (percent: number) =>
      source.replace(/"value": (80|90),/g, `"value": ${percent},`).replace("5000000000", "0");
    for (const [percent, state] of [
      [101, "OK"],
      [0, "CRITICAL"],
    ] as const) {
      const file = join(fleet.dir, "source.json");
      writeFileSync(file, thresholds(percent));
      const name = "ambari_agent_disk_usage";
      const set = await howdah(fleet, "alert", "set", name, "--source", file);
      assert.equal(set.code, 0, set.stderr);
      await until(`it to be ${state}`, async () =>
        (await howdah(fleet, "alert", "run", name)).stdout.includes(`2 ${state}\n`),
      );
    }
  });
});
