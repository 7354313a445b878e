import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  ClusterSchema,
  HostSchema,
  HostState,
  MaintenanceSchema,
} from "@howdah/proto/howdah/v1/fleet";
import type { SetMaintenanceRequest } from "@howdah/proto/howdah/v1/fleet_service";
import { RequestSchema } from "@howdah/proto/howdah/v1/request";
import { cli, fakeServer } from "../cli-fixture.js";
import { clusterPage } from "./cluster.js";
import { hostTable } from "./hosts.js";
import { requestTable } from "./requests.js";

const since = timestampFromMs(1_700_000_000_000);

function serve(t: TestContext, seen: SetMaintenanceRequest[] = []): Promise<string> {
  return fakeServer(t, {
    fleet: {
      setMaintenance(request) {
        seen.push(request);
        return { changes: request.on ? ["h1 is in maintenance: new disks"] : [] };
      },
      listMaintenance({ pageToken }) {
        const maintenance = { reason: "new disks", since };
        if (pageToken === "") {
          return { entries: [{ hostName: "h1", maintenance }], nextPageToken: "2" };
        }
        const place = { cluster: "c1", serviceName: "HDFS" };
        return {
          entries: [
            { ...place, maintenance: { reason: "", since } },
            { ...place, componentName: "DATANODE", hostName: "h2", maintenance },
          ],
        };
      },
    },
  });
}

describe("howdah maintenance", () => {
  it("turns on and off what is named, and says what changed", async (t) => {
    const seen: SetMaintenanceRequest[] = [];
    const server = await serve(t, seen);
    const args = ["maintenance", "on", "--host", "h1", "--host", "web-[1,2]", "--label", "a=b"];
    const on = await cli([...args, "--reason", "new disks"], { server });
    assert.deepEqual([on.exitCode, on.out], [0, "h1 is in maintenance: new disks\n"]);
    const off = await cli(
      ["maintenance", "off", "--component", "A,B", "--service", "S", "--cluster", "c"],
      { server },
    );
    assert.deepEqual([off.exitCode, off.out], [0, "nothing changed: it was so already\n"]);
    assert.deepEqual(
      seen.map(({ hosts, cluster, service, components, on, reason }) => ({
        ...{ names: hosts?.names, labels: hosts?.labels, cluster, service, components, on, reason },
      })),
      [
        {
          ...{ names: ["h1", "web-[1,2]"], labels: { a: "b" }, cluster: "", service: "" },
          ...{ components: [], on: true, reason: "new disks" },
        },
        {
          ...{ names: [], labels: {}, cluster: "c", service: "S" },
          ...{ components: ["A", "B"], on: false, reason: "" },
        },
      ],
    );
  });

  it("lists what is on", async (t) => {
    const server = await serve(t);
    const { out } = await cli(["maintenance"], { server });
    assert.match(
      out,
      /^WHAT +HOST +CLUSTER +SINCE +REASON\nhost +h1 .* new disks\nHDFS +c1 .*\nDATANODE +h2 +c1 .* new disks\n3 entries\n$/,
    );
    const json = await cli(["maintenance", "--output", "json"], { server });
    assert.equal(JSON.parse(json.out).entries.length, 3);
  });

  it("wants to be told of what", async () => {
    const { exitCode, err } = await cli(["maintenance", "on", "--reason", "r"]);
    assert.equal(exitCode, 2);
    assert.match(err, /say what: --host, --service, or --component/);
  });

  it("is shown by howdah hosts", () => {
    const host = (hostName: string) => ({
      ...{ hostName, state: HostState.HEALTHY, connected: true, registeredAt: since },
    });
    const maintenance = create(MaintenanceSchema, { reason: "new disks", since });
    const hosts = [
      create(HostSchema, { ...host("h1"), maintenance }),
      create(HostSchema, host("h2")),
    ];
    const table = hostTable(hosts);
    assert.match(table, /^HOST .* MAINTENANCE\nh1 .* new disks\nh2 /);
    assert.match(table, /\n2 hosts, all connected, 1 in maintenance\n$/);
    assert.doesNotMatch(hostTable(hosts.slice(1)), /MAINTENANCE/i);
  });

  it("is shown by howdah cluster show", () => {
    const maintenance = create(MaintenanceSchema, { reason: "upgrade", since });
    const cluster = create(ClusterSchema, {
      ...{ name: "c1", stack: "S/1" },
      services: [{ name: "HDFS", maintenance }, { name: "ZOOKEEPER" }],
    });
    const page = clusterPage(cluster, [], { config: false, all: false });
    assert.match(page, /\nHDFS is in maintenance since 2\d{3}-[\d: -]+: upgrade\n/);
    assert.doesNotMatch(page, /ZOOKEEPER is in maintenance/);
  });
});

describe("howdah requests", () => {
  it("cuts contexts that are longer than the terminal's lines, and nothing for pipes", () => {
    const requests = [create(RequestSchema, { requestId: 1n, context: "x".repeat(255) })];
    const lines = requestTable(requests, 100).trimEnd().split("\n");
    assert.ok(
      lines.every((line) => line.length <= 100),
      lines.join("\n"),
    );
    assert.match(lines[1] ?? "", /x{20,}…$/);
    assert.match(requestTable(requests), /x{255}/);
    assert.match(requestTable(requests, 10), /x{19}…/);
  });
});
