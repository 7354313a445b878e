import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { agentsDoor, startAgent } from "../system/extra-agent.js";
import { healthyHosts, outputOf, over, pushStack, startFleet, tasksOf } from "../system/fleet.js";

/**
 * A published tree: `stacks/`, `common-services/`, `stack-hooks/` and, in `lib/`, what its scripts import (`resource_management`,
 * `ambari_commons` …). Its scripts change the machine that they run on: give it a container.
 */
const tree = process.env.HOWDAH_TEST_AMBARI_RESOURCES;
const library = process.env.HOWDAH_TEST_AMBARI_LIB ?? join(tree ?? "", "lib");
const stack = process.env.HOWDAH_TEST_AMBARI_STACK ?? "BIGTOP/3.2.0";
const [service = "", component = ""] = (
  process.env.HOWDAH_TEST_AMBARI_COMPONENT ?? "ZOOKEEPER/ZOOKEEPER_SERVER"
).split("/");

/** What would be a fault of what the agent tells scripts, rather than of a host that lacks a program. */
const faults =
  /ImportError|ModuleNotFoundError|^Usage:|Script expects|Configuration parameter '[^']+' was not found|KeyError/m;

it("a published stack's scripts run unchanged", {
  skip:
    tree === undefined && "HOWDAH_TEST_AMBARI_RESOURCES does not name a tree of Ambari's stacks",
}, async (t) => {
  assert.ok(existsSync(join(tree ?? "", "stacks", stack)), `${tree} has no stacks/${stack}`);
  const fleet = await startFleet({ agents: 0 });
  t.after(() => fleet.stop());
  const ini = `python_path = ${library}\n`;
  const agent = await startAgent(fleet, "host1", [agentsDoor(fleet)], fleet.prefix("host1"), ini);
  t.after(() => agent.stop());
  await healthyHosts(fleet, 1);
  await pushStack(fleet, join(tree ?? "", "stacks", stack));
  await fleet.fleet.applyCluster({
    ...{ name: "published", stack },
    services: [{ name: service, components: [{ name: component, hostNames: ["host1"] }] }],
    configurations: { "cluster-env": { properties: { host_sys_prepped: "true" } } },
  });
  const { INSTALL, CONFIGURE, START, STOP } = RoleCommand;
  for (const roleCommand of [INSTALL, CONFIGURE, START, STOP]) {
    const { request } = await fleet.requests.submitRequest({
      operation: {
        kind: {
          case: "service",
          value: {
            ...{ cluster: "published", roleCommand, skipServiceChecks: true },
            evenIfDone: roleCommand !== CONFIGURE,
          },
        },
      },
    });
    const requestId = request?.requestId ?? 0n;
    await over(fleet, requestId, 300_000);
    for (const { taskId, role, status, exitCode } of await tasksOf(fleet, requestId)) {
      const errors = await outputOf(fleet, taskId, 2);
      const last = errors.trimEnd().split("\n").slice(-3).join("\n");
      const what = `${role} ${RoleCommand[roleCommand]}: ${Status[status]} ${exitCode}`;
      t.diagnostic(`${what}\n${last}`);
      assert.doesNotMatch(errors, faults, what);
    }
  }
});
