import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { Code } from "@connectrpc/connect";
import { Status } from "@howdah/proto/howdah/v1/status";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import type { LeadOptions } from "./lead.js";
import { eventually } from "./testing/eventually.js";
import { role, runContents } from "./testing/runs.js";
import { fails, run, serve, start } from "./testing/service.js";
import { World } from "./testing/world.js";

describe("submitRequest(), the first commands", () => {
  /** A scheduler that has taken over, with sessions of h1 and h2. */
  async function connected(t: TestContext, options: Partial<LeadOptions> = {}) {
    const served = await serve(t, options);
    const d = await served.world.dispatcher();
    for (const host of [1, 2, 3]) d.open(host, host);
    await served.client.submitRequest({ operation: run(["h3"], "true") });
    await eventually("its command", () => d.taskIds.length === 1);
    served.store.releasedFirst.length = 0;
    return { ...served, d };
  }

  /** Which tasks RecordTransitions released, of those above an id. */
  function recorded(store: Awaited<ReturnType<typeof connected>>["store"], above: bigint) {
    return store.recorded.flatMap(({ requests }) =>
      requests.flatMap(({ transitions }) =>
        transitions.flatMap(({ taskId, event }) =>
          event === TaskEvent.RELEASED && taskId > above ? [taskId] : [],
        ),
      ),
    );
  }

  it("are released with the commit that stores it, and handed over at once", async (t) => {
    const { client, store, d } = await connected(t);
    const { request } = await client.submitRequest({ operation: run(["h1", "h2"], "true") });
    const tasks = store.stored(request?.requestId ?? 0n).tasks;
    const ids = tasks.map(({ taskId }) => taskId);
    assert.deepEqual(store.releasedFirst, [ids]);
    await eventually("both", () => ids.every((id) => d.taskIds.includes(Number(id))));
    const epochs = d.enqueued.filter(({ command }) => ids.includes(command.taskId));
    assert.deepEqual(
      epochs.map(({ epoch }) => epoch),
      [1n, 2n],
    );
    for (const id of ids) d.tell(store.report(id, TaskEvent.SUCCEEDED));
    await eventually("its end", () =>
      ids.every((id) => store.taskOf(id).status === Status.COMPLETED),
    );
    assert.deepEqual(recorded(store, (ids[0] ?? 0n) - 1n), []);
    assert.deepEqual(d.repeats, []);
  });

  it("wait on a host that is busy", async (t) => {
    const { client, store, d } = await connected(t);
    await client.submitRequest({ operation: run(["h1"], "true") });
    const { request } = await client.submitRequest({ operation: run(["h1", "h2"], "true") });
    const [first, second] = store.stored(request?.requestId ?? 0n).tasks;
    assert.deepEqual(store.releasedFirst[1], [second?.taskId]);
    const busy = store.releasedFirst[0]?.[0] ?? 0n;
    d.tell(store.report(busy, TaskEvent.SUCCEEDED));
    await eventually("its turn", () => d.taskIds.includes(Number(first?.taskId)));
  });

  it("go to one of two requests that are made at once", async (t) => {
    const { client, store, d } = await connected(t);
    let go: () => void = () => undefined;
    store.holdCreated = new Promise((resolve) => {
      go = resolve;
    });
    const submits = [1, 2].map(() => client.submitRequest({ operation: run(["h1"], "true") }));
    await eventually("both", () => store.releasedFirst.length === 2);
    assert.deepEqual(store.releasedFirst.map(({ length }) => length).sort(), [0, 1]);
    go();
    await Promise.all(submits);
    const [first] = store.releasedFirst.flat();
    await eventually("the first", () => d.taskIds.includes(Number(first)));
    d.tell(store.report(first ?? 0n, TaskEvent.SUCCEEDED));
    const ids = [...store.requests.values()].slice(-2).flatMap(({ tasks }) => tasks);
    await eventually("both", () => ids.every(({ taskId }) => d.taskIds.includes(Number(taskId))));
  });

  it("go to both of two requests that are made at once on other hosts of one cluster", async (t) => {
    const { client, store } = await connected(t);
    store.holdCreated = new Promise((resolve) => {
      t.after(() => resolve());
    });
    for (const [at, name] of ["h1", "h2"].entries()) {
      const component = name === "h1" ? "DB_SERVER" : "DB_CLIENT_HOST";
      const operation = start({ components: [component], hosts: { names: [name] } });
      client.submitRequest({ operation }).catch(() => undefined);
      await eventually("its commit", () => store.releasedFirst.length > at);
    }
    assert.deepEqual(
      store.releasedFirst.map(({ length }) => length),
      [1, 1],
    );
  });

  it("are handed over when the answer is lost, and their hosts are kept for them until then", async (t) => {
    const { client, store, d } = await connected(t);
    let tellUnfinished: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      tellUnfinished = resolve;
    });
    store.beforeTasks = () => held;
    store.loseCreated = true;
    const operation = run(["h1"], "true");
    await fails(client.submitRequest({ operation }), Code.Unavailable, /lost/);
    store.loseCreated = false;
    const [lost] = store.releasedFirst.flat();
    await client.submitRequest({ operation: run(["h1", "h2"], "true") });
    const [later, other] = [...store.requests.values()].at(-1)?.tasks ?? [];
    assert.deepEqual(store.releasedFirst[1], [other?.taskId]);
    await eventually("the other host", () => d.taskIds.includes(Number(other?.taskId)));
    tellUnfinished();
    await eventually("what was lost", () => d.taskIds.includes(Number(lost)));
    assert.equal(d.taskIds.includes(Number(later?.taskId)), false);
    d.tell(store.report(lost ?? 0n, TaskEvent.SUCCEEDED));
    await eventually("what came later", () => d.taskIds.includes(Number(later?.taskId)));
    assert.deepEqual(d.repeats, []);
  });

  it("have their hosts kept for them when their caller leaves and they are stored later", async (t) => {
    const { client, store, d } = await connected(t);
    let go: () => void = () => undefined;
    store.holdCreate = new Promise((resolve) => {
      go = resolve;
    });
    const leaving = new AbortController();
    const asked = { operation: run(["h1"], "true") };
    const left = client.submitRequest(asked, { signal: leaving.signal });
    const calls = store.createTimeouts.length;
    await eventually("the call", () => store.createTimeouts.length > calls);
    leaving.abort();
    await fails(left, Code.Canceled, /abort/);
    store.holdCreate = undefined;
    const { request } = await client.submitRequest({ operation: run(["h1"], "true") });
    const [other] = store.stored(request?.requestId ?? 0n).tasks;
    const { passes } = store;
    await eventually("some passes", () => store.passes > passes + 3);
    assert.equal(d.taskIds.includes(Number(other?.taskId)), false);
    go();
    await eventually("what was stored", () => store.releasedFirst.length === 2);
    const [late] = store.releasedFirst.flat();
    for (const taskId of [late, other?.taskId]) {
      await eventually("its command", () => d.taskIds.includes(Number(taskId)));
    }
  });

  it("leave their hosts to others when they can be stored no more", async (t) => {
    const lateCommitMs = 300;
    const { client, store, d } = await connected(t, { lateCommitMs });
    store.fail = () => true;
    const operation = run(["h1"], "true");
    await fails(client.submitRequest({ operation }), Code.Unavailable, /away/);
    const failed = performance.now();
    store.fail = () => false;
    const { request } = await client.submitRequest({ operation });
    assert.deepEqual(store.releasedFirst, [[]]);
    const [task] = store.stored(request?.requestId ?? 0n).tasks;
    await eventually("its command", () => d.taskIds.includes(Number(task?.taskId)));
    assert.ok(performance.now() - failed > lateCommitMs - 50);
  });

  it("are asked for with a deadline, since their hosts are kept until then", async (t) => {
    const { client, store } = await connected(t);
    await client.submitRequest({ operation: run(["h1"], "true") });
    await client.submitRequest({ operation: run(["h1"], "true") });
    const [first = 0, second] = store.createTimeouts.slice(-2);
    assert.ok(first > 20_000 && first <= 30_000, `${first} ms`);
    assert.equal(second, undefined);
  });

  it("are handed over when the store does not know any more what it released", async (t) => {
    const { client, store, d } = await connected(t);
    store.meetsOwnCommit = true;
    const { created } = await client.submitRequest({ operation: run(["h1"], "true") });
    assert.equal(created, true);
    const [released] = store.releasedFirst.flat();
    await eventually("it is found", () => d.taskIds.includes(Number(released)));
  });

  it("are free to others when the store refuses to make it, or has it already", async (t) => {
    const { client, store, d } = await connected(t);
    const once = (argument: string) => {
      const operation = run(["h1"], "echo", argument);
      return client.submitRequest({ operation, idempotencyKey: "once" });
    };
    const { request } = await once("a");
    const [only] = store.releasedFirst.flat();
    await eventually("its command", () => d.taskIds.includes(Number(only)));
    d.tell(store.report(only ?? 0n, TaskEvent.SUCCEEDED));
    const requestId = request?.requestId ?? 0n;
    const explain = { taskId: only ?? 0n };
    await eventually("its end", async () => (await client.explainTask(explain)).waits.length === 0);
    await fails(once("b"), Code.AlreadyExists, /idempotency_key/);
    const again = await once("a");
    assert.deepEqual([again.created, again.request?.requestId], [false, requestId]);
    await client.submitRequest({ operation: run(["h1"], "true") });
    assert.equal(store.releasedFirst.at(-1)?.length, 1);
  });

  it("are none before all is taken over", async (t) => {
    const world = await World.start(t);
    const d = await world.dispatcher();
    d.open(1, 1);
    world.store.addRequest([[{ role: "A", hosts: [9] }]]);
    let read: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      read = resolve;
    });
    world.store.beforeTasks = () => held;
    const { engine } = await world.scheduler();
    await eventually("a session", () => engine.sessionEpoch(1n) === 1n);
    const releases = () => {
      const draft = runContents({ stages: [[role("A")]], places: [[1, 0, 0, 1]] });
      const making = engine.make(new Set([1n]), { draft, most: 1 });
      making.end();
      return making.releases.length;
    };
    assert.equal(releases(), 0);
    read();
    await eventually("the take-over", () => releases() === 1);
  });
});
