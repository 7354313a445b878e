import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { NothingToDoSchema } from "@howdah/proto/howdah/v1/request_service";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { fails, host, serve, start } from "./testing/service.js";

const { INIT, INSTALLED, STARTED } = ComponentState;

/** What is known of the cluster's three components. */
function states(current: ComponentState, h3 = current) {
  return [
    { componentName: "DB_SERVER", hostName: "h1" },
    { componentName: "DB_CLIENT_HOST", hostName: "h2" },
    { componentName: "DB_CLIENT_HOST", hostName: "h3" },
  ].map((each) => {
    const state = each.hostName === "h3" ? h3 : current;
    return { ...each, cluster: "c1", serviceName: "DB", currentState: state, desiredState: state };
  });
}

const restartOnly = start({ roleCommand: RoleCommand.RESTART, restartRequiredOnly: true });

describe("submitRequest() when components are as asked for", () => {
  it("makes tasks for the others, and counts what it leaves out", async (t) => {
    const { client, store } = await serve(t);
    store.hostComponents = states(STARTED, INSTALLED);
    const { stages, unchanged } = await client.planRequest({ operation: start() });
    assert.deepEqual(
      stages.map(({ roles }) => roles.map(({ role, hostNames }) => [role?.role, ...hostNames])),
      [[["DB_CLIENT_HOST", "h3"]], [["DB_SERVICE_CHECK", "h1"]]],
    );
    assert.equal(unchanged, 2);
    const all = await client.planRequest({ operation: start({ evenIfDone: true }) });
    assert.equal(all.unchanged, 0);
    assert.equal(all.stages.length, 3);
  });

  it("refuses when nothing is left, in words and marked for programs", async (t) => {
    const { client, store } = await serve(t);
    for (const [operation, current, message] of [
      [start(), STARTED, "all 3 components are STARTED already"],
      [start({ components: ["DB_SERVER"] }), STARTED, "the only component is STARTED already"],
      [start({ roleCommand: RoleCommand.STOP }), INSTALLED, "all 3 components are stopped already"],
      [
        start({ roleCommand: RoleCommand.INSTALL }),
        INSTALLED,
        "all 3 components are installed already",
      ],
      [
        restartOnly,
        STARTED,
        "all 3 components are up to date with their configurations, or stopped",
      ],
    ] as const) {
      store.hostComponents = states(current);
      const error = await client.submitRequest({ operation }).then(
        () => assert.fail("it was made"),
        (reason: unknown) => ConnectError.from(reason),
      );
      assert.equal(error.code, Code.FailedPrecondition);
      assert.equal(error.rawMessage, `there is nothing to do: ${message}`);
      const [detail] = error.findDetails(NothingToDoSchema);
      assert.equal(
        detail?.unchanged,
        operation === restartOnly ? 3 : message.includes("only") ? 1 : 3,
      );
    }
    assert.equal(store.requests.size, 0);
  });

  it("does not take for done what is left out for another reason", async (t) => {
    const { client, store } = await serve(t);
    store.hostComponents = states(STARTED, INSTALLED);
    store.hosts = [host(1, "h1"), host(2, "h2"), host(3, "h3", true)];
    const error = await client.submitRequest({ operation: start() }).then(
      () => assert.fail("it was made"),
      (reason: unknown) => ConnectError.from(reason),
    );
    assert.equal(
      error.rawMessage,
      "there is nothing to do: 2 components are STARTED already; all other hosts are left out: h3 (lost: no heartbeat)",
    );
    assert.deepEqual(error.findDetails(NothingToDoSchema), []);
  });

  it("answers a repeat of a request that has since been done with that request", async (t) => {
    const { client, store } = await serve(t);
    const request = { operation: start(), idempotencyKey: "once" };
    const first = await client.submitRequest(request);
    store.hostComponents = states(STARTED);
    const again = await client.submitRequest(request);
    assert.equal(again.request?.requestId, first.request?.requestId);
    assert.equal(again.created, false);
  });

  it("refuses to start what was never installed", async (t) => {
    const { client, store } = await serve(t);
    store.hostComponents = states(INSTALLED, INIT);
    await fails(
      client.submitRequest({ operation: start() }),
      Code.FailedPrecondition,
      /^not installed: DB_CLIENT_HOST on h3 \(INIT\); install them first: `howdah install DB`/,
    );
    const { stages } = await client.planRequest({ operation: start({ evenIfDone: true }) });
    assert.equal(stages.length, 3, "whatever is known");
  });

  it("refuses flags that say nothing about the command", async (t) => {
    const { client } = await serve(t);
    for (const [more, message] of [
      [
        { roleCommand: RoleCommand.SERVICE_CHECK, evenIfDone: true },
        /^operation.service.even_if_done: is for .*; SERVICE_CHECK goes by no state anyway/,
      ],
      [
        { restartRequiredOnly: true },
        /^operation.service.restart_required_only: is for RESTART, not START/,
      ],
      [
        { roleCommand: RoleCommand.RESTART, restartRequiredOnly: true, evenIfDone: true },
        /^operation.service.even_if_done: takes in everything, .* choose one/,
      ],
    ] as const) {
      const operation = start(more);
      await fails(client.planRequest({ operation }), Code.InvalidArgument, message);
    }
  });
});
