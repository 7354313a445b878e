import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type HandlerContext } from "@connectrpc/connect";
import { AlertRunService } from "@howdah/proto/howdah/v1/alert_service";
import { LeaseSchema } from "@howdah/proto/howdah/v1/store_leases";
import { createRpcServer } from "@howdah/rpc/server";
import { connectService } from "@howdah/service/connect-service";
import { pino } from "pino";
import { LeaderWatch } from "./leader-watch.js";
import { NotLeadingError } from "./not-leading.js";
import { passOn } from "./pass-on.js";
import { eventually } from "./testing/eventually.js";

const log = pino({ level: "silent" });

/** A scheduler whose calls note that they came, then answer as the test says. */
async function scheduler(t: TestContext, name: string, waitMs = 5_000) {
  const watch = new LeaderWatch((address) => connectService({ address }), log);
  const state = {
    watch,
    calls: 0,
    ended: 0,
    async *answer(_: HandlerContext): AsyncGenerator<string> {
      yield* ["one", "two"];
    },
  };
  const server = createRpcServer({ name, log, drainGraceMs: 100 });
  const impl = passOn(
    AlertRunService,
    {
      async *runAlert(_, context) {
        state.calls += 1;
        try {
          for await (const text of state.answer(context)) yield { hostName: name, text };
        } finally {
          state.ended += 1;
        }
      },
    },
    {
      ...{ watch, instance: name, waitMs, signal: new AbortController().signal },
      repeatable: { runAlert: (request) => request },
    },
  );
  const address = await server.add(AlertRunService, impl).listen("127.0.0.1:0");
  const transport = connectService({ address });
  t.after(async () => {
    watch.stop();
    transport.close();
    await server.drain();
  });
  const client = createClient(AlertRunService, transport);
  const texts = async () => {
    const found: string[] = [];
    for await (const { hostName, text } of client.runAlert({})) found.push(`${hostName} ${text}`);
    return found;
  };
  return { state, name, address, client, texts };
}

/** One that leads, and one that stands by. */
async function pair(t: TestContext, waitMs?: number) {
  const a = await scheduler(t, "a", waitMs);
  const b = await scheduler(t, "b", waitMs);
  a.state.watch.leadsHere(true);
  const lease = create(LeaseSchema, { holder: "a", address: a.address, token: 1n });
  b.state.watch.leadsElsewhere(lease);
  return { a, b };
}

describe("passOn() of a stream of answers", () => {
  it("has the leader answer, whichever is asked, and lets go of the call", async (t) => {
    const { a, b } = await pair(t);
    assert.deepEqual(await a.texts(), ["a one", "a two"]);
    assert.deepEqual(await b.texts(), ["a one", "a two"]);
    a.state.answer = async function* () {};
    assert.deepEqual(await b.texts(), []);
    assert.deepEqual([a.state.calls, a.state.ended, b.state.calls], [3, 3, 0]);
  });

  it("tells each answer as it comes", async (t) => {
    const { a, b } = await pair(t);
    let release = () => {};
    const hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    a.state.answer = async function* () {
      yield "one";
      await hold;
      yield "two";
    };
    const messages = b.client.runAlert({})[Symbol.asyncIterator]();
    assert.equal((await messages.next()).value?.text, "one");
    release();
    assert.equal((await messages.next()).value?.text, "two");
    assert.equal((await messages.next()).done, true);
  });

  it("brings back errors, those before the first answer and those after it", async (t) => {
    const { a, b } = await pair(t);
    for (const before of [[], ["one"]]) {
      a.state.answer = async function* () {
        yield* before;
        throw new ConnectError("there is none", Code.NotFound);
      };
      await assert.rejects(b.texts(), { code: Code.NotFound, rawMessage: "there is none" });
    }
    assert.equal(a.state.calls, 2);
  });

  it("tries again while nothing was answered, and never after the first answer", async (t) => {
    const { a } = await pair(t);
    let tries = 0;
    a.state.answer = async function* () {
      tries += 1;
      if (tries < 3) throw new NotLeadingError("not yet", "no");
      yield "at last";
    };
    assert.deepEqual(await a.texts(), ["a at last"]);
    a.state.answer = async function* () {
      yield "one";
      throw new ConnectError("the store is away", Code.Unavailable);
    };
    const { calls } = a.state;
    await assert.rejects(a.texts(), { rawMessage: "the store is away" });
    assert.equal(a.state.calls, calls + 1);
  });

  it("says that the leader went away in the middle of its answers", async (t) => {
    const { a, b } = await pair(t);
    a.state.answer = async function* (context) {
      yield "one";
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
    };
    const messages = b.client.runAlert({})[Symbol.asyncIterator]();
    await messages.next();
    b.state.watch.leadsElsewhere(
      create(LeaseSchema, { holder: "c", address: "127.0.0.1:1", token: 2n }),
    );
    await assert.rejects(messages.next(), (error: ConnectError) => {
      assert.equal(Code[error.code], "Unavailable");
      assert.match(
        error.rawMessage,
        /^the scheduler that leads went away in the middle of its answ/,
      );
      return true;
    });
    await eventually("the call to end", () => a.state.ended === 1);
  });

  it("cancels the call when its caller goes away", async (t) => {
    const { a, b } = await pair(t);
    a.state.answer = async function* (context) {
      yield "one";
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
    };
    const caller = new AbortController();
    const messages = b.client.runAlert({}, { signal: caller.signal })[Symbol.asyncIterator]();
    await messages.next();
    caller.abort();
    await assert.rejects(messages.next());
    await eventually("the call to end", () => a.state.ended === 1);
  });
});
