import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { MaintenanceSchema } from "@howdah/proto/howdah/v1/fleet";
import { Concurrency, ExecutionType, OfflinePolicy } from "@howdah/proto/howdah/v1/operation";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { eventually } from "./testing/eventually.js";
import { fails, host, type OperationInit, run, serve, stack, start } from "./testing/service.js";

describe("what is asked is checked, by field and value", () => {
  const operation = run(["h1"], "true");
  const options = (value: object) => ({ operation, options: value });
  const cases: [string, object, Code, RegExp][] = [
    ["no operation", {}, Code.InvalidArgument, /operation: is empty; set service/],
    [
      "a long key",
      { operation, idempotencyKey: "k".repeat(65) },
      Code.InvalidArgument,
      /idempotency_key: has 65 characters; at most 64/,
    ],
    [
      "a long context",
      { operation, context: "c".repeat(256) },
      Code.InvalidArgument,
      /context: has 256 characters; at most 255/,
    ],
    [
      "a factor",
      options({ successFactors: { RUN: 1.5 } }),
      Code.InvalidArgument,
      /options.success_factors.RUN: 1.5 is not between/,
    ],
    [
      "a factor of no role",
      options({ successFactors: { DATANODE: 0.5 } }),
      Code.InvalidArgument,
      /options.success_factors.DATANODE: is no role of a command line, whose only role is RUN/,
    ],
    [
      "a time-out",
      options({ timeout: { seconds: 0n, nanos: 5 } }),
      Code.InvalidArgument,
      /options.timeout: 0.000000005s will not do/,
    ],
    [
      "an enum",
      options({ onFailure: 99 }),
      Code.InvalidArgument,
      /options.on_failure: 99 is not a known value/,
    ],
    [
      "another enum",
      options({ offlinePolicy: 99 }),
      Code.InvalidArgument,
      /options.offline_policy: 99/,
    ],
    [
      "no program",
      { operation: run(["h1"]) },
      Code.InvalidArgument,
      /operation.ad_hoc.argv: is empty/,
    ],
    [
      "an argument that no host takes",
      { operation: run(["h1"], "echo", "ä".repeat(65_536)) },
      Code.InvalidArgument,
      /operation.ad_hoc.argv\[1\]: has 131072 bytes, and Linux takes at most 131071 in one argument/,
    ],
    [
      "an argument that cannot be",
      { operation: run(["h1"], "echo", "a\0b") },
      Code.InvalidArgument,
      /operation.ad_hoc.argv\[1\]: has a NUL character/,
    ],
    [
      "no hosts",
      { operation: run([], "true") },
      Code.InvalidArgument,
      /operation.ad_hoc.hosts: is empty/,
    ],
    [
      "an unknown host",
      { operation: run(["h1", "h9"], "true") },
      Code.InvalidArgument,
      /operation.ad_hoc.hosts: no agent has ever registered as h9/,
    ],
    [
      "an unknown cluster",
      { operation: start({ cluster: "c9" }) },
      Code.InvalidArgument,
      /operation.service.cluster: there is no cluster c9/,
    ],
    [
      "an unknown service",
      { operation: start({ services: ["HBASE"] }) },
      Code.InvalidArgument,
      /services: HBASE is not in cluster c1, which has DB/,
    ],
    [
      "an unknown component",
      { operation: start({ components: ["NOPE"] }) },
      Code.InvalidArgument,
      /components: NOPE/,
    ],
    [
      "an unknown host of a cluster",
      { operation: start({ hosts: { names: ["h9"] } }) },
      Code.InvalidArgument,
      /operation.service.hosts: no agent has ever registered as h9/,
    ],
    [
      "a verb",
      { operation: start({ roleCommand: RoleCommand.EXECUTE }) },
      Code.InvalidArgument,
      /operation.service.role_command: EXECUTE is not one of/,
    ],
  ];
  it("refuses what is wrong, in a dry run as well", async (t) => {
    const { client, store } = await serve(t);
    for (const [name, request, code, message] of cases) {
      await t.test(name, async () => {
        await fails(client.submitRequest(request), code, message);
        const { operation, options } = request as { operation?: OperationInit; options?: object };
        if (name.startsWith("a long")) return;
        await fails(
          client.planRequest({ ...(operation && { operation }), ...(options && { options }) }),
          code,
          message,
        );
      });
    }
    assert.equal(store.requests.size, 0);
  });

  it("names the members of a circle of rules", async (t) => {
    const { client, store } = await serve(t);
    const rules: [string, string[]][] = [
      ["DB_SERVER-START", ["DB_CLIENT_HOST-START"]],
      ["DB_CLIENT_HOST-START", ["DB_SERVER-START"]],
    ];
    store.stack = { stack: stack(rules), digest: "2" };
    await fails(
      client.submitRequest({ operation: start() }),
      Code.FailedPrecondition,
      /DB_CLIENT_HOST START waits for DB_SERVER START waits for DB_CLIENT_HOST START/,
    );
  });

  it("says so when the cluster's stack is gone, or all hosts are lost, and refuses lost hosts if asked to", async (t) => {
    const { client, store } = await serve(t);
    store.hosts = store.hosts.map(({ hostId, hostName }) => host(Number(hostId), hostName, true));
    await fails(
      client.submitRequest({ operation: run(["h1", "h2"], "true") }),
      Code.FailedPrecondition,
      /all hosts are left out: h1 \(lost: no heartbeat\), h2 \(lost: no heartbeat\)/,
    );
    const options = { offlinePolicy: OfflinePolicy.REFUSE };
    await fails(
      client.submitRequest({ operation: start(), options }),
      Code.FailedPrecondition,
      /hosts are not available: h1 \(lost/,
    );
    store.stack = undefined;
    await fails(
      client.submitRequest({ operation: start() }),
      Code.FailedPrecondition,
      /stack is gone: there is no stack TINY\/1.0/,
    );
  });
});

describe("planning", () => {
  it("shows the stages, and what is left out: hosts and checks", async (t) => {
    const { client, store } = await serve(t);
    const { stages, skippedHosts } = await client.planRequest({ operation: start() });
    assert.deepEqual(
      stages.map(({ roles }) => roles.map(({ role, hostNames }) => [role?.role, ...hostNames])),
      [[["DB_SERVER", "h1"]], [["DB_CLIENT_HOST", "h2", "h3"]], [["DB_SERVICE_CHECK", "h1"]]],
    );
    assert.deepEqual(skippedHosts, []);
    store.hosts = [host(1, "h1", true), host(2, "h2", true), host(3, "h3", true)];
    const check = start({ roleCommand: RoleCommand.SERVICE_CHECK });
    const { skippedHosts: without } = await client.planRequest({ operation: check });
    assert.deepEqual(
      without.map(({ hostName, reason }) => `${hostName}: ${reason}`),
      [
        ...["h1", "h2", "h3"].map((name) => `${name}: lost: no heartbeat`),
        "DB_SERVICE_CHECK: no host of the service is available",
      ],
    );
    await fails(
      client.submitRequest({ operation: check }),
      Code.FailedPrecondition,
      /DB_SERVICE_CHECK \(no host of the service is available\)/,
    );
    assert.equal(store.requests.size, 0);
  });

  it("leaves out what is in maintenance, and says why, unless it is named plainly", async (t) => {
    const { client, store } = await serve(t);
    const maintenance = create(MaintenanceSchema, { reason: "new disks" });
    store.hosts[1] = { ...host(2, "h2"), maintenance };
    store.maintenance = [
      { cluster: "c1", serviceName: "DB", componentName: "DB_CLIENT_HOST", hostName: "h3" },
      { cluster: "c9", serviceName: "DB", componentName: "DB_SERVER", hostName: "h1" },
    ];
    const planned = async (operation: OperationInit) => {
      const { stages, skippedHosts } = await client.planRequest({ operation });
      const roles = stages.flatMap((stage) => stage.roles);
      return {
        hosts: [...new Set(roles.flatMap(({ hostNames }) => hostNames))].sort().join(" "),
        skipped: skippedHosts.map((one) => `${one.hostName}: ${one.reason}`),
      };
    };
    assert.deepEqual(await planned(run(["*"], "true")), {
      hosts: "h1 h3",
      skipped: ["h2: in maintenance: new disks"],
    });
    assert.deepEqual(await planned(run(["h2", "h1"], "true")), { hosts: "h1 h2", skipped: [] });
    assert.deepEqual(await planned(start()), {
      hosts: "h1",
      skipped: ["h2: in maintenance: new disks", "h3: DB_CLIENT_HOST is in maintenance"],
    });
    const named = start({ components: ["DB_CLIENT_HOST"], hosts: { names: ["h2", "h3"] } });
    assert.deepEqual((await planned(named)).skipped, []);
    const options = { offlinePolicy: OfflinePolicy.WAIT };
    const waiting = { operation: run(["*"], "true"), options };
    assert.deepEqual((await client.planRequest(waiting)).skippedHosts, []);
  });

  it("reads the hosts alone for a command line, and a stack once until it changes", async (t) => {
    // Standing by, since one that leads reads hosts of its own accord.
    const { client, store } = await serve(t, { standby: true });
    await client.planRequest({ operation: run(["h1"], "true") });
    assert.deepEqual(store.reads.splice(0), ["listHosts"]);
    for (const expected of [1, 0, 0]) {
      await client.planRequest({ operation: start() });
      const reads = store.reads.splice(0);
      assert.equal(reads.filter((name) => name === "getStack").length, expected);
      assert.equal(reads.length, 5 + expected);
    }
    store.stack = { stack: stack([]), digest: "2" };
    const { stages } = await client.planRequest({ operation: start({ skipServiceChecks: true }) });
    assert.equal(stages.length, 1);
  });

  it("selects hosts by labels", async (t) => {
    const { client, store } = await serve(t);
    const hosts = { labels: { rack: "r1" } };
    await client.submitRequest({
      operation: { kind: { case: "adHoc", value: { hosts, argv: ["true"] } } },
    });
    assert.deepEqual(
      store.stored(1n).tasks.map(({ hostId }) => hostId),
      [1n, 3n],
    );
    const { stages } = await client.planRequest({ operation: start({ hosts }) });
    assert.deepEqual(
      stages.flatMap(({ roles }) => roles.flatMap(({ hostNames }) => hostNames)),
      ["h1", "h3", "h1"],
    );
  });

  it("names a label of any value as it is given when it selects no host", async (t) => {
    const { client } = await serve(t);
    const operation = start({ hosts: { labels: { nosuch: "", rack: "r9" } } });
    const { InvalidArgument } = Code;
    await fails(client.planRequest({ operation }), InvalidArgument, /: nosuch, rack=r9 selects no/);
  });

  it("runs a single word with blanks by the shell, and words as they are", async (t) => {
    const { client, store } = await serve(t);
    const argvOf = async (...argv: string[]) => {
      const { request } = await client.submitRequest({ operation: run(["h1"], ...argv) });
      return store.stored(request?.requestId ?? 0n).commands[0]?.argv;
    };
    assert.deepEqual(await argvOf("uptime | cat"), ["/bin/sh", "-c", "uptime | cat"]);
    assert.deepEqual(await argvOf("uptime"), ["uptime"]);
    assert.deepEqual(await argvOf("echo", "a b | c"), ["echo", "a b | c"]);
  });

  it("says in a context that it makes on which hosts, where they are not all", async (t) => {
    const { client } = await serve(t);
    const contextOf = async (spec: Parameters<typeof start>[0]) =>
      (await client.submitRequest({ operation: start(spec) })).request?.context;
    assert.equal(await contextOf({}), "Start all of c1");
    const hosts = { names: ["h1"], labels: { rack: "r1" } };
    assert.equal(await contextOf({ hosts }), "Start all of c1 on h1, rack=r1");
  });

  it("cuts a context that it makes to what fits", async (t) => {
    const { client } = await serve(t);
    const { request } = await client.submitRequest({ operation: run(["h1"], "é".repeat(300)) });
    assert.equal([...(request?.context ?? "")].length, 255);
  });
});

describe("submitting and cancelling", () => {
  it("stores in which batch each host is, who waits for whom, and what runs beside", async (t) => {
    const { client, store } = await serve(t);
    const submit = async (options: object) => {
      const { request } = await client.submitRequest({ operation: start(), options });
      assert.ok(request);
      return store.stored(request.requestId);
    };
    const rolling = { batch: { case: "batchSize", value: 1 } };
    const cut = await submit({ rolling });
    assert.deepEqual(
      cut.tasks.map(({ stageId, batch }) => [stageId, batch]),
      [
        [0, 0],
        [1, 0],
        [1, 1],
        [2, 0],
      ],
    );
    const ordered = await submit({ executionType: ExecutionType.DEPENDENCY_ORDERED });
    assert.equal(ordered.stages.length, 1);
    assert.deepEqual(
      ordered.stages[0]?.roles.map(({ role, blockers }) => [role, blockers]),
      [
        ["DB_SERVER", []],
        ["DB_CLIENT_HOST", [0]],
        ["DB_SERVICE_CHECK", [1, 0]],
      ],
    );
    const beside = await submit({ concurrency: Concurrency.PARALLEL });
    assert.ok(beside.commands.every(({ background }) => background));
    assert.ok(ordered.commands.every(({ background }) => !background));
  });

  it("returns the same request for the same key and content, also when it could not be planned any more", async (t) => {
    const { client, store } = await serve(t);
    const asked = { operation: run(["h1"], "true"), idempotencyKey: "k1" };
    const first = await client.submitRequest(asked);
    store.hosts = [];
    const second = await client.submitRequest(asked);
    assert.deepEqual([first.created, second.created], [true, false]);
    assert.equal(second.request?.requestId, first.request?.requestId);
    await fails(
      client.submitRequest({ ...asked, operation: run(["h1"], "false") }),
      Code.AlreadyExists,
      /has the key k1/,
    );
    assert.equal(store.requests.size, 1);
  });

  it("hands the request to the engine at once", async (t) => {
    const { world, client, store } = await serve(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    await eventually("it is watched", () => d.watched);
    const { request } = await client.submitRequest({ operation: run(["h1"], "true") });
    await eventually("the command", () => d.taskIds.length === 1);
    assert.equal(store.count(request?.requestId ?? 0n, Status.QUEUED), 1);
    const { request: cancelled } = await client.cancelRequest({ requestId: 1n, reason: "enough" });
    assert.deepEqual([cancelled?.cancelRequested, cancelled?.abortReason], [true, "enough"]);
    await eventually("the agent is told", () => d.cancels.length === 1);
  });

  it("refuses to cancel what is over or is not there", async (t) => {
    const { client } = await serve(t);
    await client.submitRequest({ operation: run(["h1"], "true") });
    await client.cancelRequest({ requestId: 1n });
    await fails(
      client.cancelRequest({ requestId: 1n }),
      Code.FailedPrecondition,
      /request 1 is over/,
    );
    await fails(client.cancelRequest({ requestId: 9n }), Code.NotFound, /no request 9/);
    await fails(client.cancelRequest({}), Code.InvalidArgument, /request_id: 0 is not an id/);
  });

  it("says that it stands by, but plans", async (t) => {
    const { client } = await serve(t, { standby: true });
    const operation = run(["h1"], "true");
    await fails(client.submitRequest({ operation }), Code.Unavailable, /stands by/);
    await fails(client.cancelRequest({ requestId: 1n }), Code.Unavailable, /stands by/);
    assert.equal((await client.planRequest({ operation })).stages.length, 1);
  });

  it("passes on that the store is away", async (t) => {
    const { client, store } = await serve(t);
    store.down = true;
    const call = client.submitRequest({ operation: run(["h1"], "true"), idempotencyKey: "k" });
    await fails(call, Code.Unavailable, /the database cannot be reached/);
  });
});
