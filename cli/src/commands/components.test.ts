// What tells of components' states: components, cluster show, operations with nothing to do.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import type { ListHostComponentsRequest } from "@howdah/proto/howdah/v1/fleet_service";
import {
  NothingToDoSchema,
  type SubmitRequestRequest,
} from "@howdah/proto/howdah/v1/request_service";
import { cli, type FakeServices, fakeServer } from "../cli-fixture.js";

const { INSTALLED, STARTED } = ComponentState;

const states = { desiredState: STARTED, cluster: "demo", serviceName: "DB" };
const hostComponents = [
  {
    ...states,
    ...{ componentName: "DB_CLIENT", hostName: "host1", client: true },
    ...{ currentState: INSTALLED, desiredState: INSTALLED },
  },
  {
    ...states,
    ...{ componentName: "DB_SERVER", hostName: "host1", currentState: STARTED },
    autoStart: true,
    ...{ restartRequired: true, changedTypes: ["db-env", "db-site"] },
  },
  {
    ...states,
    ...{ componentName: "DB_SERVER", hostName: "host2", currentState: INSTALLED },
    maintenance: { reason: "new disks" },
  },
];

function fleet(seen: ListHostComponentsRequest[] = []): FakeServices {
  return {
    fleet: {
      getCluster: () => ({
        cluster: {
          ...{ name: "demo", stack: "TINY/1.0", version: 2n },
          services: [
            {
              name: "DB",
              components: [
                { name: "DB_CLIENT", hostNames: ["host1"] },
                { name: "DB_SERVER", hostNames: ["host1", "host2"] },
              ],
            },
          ],
        },
      }),
      listMaintenance: () => ({}),
      listHostComponents(request) {
        seen.push(request);
        const from = Number(request.pageToken);
        const next = from + request.pageSize;
        return {
          hostComponents: hostComponents.slice(from, next),
          nextPageToken: next < hostComponents.length ? String(next) : "",
        };
      },
    },
  };
}

describe("howdah components", () => {
  it("names services and components that the cluster has not", async (t) => {
    const fake = fleet();
    const server = await fakeServer(t, {
      fleet: { ...fake.fleet, listHostComponents: () => ({}) },
    });
    const cases = [
      ["--service", "DB,X", "--service: X is not in cluster demo, which has DB"],
      ["--component", "Y", "--component: Y is not in cluster demo, which has DB_CLIENT, DB_SERVER"],
    ];
    for (const [flag = "", names = "", message] of cases) {
      const { exitCode, out, err } = await cli(["components", flag, names], { server });
      assert.deepEqual([exitCode, out, err], [4, "", `howdah: ${message}\n`]);
    }
    const some = await fakeServer(t, fake);
    const { exitCode, err } = await cli(["components", "--service", "DB,X"], { server: some });
    assert.deepEqual([exitCode, err], [4, `howdah: ${cases[0]?.[2]}\n`]);
    const none = await cli(["components", "--service", "DB"], { server });
    assert.deepEqual([none.exitCode, none.out], [0, "no components\n"]);
  });

  it("shows states, what is wanted, and who needs a restart since what changed", async (t) => {
    const server = await fakeServer(t, fleet());
    assert.equal(
      (await cli(["components"], { server })).out,
      `SERVICE  COMPONENT  HOST   STATE      WANTED     SINCE  NOTE
DB       DB_CLIENT  host1  INSTALLED  INSTALLED
DB       DB_SERVER  host1  STARTED    STARTED           restart: db-env, db-site changed; auto start
DB       DB_SERVER  host2  INSTALLED  STARTED           maintenance: new disks
3 components: 2 INSTALLED, 1 STARTED; 1 requires a restart
`,
    );
  });

  it("tells of what is left out with its host or its service", async (t) => {
    const { fleet: served } = fleet();
    const entries = [
      { hostName: "host2", maintenance: { reason: "moved" } },
      { cluster: "demo", serviceName: "DB", maintenance: {} },
      { cluster: "other", serviceName: "DB", maintenance: { reason: "of another cluster" } },
      {
        cluster: "demo",
        serviceName: "DB",
        componentName: "X",
        hostName: "host1",
        maintenance: {},
      },
    ];
    const server = await fakeServer(t, {
      fleet: { ...served, listMaintenance: () => ({ entries }) },
    });
    const { out } = await cli(["components"], { server });
    assert.deepEqual(
      out
        .split("\n")
        .slice(1, 4)
        .map((line) => line.slice(out.indexOf("NOTE"))),
      [
        "maintenance of its service",
        "restart: db-env, db-site changed; auto start; maintenance of its service",
        "maintenance: new disks; maintenance of its service; maintenance of its host: moved",
      ],
    );
  });

  it("asks for what was named, and stops at the limit", async (t) => {
    const seen: ListHostComponentsRequest[] = [];
    const server = await fakeServer(t, fleet(seen));
    const words = ["components", "demo", "--service", "DB", "--component", "DB_CLIENT,DB_SERVER"];
    const { out } = await cli(
      [...words, "--host", "h*", "--label", "rack=r1", "--restart-required", "--limit", "1"],
      { server },
    );
    assert.match(
      out,
      /the first 1 component: 1 \w+\nthere are more: --all, --service, --host; howdah cluster show counts them all\n$/,
    );
    const [asked] = seen;
    assert.equal(asked?.cluster, "demo");
    assert.deepEqual(asked?.services, ["DB"]);
    assert.deepEqual(asked?.components, ["DB_CLIENT", "DB_SERVER"]);
    assert.deepEqual(asked?.hosts?.names, ["h*"]);
    assert.deepEqual(asked?.hosts?.labels, { rack: "r1" });
    assert.equal(asked?.restartRequiredOnly, true);
    const lines = (await cli(["components", "--output", "json"], { server })).out
      .trim()
      .split("\n");
    assert.equal(lines.length, 3);
  });
});

describe("howdah cluster show", () => {
  it("says how many of each component are as they shall be, and to be restarted", async (t) => {
    const server = await fakeServer(t, fleet());
    assert.equal(
      (await cli(["cluster", "show"], { server })).out,
      `cluster demo, stack TINY/1.0, version 2, 2 hosts
SERVICE  COMPONENT  STATE          TO RESTART  HOSTS
DB       DB_CLIENT  1/1 INSTALLED              host1
DB       DB_SERVER  1/2 STARTED    1           host1, host2
configurations: none (--config shows them)
`,
    );
  });
});

describe("an operation with nothing to do", () => {
  const services = (seen: SubmitRequestRequest[], marked: boolean): FakeServices => ({
    ...fleet(),
    requests: {
      submitRequest(request) {
        seen.push(request);
        const error = new ConnectError("there is nothing to do: so", Code.FailedPrecondition);
        if (marked) error.details.push({ desc: NothingToDoSchema, value: { unchanged: 12 } });
        throw error;
      },
      planRequest: () => ({ unchanged: 12 }),
    },
  });

  it("is told and well, and no other refusal is", async (t) => {
    const seen: SubmitRequestRequest[] = [];
    const done = await fakeServer(t, services(seen, true));
    assert.deepEqual(await cli(["start"], { server: done }), {
      ...{ exitCode: 0, err: "" },
      out: "there is nothing to do: so\n",
    });
    const json = await cli(["start", "--output", "json"], { server: done });
    assert.deepEqual(JSON.parse(json.out), { unchanged: 12 });
    const refusing = await fakeServer(t, services(seen, false));
    assert.deepEqual(await cli(["start"], { server: refusing }), {
      ...{ exitCode: 4, out: "" },
      err: "howdah: there is nothing to do: so\n",
    });
    const plan = await cli(["plan", "start"], { server: done });
    assert.equal(plan.out, "nothing to do\n12 components are left out: as asked for already\n");
  });

  it("can be had all the same, and a restart of what requires one", async (t) => {
    const seen: SubmitRequestRequest[] = [];
    const server = await fakeServer(t, services(seen, true));
    await cli(["start", "--even-if-done"], { server });
    await cli(["restart", "--restart-required"], { server });
    const flags = seen.map(({ operation }) => {
      assert.ok(operation?.kind.case === "service");
      const { evenIfDone, restartRequiredOnly } = operation.kind.value;
      return [evenIfDone, restartRequiredOnly];
    });
    assert.deepEqual(flags, [
      [true, false],
      [false, true],
    ]);
  });
});
