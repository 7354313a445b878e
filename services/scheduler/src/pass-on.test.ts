import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type HandlerContext } from "@connectrpc/connect";
import { PassedOnErrorSchema } from "@howdah/proto/howdah/v1/pass_on";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import { LeaseSchema } from "@howdah/proto/howdah/v1/store_leases";
import { createRpcServer } from "@howdah/rpc/server";
import { connectService } from "@howdah/service/connect-service";
import { pino } from "pino";
import { passedOnHeader } from "./call-leader.js";
import { LeaderWatch } from "./leader-watch.js";
import { NotLeadingError } from "./not-leading.js";
import { passOn } from "./pass-on.js";
import { withIdempotencyKey } from "./request-service.js";
import { eventually } from "./testing/eventually.js";
import { fails } from "./testing/service.js";

const log = pino({ level: process.env.LOG_LEVEL ?? "silent" });
let tokens = 0n;

type Answer = (requestId: bigint, context: HandlerContext) => unknown;

/** A scheduler as far as passing on goes: its calls note that they came, then do as the test says. */
async function scheduler(t: TestContext, name: string, waitMs = 5_000) {
  const watch = new LeaderWatch((address) => connectService({ address }), log);
  const stopping = new AbortController();
  const it = {
    watch,
    stopping,
    /** The calls that were answered here, by method and what they were about. */
    calls: [] as string[],
    answer: (() => undefined) as Answer,
  };
  const take = async (what: string, requestId: bigint, context: HandlerContext) => {
    it.calls.push(`${what} ${requestId}`);
    await it.answer(requestId, context);
    return { request: { requestId } };
  };
  const server = createRpcServer({ name, log, drainGraceMs: 100 });
  const impl = passOn(
    RequestService,
    {
      planRequest: () => {
        it.calls.push("plan");
        return {};
      },
      submitRequest: ({ idempotencyKey }, context) => take(`submit ${idempotencyKey}`, 0n, context),
      cancelRequest: ({ requestId }, context) => take("cancel", requestId, context),
      retryRequest: ({ requestId }, context) => take("retry", requestId, context),
    },
    {
      ...{ watch, instance: name, waitMs, signal: stopping.signal },
      anywhere: ["planRequest"],
      repeatable: { submitRequest: withIdempotencyKey },
    },
  );
  const address = await server.add(RequestService, impl).listen("127.0.0.1:0");
  const transport = connectService({ address });
  t.after(async () => {
    watch.stop();
    transport.close();
    await server.drain();
  });
  const client = createClient(RequestService, transport);
  return { ...it, state: it, name, address, client, drain: () => server.drain() };
}

type Scheduler = Awaited<ReturnType<typeof scheduler>>;

function follows(standby: Scheduler, leader: Pick<Scheduler, "name" | "address">): void {
  tokens += 1n;
  const { name: holder, address } = leader;
  standby.watch.leadsElsewhere(create(LeaseSchema, { holder, address, token: tokens }));
}

/** One that leads, and one that stands by. */
async function pair(t: TestContext, waitMs?: number) {
  const a = await scheduler(t, "a", waitMs);
  const b = await scheduler(t, "b", waitMs);
  a.watch.leadsHere(true);
  follows(b, a);
  return { a, b };
}

describe("passOn()", () => {
  it("has the leader answer, whichever is asked, and tells it that the call was passed on", async (t) => {
    const { a, b } = await pair(t);
    let by: string | null = null;
    a.state.answer = (_, { requestHeader }) => {
      by = requestHeader.get(passedOnHeader);
    };
    assert.equal((await a.client.retryRequest({ requestId: 1n })).request?.requestId, 1n);
    assert.equal(by, null);
    assert.equal((await b.client.retryRequest({ requestId: 2n })).request?.requestId, 2n);
    assert.equal(by, "b");
    assert.deepEqual([a.calls, b.calls], [["retry 1", "retry 2"], []]);
  });

  it("passes nothing on that each can answer, or that was passed on already", async (t) => {
    const { a, b } = await pair(t);
    await b.client.planRequest({});
    assert.deepEqual([a.calls, b.calls], [[], ["plan"]]);
    const headers = { [passedOnHeader]: "c" };
    const call = b.client.retryRequest({ requestId: 1n }, { headers });
    await fails(call, Code.Unavailable, /does not lead/);
    const error = await call.catch(ConnectError.from);
    assert.ok(error instanceof ConnectError);
    assert.equal(error.findDetails(PassedOnErrorSchema)[0]?.notDone, true);
    assert.deepEqual(a.calls, []);
  });

  it("brings back errors with their details, and keeps its own mark to itself", async (t) => {
    const { a, b } = await pair(t);
    a.state.answer = () => {
      const detail = { desc: LeaseSchema, value: { name: "a detail" } };
      throw new ConnectError("not so", Code.FailedPrecondition, undefined, [detail]);
    };
    for (const { client } of [a, b]) {
      const error = await client.retryRequest({ requestId: 1n }).catch(ConnectError.from);
      assert.ok(error instanceof ConnectError);
      assert.equal(error.code, Code.FailedPrecondition);
      assert.equal(error.rawMessage, "not so");
      assert.equal(error.findDetails(LeaseSchema)[0]?.name, "a detail");
      assert.equal(error.details.length, 1);
    }
    assert.equal(a.calls.length, 2, "each was tried once");
  });

  it("passes on deadline and cancel", async (t) => {
    const { a, b } = await pair(t);
    let leftMs: number | undefined;
    let ended = 0;
    a.state.answer = async (_, { signal, timeoutMs }) => {
      leftMs = timeoutMs();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      ended += 1;
      throw signal.reason;
    };
    const late = b.client.retryRequest({ requestId: 1n }, { timeoutMs: 300 });
    await fails(late, Code.DeadlineExceeded, /./);
    assert.ok(leftMs !== undefined && leftMs <= 300, `${leftMs} ms`);
    await eventually("the leader gave up", () => ended === 1);
    const left = new AbortController();
    const call = b.client.retryRequest({ requestId: 2n }, { signal: left.signal });
    await eventually("it arrived", () => a.calls.length === 2);
    left.abort();
    await fails(call, Code.Canceled, /./);
    await eventually("the leader knows", () => ended === 2);
  });

  it("waits until somebody leads", async (t) => {
    const b = await scheduler(t, "b");
    const first = b.client.retryRequest({ requestId: 1n });
    const a = await scheduler(t, "a");
    a.watch.leadsHere(true);
    follows(b, a);
    await first;
    assert.deepEqual(a.calls, ["retry 1"]);
    const c = await scheduler(t, "c");
    const second = c.client.retryRequest({ requestId: 2n });
    c.watch.leadsHere(true);
    await second;
    assert.deepEqual(c.calls, ["retry 2"]);
  });

  it("says after a while that nobody leads, and what to do", async (t) => {
    const b = await scheduler(t, "b", 300);
    const from = performance.now();
    await fails(
      b.client.submitRequest({}),
      Code.Unavailable,
      /waited 0.3 s \(none has the lease\); see that a scheduler runs and reaches the command store/,
    );
    assert.ok(performance.now() - from >= 290, "it did not wait");
    follows(b, { name: "gone", address: "127.0.0.1:9" });
    await fails(
      b.client.submitRequest({}),
      Code.Unavailable,
      /\(gone at 127.0.0.1:9 leads and cannot be reached from here: .*127.0.0.1:9/,
    );
    follows(b, { name: "odd", address: "no address" });
    await fails(b.client.submitRequest({}), Code.Unavailable, /none has the lease/);
  });

  it("waits no longer once it stops", async (t) => {
    const b = await scheduler(t, "b", 60_000);
    const call = b.client.submitRequest({});
    b.stopping.abort();
    await fails(call, Code.Unavailable, /this scheduler is stopping.*call again/);
  });

  it("asks again what was not done: the leader has not taken over yet, or finds it was replaced", async (t) => {
    const { a, b } = await pair(t);
    let tries = 0;
    a.state.answer = () => {
      tries += 1;
      if (tries % 3 !== 0) throw new NotLeadingError("not taken over yet", "no");
    };
    await a.client.retryRequest({ requestId: 1n });
    assert.equal(tries, 3);
    await b.client.retryRequest({ requestId: 1n });
    assert.equal(tries, 6);
    // A leader that was replaced without knowing it: the store refuses what it writes, and it learns of the new one.
    a.state.answer = () => {
      a.watch.leadsHere(false);
      follows(a, b);
      b.watch.leadsHere(true);
      throw new NotLeadingError("another scheduler leads", "no");
    };
    await a.client.retryRequest({ requestId: 2n });
    assert.deepEqual(b.calls, ["retry 2"]);
  });

  describe("the leader goes away in the middle", () => {
    /** Has `a` hang in its next call, calls it through `b`, then makes `b` the leader. */
    async function takenOver(t: TestContext, call: (b: Scheduler) => Promise<unknown>) {
      const { a, b } = await pair(t);
      a.state.answer = () => new Promise(() => undefined);
      const answer = call(b);
      answer.catch(() => undefined);
      await eventually("it arrived", () => a.calls.length === 1);
      b.watch.leadsHere(true);
      return { a, b, answer };
    }

    it("makes a call again that may be", async (t) => {
      const { b, answer } = await takenOver(t, ({ client }) =>
        client.cancelRequest({ requestId: 7n }),
      );
      await answer;
      assert.deepEqual(b.calls, ["cancel 7"]);
    });

    it("submits again under the same key, one of its own where there was none", async (t) => {
      const { a, b, answer } = await takenOver(t, ({ client }) => client.submitRequest({}));
      await answer;
      assert.match(b.calls[0] ?? "", /^submit [0-9a-f-]{36} 0$/);
      assert.deepEqual(b.calls, a.calls);
    });

    it("never makes another call again: says that its outcome is not known", async (t) => {
      const { b, answer } = await takenOver(t, ({ client }) =>
        client.retryRequest({ requestId: 7n }),
      );
      await fails(
        answer,
        Code.Unavailable,
        /in the middle of RetryRequest.*not known; look, then call/,
      );
      assert.deepEqual(b.calls, []);
    });

    it("as well when its connection breaks", async (t) => {
      const { a, b } = await pair(t);
      a.state.answer = () => new Promise(() => undefined);
      const calls = [
        b.client.retryRequest({ requestId: 7n }),
        b.client.cancelRequest({ requestId: 7n }),
      ];
      for (const call of calls) call.catch(() => undefined);
      await eventually("they arrived", () => a.calls.length === 2);
      const gone = a.drain();
      await fails(calls[0] as Promise<unknown>, Code.Unavailable, /outcome|not known/);
      b.watch.leadsHere(true);
      await calls[1];
      assert.deepEqual(b.calls, ["cancel 7"]);
      await gone;
    });

    it("as well when the call was its own", async (t) => {
      const a = await scheduler(t, "a");
      a.watch.leadsHere(true);
      let calls = 0;
      a.state.answer = () => {
        calls += 1;
        if (calls < 3)
          throw new NotLeadingError("this scheduler does not lead any more", "unknown");
      };
      await fails(a.client.retryRequest({ requestId: 7n }), Code.Unavailable, /not known/);
      assert.equal(calls, 1);
      await a.client.cancelRequest({ requestId: 7n });
      assert.equal(calls, 3);
    });
  });

  it("asks once more, if it may, when the leader says that its store is away", async (t) => {
    const { a, b } = await pair(t);
    a.state.answer = () => {
      throw new ConnectError("the store is away", Code.Unavailable);
    };
    await fails(a.client.retryRequest({ requestId: 1n }), Code.Unavailable, /store is away/);
    await fails(b.client.retryRequest({ requestId: 2n }), Code.Unavailable, /store is away/);
    await fails(b.client.cancelRequest({ requestId: 3n }), Code.Unavailable, /store is away/);
    const { calls } = a;
    assert.deepEqual(
      [1, 2, 3].map((id) => calls.filter((call) => call.endsWith(` ${id}`)).length),
      [1, 1, 2],
    );
  });
});
