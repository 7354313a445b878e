import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ComponentState, HostSchema, HostState } from "@howdah/proto/howdah/v1/fleet";
import { cli, fakeServer } from "../cli-fixture.js";
import { hostText } from "./host.js";

const problems = ["/ is 96 % full, 4.0 GB left", "its clock is 12 s ahead of the server's"];
const facts = {
  ...{ operatingsystem: "debian", operatingsystemrelease: "12", processorcount: 8 },
  ...{ memorytotal: 16 * 1_048_576, swapsize: "2.00 GB", publicHostname: "www.example.org" },
  agentEnv: { umask: "18" },
};
const mounts = [
  { mountpoint: "/", type: "ext4", device: "/dev/vda", size: "104857600", percent: "96%" },
];
const host = create(HostSchema, {
  ...{ hostId: 7n, hostName: "web-1", state: HostState.HEALTHY, connected: true, problems },
  ...{ agentVersion: "0.1.0", peerAddress: "10.0.0.1:5", sessionEpoch: 3n, dispatcher: "d1" },
  labels: { rack: "r1" },
  factsJson: JSON.stringify(facts),
  statusJson: JSON.stringify({ mounts, clockSkewMs: 12_000 }),
});

describe("howdah host", () => {
  it("shows what it is, how it is, and what is on it", async (t) => {
    const server = await fakeServer(t, {
      fleet: {
        getHost: ({ hostName }) => {
          if (hostName === "web-1") return { host };
          throw new ConnectError(`there is no host ${hostName}`, Code.NotFound);
        },
        listClusters: () => ({ clusters: [{ name: "demo" }] }),
        listHostComponents: ({ cluster, hosts }) => ({
          hostComponents: [
            {
              ...{ cluster, serviceName: "HDFS", componentName: "DATANODE" },
              ...{ hostName: hosts?.names[0] ?? "", currentState: ComponentState.STARTED },
            },
          ],
        }),
      },
    });
    const { out, exitCode } = await cli(["host", "web-1"], { server });
    assert.equal(exitCode, 0);
    for (const line of [
      /^host +web-1$/m,
      /^state +HEALTHY/m,
      /^labels +rack=r1$/m,
      /^session +3 with d1$/m,
      /^public name +www\.example\.org$/m,
      /^system +debian 12$/m,
      /^machine +8 processors, 16\.0 GB memory, 2\.00 GB swap$/m,
      /^clock +12\.0 s from the server's$/m,
      /^PROBLEM {2}\/ is 96 % full, 4\.0 GB left$/m,
      /^MOUNT +TYPE +DEVICE/m,
      /^\/ +ext4 +\/dev\/vda +100\.0 GB +96%$/m,
      /^demo +HDFS +DATANODE +STARTED$/m,
    ]) {
      assert.match(out, line);
    }
    assert.doesNotMatch(out, /umask/);
    const all = await cli(["host", "web-1", "--facts"], { server });
    assert.match(all.out, /^agentEnv\.umask +18$/m);
    const json = await cli(["host", "web-1", "--output", "json"], { server });
    assert.equal(JSON.parse(json.out).hostName, "web-1");
    const gone = await cli(["host", "web-9"], { server });
    assert.equal(gone.exitCode, 4);
    assert.match(gone.err, /there is no host web-9/);
  });

  it("takes facts that are none", () => {
    for (const bad of ["", "[]", "{", "null", '{"mounts":7}', '{"mounts":[7,null]}']) {
      const text = hostText(
        create(HostSchema, { hostName: "h", factsJson: bad, statusJson: bad }),
        [],
        true,
      );
      assert.match(text, /^host +h$/m);
    }
  });
});

describe("howdah hosts with problems", () => {
  const other = create(HostSchema, {
    ...{ hostName: "web-2", state: HostState.HEALTHY, connected: true },
  });

  it("are marked in the list, and counted", async (t) => {
    const server = await fakeServer(t, { fleet: { listHosts: () => ({ hosts: [host, other] }) } });
    const { out } = await cli(["hosts"], { server });
    assert.match(out, /^HOST .* PROBLEMS$/m);
    assert.match(out, /^web-1 .* \/ is 96 % full, 4\.0 GB left and 1 more$/m);
    assert.match(out, /^2 hosts, all connected, 1 with problems$/m);
  });

  it("are listed alone with all their problems", async (t) => {
    const asked: boolean[] = [];
    const server = await fakeServer(t, {
      fleet: {
        listHosts: ({ withProblems, selector }) => {
          asked.push(withProblems);
          if (selector?.names[0] !== "web-2") return { hosts: [host] };
          return { hosts: withProblems ? [] : [other] };
        },
      },
    });
    const { out } = await cli(["hosts", "--problems"], { server });
    assert.deepEqual(asked, [true]);
    assert.deepEqual(out.split("\n").slice(1), [
      "web-1  HEALTHY  / is 96 % full, 4.0 GB left",
      "                its clock is 12 s ahead of the server's",
      "1 host with problems",
      "",
    ]);
    // A host that is there and well is not one that is not there.
    const well = await cli(["hosts", "web-2", "--problems"], { server });
    assert.deepEqual([well.exitCode, well.out], [0, "no host with problems\n"]);
  });
});
