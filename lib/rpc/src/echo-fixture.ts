// What the tests of this package share: the echo service, a server of it, and how to wait.

import { once } from "node:events";
import type { TestContext } from "node:test";
import {
  Code,
  ConnectError,
  createClient,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import { Server } from "@grpc/grpc-js";
import { Behaviour, EchoRequestSchema, EchoService } from "@howdah/proto/howdah/rpc/test/v1/echo";
import { pino } from "pino";
import { callIdKey } from "./call-id.js";
import { peer } from "./peer.js";
import { createRpcServer, type RpcServer, type RpcServerOptions } from "./server.js";
import { createRpcTransport, type RpcTransport, type RpcTransportOptions } from "./transport.js";

/** The echo service, with an eye on its handlers. */
export interface Echo {
  impl: ServiceImpl<typeof EchoService>;
  /** The context of the newest call. */
  context(): HandlerContext;
  /** Whether any call has come. */
  called(): boolean;
  /** How many answers Repeat has made in all. */
  produced(): number;
  /** How many handlers of streams have begun and not ended. */
  running(): number;
}

export function createEcho(): Echo {
  let newest: HandlerContext | undefined;
  let produced = 0;
  let running = 0;
  const impl: ServiceImpl<typeof EchoService> = {
    async echo({ text, behaviour }, context) {
      newest = context;
      switch (behaviour) {
        case Behaviour.FAIL:
          throw new ConnectError(
            "asked to fail: 100% sure, ü",
            Code.FailedPrecondition,
            { "x-secret": "1" },
            [{ desc: EchoRequestSchema, value: { text } }],
          );
        case Behaviour.THROW:
          throw new Error("secret of the server");
        case Behaviour.HANG:
          await once(context.signal, "abort");
          throw context.signal.reason;
        case Behaviour.DESCRIBE_CALLER: {
          const { address, identity } = peer(context);
          return { text: `${address}\n${identity ?? "nobody"}\n${context.values.get(callIdKey)}` };
        }
        default:
          context.responseHeader.set("x-header", text);
          context.responseTrailer.set("x-trailer", text);
          return { text };
      }
    },
    async *repeat({ text, count, paddingBytes, failAtEnd }, context) {
      newest = context;
      running += 1;
      try {
        const padding = new Uint8Array(paddingBytes);
        for (let number = 0; count === 0 || number < count; number++) {
          produced += 1;
          yield { text, number, padding };
        }
        if (failAtEnd) throw new ConnectError("asked to fail", Code.Aborted);
      } finally {
        running -= 1;
      }
    },
    async collect(requests, context) {
      newest = context;
      running += 1;
      try {
        const texts: string[] = [];
        for await (const { text } of requests) texts.push(text);
        return { text: texts.join(" "), count: texts.length };
      } finally {
        running -= 1;
      }
    },
    async *converse(requests, context) {
      newest = context;
      running += 1;
      try {
        for await (const { text } of requests) yield { text };
      } finally {
        running -= 1;
      }
    },
  };
  return {
    impl,
    context() {
      if (newest === undefined) throw new Error("no call has come yet");
      return newest;
    },
    called: () => newest !== undefined,
    produced: () => produced,
    running: () => running,
  };
}

/** A logger that keeps its lines, from debug up. */
export function createTestLog() {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { level: "debug" },
    { write: (line: string) => void lines.push(JSON.parse(line)) },
  );
  return { log, lines };
}

/** Serves the echo service on a free port until the test ends. */
export async function serveEcho(
  t: TestContext,
  options: Partial<RpcServerOptions> = {},
): Promise<{ server: RpcServer; address: string; echo: Echo; lines: Record<string, unknown>[] }> {
  const { log, lines } = createTestLog();
  const echo = createEcho();
  const server = createRpcServer({ name: "echo", log, drainGraceMs: 200, ...options });
  const address = await server.add(EchoService, echo.impl).listen("127.0.0.1:0");
  t.after(() => server.drain());
  return { server, address, echo, lines };
}

/** A client of the echo service until the test ends. */
export function echoClient(
  t: TestContext,
  address: string,
  options: Partial<RpcTransportOptions> = {},
) {
  const transport: RpcTransport = createRpcTransport({ address, ownConnection: true, ...options });
  t.after(() => transport.close());
  return { client: createClient(EchoService, transport), transport };
}

/** Waits until `condition` holds; fails after ten seconds, naming what was awaited. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** All that an iterable gives. */
export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const result: T[] = [];
  for await (const one of source) result.push(one);
  return result;
}

/** An iterable of the given messages. */
export async function* each<T>(...messages: T[]): AsyncGenerator<T> {
  yield* messages;
}

/**
 * Holds the shutdown of grpc-js's servers until the test ends. Connections take streams a moment longer than the server does; here for as
 * long as the test needs.
 */
export function holdShutdown(t: TestContext): {
  /** A drain has come to it. */
  begun(): Promise<unknown>;
  /** Lets it go on; the next one is held again. */
  goOn(): void;
} {
  const { tryShutdown } = Server.prototype;
  let shutDown: (() => void) | undefined;
  t.mock.method(Server.prototype, "drain", () => {});
  t.mock.method(Server.prototype, "tryShutdown", function (this: Server, done: () => void) {
    shutDown = () => tryShutdown.call(this, done);
  });
  const goOn = () => {
    shutDown?.();
    shutDown = undefined;
  };
  // A test that fails in between would wait for its server for ever.
  t.after(goOn);
  return { begun: () => until(() => shutDown !== undefined, "the server drains"), goOn };
}
