// The verbs that say what the fleet is: stack, cluster; and cancel.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import type { ApplyClusterRequest } from "@howdah/proto/howdah/v1/fleet_service";
import type { PushStackRequest } from "@howdah/proto/howdah/v1/stack_service";
import { Status } from "@howdah/proto/howdah/v1/status";
import { cli, fakeServer } from "../cli-fixture.js";

async function fileWith(t: TestContext, content: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "howdah-cli-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, "cluster.yaml");
  await writeFile(file, content);
  return file;
}

describe("howdah cluster", () => {
  it("applies a file and tells what changed", async (t) => {
    const file = await fileWith(
      t,
      `name: demo
stack: HOWDAH/1.0
services:
  MARIADB:
    MARIADB_PRIMARY: [host1]
    MARIADB_REPLICA: db-[02-04]
configurations:
  mariadb-env: { base_port: 13306 }
`,
    );
    const seen: ApplyClusterRequest[] = [];
    const server = await fakeServer(t, {
      fleet: {
        applyCluster(message) {
          seen.push(message);
          return { cluster: { name: "demo" }, changes: ["service MARIADB was added"] };
        },
      },
    });
    const { out, exitCode } = await cli(["cluster", "apply", file], { server });
    assert.equal(out, "service MARIADB was added\ncluster demo is as the file says\n");
    assert.equal(exitCode, 0);
    assert.deepEqual(
      seen[0]?.services[0]?.components.map(({ hostNames }) => hostNames),
      [["host1"], ["db-02", "db-03", "db-04"]],
    );
    assert.deepEqual(seen[0]?.configurations["mariadb-env"]?.properties, { base_port: "13306" });
  });

  it("says what is wrong with a file and on which line, with exit code 4", async (t) => {
    const file = await fileWith(t, "name: demo\nstak: HOWDAH/1.0\n");
    const { exitCode, err } = await cli(["cluster", "apply", file]);
    assert.equal(exitCode, 4);
    assert.equal(
      err,
      `howdah: ${file}:2: there is no "stak" in a cluster file; it has name, stack, services, configurations\n`,
    );
    const missing = await cli(["cluster", "apply", join(file, "nothing")]);
    assert.equal(missing.exitCode, 4);
    assert.match(missing.err, /^howdah: .*nothing: cannot be read: .*\n$/);
  });

  it("shows components and, if asked for, configurations", async (t) => {
    const hostNames = Array.from({ length: 100 }, (_, n) => `host${n + 1}`);
    const cluster = {
      name: "demo",
      stack: "HOWDAH/1.0",
      version: 3n,
      services: [{ name: "MARIADB", components: [{ name: "MARIADB_REPLICA", hostNames }] }],
      configurations: { "mariadb-env": { version: 2, properties: { base_port: "13306" } } },
    };
    const component = { serviceName: "MARIADB", componentName: "MARIADB_REPLICA" };
    const hostComponents = [{ ...component, currentState: ComponentState.STARTED }];
    const server = await fakeServer(t, {
      fleet: { getCluster: () => ({ cluster }), listHostComponents: () => ({ hostComponents }) },
    });
    assert.equal(
      (await cli(["cluster", "show"], { server })).out,
      `cluster demo, stack HOWDAH/1.0, version 3, 100 hosts
SERVICE  COMPONENT        STATE        TO RESTART  HOSTS
MARIADB  MARIADB_REPLICA  1/1 STARTED              host1, host2, host3, host4 and 96 more
configurations: mariadb-env v2 (--config shows them)
`,
    );
    const config = (await cli(["cluster", "show", "demo", "--config"], { server })).out;
    assert.match(config, /mariadb-env v2 +base_port +13306\n$/);
  });
});

describe("howdah stack", () => {
  const folder = fileURLToPath(new URL("../../../stacks/HOWDAH/1.0", import.meta.url));

  it("pushes a stack, and only those packages that are missing", async (t) => {
    const put: string[] = [];
    const seen: PushStackRequest[] = [];
    const server = await fakeServer(t, {
      stacks: {
        findMissingPackages: ({ digests }) => ({ missing: digests.slice(0, 1) }),
        async putPackage(pieces) {
          let size = 0;
          for await (const { digest, data } of pieces) {
            if (digest) put.push(digest);
            size += data.length;
          }
          return { size: BigInt(size) };
        },
        pushStack(message) {
          seen.push(message);
          return { stack: {}, replaced: false };
        },
      },
    });
    const { out, exitCode } = await cli(["stack", "push", folder], { server });
    assert.match(out, /^pushed HOWDAH\/1\.0: 1 service, 1 package sent, \d there already\n$/);
    assert.equal(exitCode, 0);
    assert.equal(put.length, 1);
    assert.equal(seen[0]?.stack?.services[0]?.name, "MARIADB");
  });

  it("says what is wrong with a stack, with exit code 4", async () => {
    const { exitCode, err } = await cli(["stack", "push", join(folder, "nothing")]);
    assert.equal(exitCode, 4);
    assert.match(err, /^howdah: .*nothing.*\n$/);
  });
});

describe("howdah cancel", () => {
  it("passes on the reason", async (t) => {
    const seen: string[] = [];
    const server = await fakeServer(t, {
      requests: {
        cancelRequest({ requestId, reason }) {
          seen.push(reason);
          return { request: { requestId, status: Status.IN_PROGRESS, counts: { inProgress: 2 } } };
        },
      },
    });
    const { out, exitCode } = await cli(["cancel", "12", "--reason", "wrong hosts"], { server });
    assert.deepEqual(seen, ["wrong hosts"]);
    assert.match(out, /^cancel asked for; howdah request 12 --watch follows it\n.*2 running\n$/);
    assert.equal(exitCode, 0);
  });
});
