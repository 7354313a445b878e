import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { SubmitRequestRequest } from "@howdah/proto/howdah/v1/request_service";
import { cli, fakeServer } from "../cli-fixture.js";

/** A server that takes any request; what it was asked for. */
async function taking(t: TestContext) {
  const asked: SubmitRequestRequest[] = [];
  const server = await fakeServer(t, {
    requests: {
      submitRequest(request) {
        asked.push(request);
        return { request: { requestId: 7n } };
      },
    },
  });
  return { server, asked };
}

describe("howdah action", () => {
  it("asks for a custom action on hosts, with its parameters", async (t) => {
    const { server, asked } = await taking(t);
    const line = "action check_host --hosts web-* --label rack=r1 --param a=b=c --param d= -d";
    const { exitCode, out } = await cli(line.split(" "), { server });
    assert.deepEqual([exitCode, out.startsWith("request 7")], [0, true]);
    const [request] = asked;
    assert.ok(request?.operation?.kind.case === "customAction");
    const { name, hosts, parameters, cluster } = request.operation.kind.value;
    assert.deepEqual(
      [name, hosts?.names, hosts?.labels, { ...parameters }, cluster],
      ["check_host", ["web-*"], { rack: "r1" }, { a: "b=c", d: "" }, ""],
    );
  });

  it("asks for one of a cluster, where a component is", async (t) => {
    const { server, asked } = await taking(t);
    const line =
      "action look --cluster prod --service HDFS --component DATANODE --timeout 5m --on-failure continue -d";
    assert.equal((await cli(line.split(" "), { server })).exitCode, 0);
    const [request] = asked;
    assert.ok(request?.operation?.kind.case === "customAction");
    const { cluster, service, component, hosts } = request.operation.kind.value;
    assert.deepEqual([cluster, service, component, hosts?.names], ["prod", "HDFS", "DATANODE", []]);
    assert.equal(request.options?.timeout?.seconds, 300n);
  });

  it("is wrong usage without hosts or a cluster, or with a parameter that is none", async (t) => {
    const { server, asked } = await taking(t);
    for (const [line, message] of [
      ["action look", /say on which hosts: --hosts/],
      ["action look --hosts a --param =x", /Write it as KEY=VALUE/],
    ] as const) {
      const { exitCode, err } = await cli(line.split(" "), { server });
      assert.equal(exitCode, 2);
      assert.match(err, message);
    }
    assert.equal(asked.length, 0);
  });
});
