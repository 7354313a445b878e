import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  StackDefinition_Category as Category,
  StackDefinitionSchema,
} from "@howdah/proto/howdah/v1/stack";
import { script } from "../testing/tiny-cluster.js";
import { type InMaintenance, placeOf } from "./maintenance.js";
import type { Operation } from "./operation.js";
import { planOperation } from "./plan-operation.js";

/** Four services with a client on every host each, and a server of the first on h1. */
const services = ["A", "B", "C", "D"];
const hosts = ["h1", "h2", "h3"];
const stack = create(StackDefinitionSchema, {
  ...{ name: "CHECKED", version: "1" },
  services: services.map((name) => ({
    name,
    serviceCheck: script("check"),
    components: [
      { name: `${name}_SERVER`, category: Category.MASTER, commandScript: script("server") },
      { name: `${name}_CLIENT`, category: Category.CLIENT, commandScript: script("client") },
    ],
  })),
});

/** On which hosts the services' checks run, by service. */
function checkHosts(
  operation: Operation,
  more: { maintenance?: InMaintenance } = {},
  order = services,
) {
  const components = new Map([
    ["A_SERVER", ["h1"]],
    ...services.map((name) => [`${name}_CLIENT`, hosts] as const),
  ]);
  const cluster = { name: "c", id: 1n, services: order, components };
  const { stages } = planOperation({ operation, cluster, stack, ...more });
  return stages
    .flatMap(({ roles }) => roles)
    .filter(({ role }) => role.endsWith("_SERVICE_CHECK"))
    .map(({ hosts: [host] }) => host)
    .join(" ");
}

describe("service checks", () => {
  it("are spread over the hosts that could run them", () => {
    assert.equal(checkHosts({ kind: "check" }), "h1 h2 h3 h1");
    assert.equal(checkHosts({ kind: "check" }, {}, services.toReversed()), "h1 h2 h3 h1");
  });

  it("go first to hosts that have less to do", () => {
    const restarted = checkHosts({
      kind: "restart",
      components: ["A_SERVER"],
      runServiceChecks: true,
    });
    assert.equal(restarted, "h2");
  });

  it("stay on the hosts that the operation is limited to, where one of them can run them", () => {
    const operation = { kind: "start", hosts: ["h1"], runServiceChecks: true } as const;
    assert.equal(checkHosts(operation), "h1");
  });

  it("leave a host out on which the component is in maintenance, while there is another", () => {
    const inMaintenance = (...where: string[]): InMaintenance => ({
      ...{ hosts: new Map(), services: new Map() },
      components: new Map(where.map((host) => [placeOf("B_CLIENT", host), ""])),
    });
    const check = { kind: "check", services: ["B"] } as const;
    const on = (...where: string[]) => checkHosts(check, { maintenance: inMaintenance(...where) });
    assert.deepEqual([on(), on("h1"), on("h1", "h2")], ["h1", "h2", "h3"]);
    assert.equal(on(...hosts), "h1");
  });
});
