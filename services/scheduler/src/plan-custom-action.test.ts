import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { ScriptType } from "@howdah/proto/howdah/v1/command";
import { HostState } from "@howdah/proto/howdah/v1/fleet";
import { StackDefinition_CustomActionSchema } from "@howdah/proto/howdah/v1/stack";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { fails, host, type OperationInit, serve, stack } from "./testing/service.js";

const action = (value: object): OperationInit => ({
  kind: { case: "customAction", value: { name: "check_host", ...value } },
});

const actionOf = (name: string, script: object) =>
  create(StackDefinition_CustomActionSchema, { name, script });

async function serveActions(t: TestContext) {
  const served = await serve(t);
  const definition = stack();
  definition.hooksDigest = "hooks";
  definition.customActionsDigest = "actions";
  definition.customActions = [
    actionOf("check_host", { script: "scripts/check_host.py", scriptType: ScriptType.PYTHON }),
    actionOf("long", {
      ...{ script: "scripts/long.sh", scriptType: ScriptType.SHELL, timeoutSeconds: 2_000 },
    }),
  ];
  served.store.stack = { stack: definition, digest: "2" };
  return served;
}

describe("a custom action", () => {
  it("should run on hosts, without a cluster, with the scripts of the stack that has it", async (t) => {
    const { client, store } = await serveActions(t);
    store.hosts = [...store.hosts, host(4, "h4"), host(5, "h5", true)];
    const names = ["h1", "h4", "h5"];
    const operation = action({ hosts: { names }, parameters: { a: "b", script: "other.py" } });
    const { stages, skippedHosts } = await client.planRequest({ operation });
    const [planned] = stages[0]?.roles ?? [];
    assert.deepEqual(planned?.hostNames, ["h1", "h4"]);
    assert.deepEqual(
      [planned?.role?.role, planned?.role?.roleCommand],
      ["check_host", RoleCommand.ACTIONEXECUTE],
    );
    assert.deepEqual(
      skippedHosts.map(({ hostName }) => hostName),
      ["h5"],
    );
    const { request } = await client.submitRequest({ operation });
    assert.equal(request?.context, "check_host on h1, h4, h5");
    assert.equal(store.stored(request?.requestId ?? 0n).header?.clusterId, 0n);
    const spec = store.stored(request?.requestId ?? 0n).commands[0];
    assert.deepEqual(
      [spec?.script, spec?.packageDigest, spec?.hooksDigest, spec?.timeoutMs, spec?.serviceName],
      ["scripts/check_host.py", "actions", "", 900_000n, ""],
    );
    assert.deepEqual(spec?.commandParams, { a: "b", script: "check_host.py" });
  });

  it("should run on a cluster's hosts, or those of a component, with its hooks", async (t) => {
    const { client, store } = await serveActions(t);
    const all = await client.planRequest({ operation: action({ cluster: "c1" }) });
    assert.deepEqual(all.stages[0]?.roles[0]?.hostNames, ["h1", "h2", "h3"]);
    const operation = action({ name: "long", cluster: "c1", component: "DB_CLIENT_HOST" });
    const { request } = await client.submitRequest({ operation });
    assert.equal(store.stored(request?.requestId ?? 0n).header?.clusterId, 1n);
    const spec = store.stored(request?.requestId ?? 0n).commands[0];
    assert.deepEqual(
      [spec?.serviceName, spec?.hooksDigest, spec?.clusterName, spec?.timeoutMs, spec?.scriptType],
      ["DB", "hooks", "c1", 2_000_000n, ScriptType.SHELL],
    );
    const some = { cluster: "c1", component: "DB_CLIENT_HOST", hosts: { names: ["h3"] } };
    const one = await client.planRequest({ operation: action(some) });
    assert.deepEqual(one.stages[0]?.roles[0]?.hostNames, ["h3"]);
  });

  it("should leave out lost hosts", async (t) => {
    const { client, store } = await serveActions(t);
    store.hosts[1] = { ...host(2, "h2"), state: HostState.HEARTBEAT_LOST };
    const { skippedHosts } = await client.planRequest({ operation: action({ cluster: "c1" }) });
    assert.deepEqual(
      skippedHosts.map(({ hostName }) => hostName),
      ["h2"],
    );
  });

  it("should be refused, saying what there is, when nothing like it can run", async (t) => {
    const { client } = await serveActions(t);
    const cases: [object, RegExp][] = [
      [{ name: "" }, /^operation.custom_action.name: is empty/],
      [{}, /custom_action.hosts: is empty; name hosts/],
      [{ hosts: { names: ["h9"] } }, /custom_action.hosts: no agent has ever registered as h9/],
      [
        { name: "no", hosts: { names: ["h1"] } },
        /no stack has a custom action no; there are check/,
      ],
      [{ name: "no", cluster: "c1" }, /TINY\/1.0 has no custom action no; it has check_host, long/],
      [{ cluster: "c9" }, /custom_action.cluster: there is no cluster c9/],
      [{ cluster: "c1", component: "X" }, /component: X is not in cluster c1, which has DB_SERVER/],
      [{ service: "DB", hosts: { names: ["h1"] } }, /service: is DB, which needs a cluster/],
      [{ stack: "A/1", hosts: { names: ["h1"] } }, /there is no stack A\/1; there are TINY\/1.0/],
      [{ stack: "TINY/1.0", cluster: "c1" }, /stack: is TINY\/1.0, and the cluster has one/],
    ];
    for (const [value, message] of cases) {
      const call = client.planRequest({ operation: action(value) });
      await fails(call, Code.InvalidArgument, message);
    }
    const options = { successFactors: { other: 0.5 } };
    await fails(
      client.planRequest({ operation: action({ cluster: "c1" }), options }),
      Code.InvalidArgument,
      /success_factors.other: is no role of this action/,
    );
  });
});
