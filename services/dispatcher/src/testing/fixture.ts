import type { TestContext } from "node:test";
import { type Client, createClient } from "@connectrpc/connect";
import { AgentService } from "@howdah/proto/howdah/v1/agent_service";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { DispatcherService } from "@howdah/proto/howdah/v1/dispatcher_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import type { Keepalive } from "@howdah/rpc/keepalive";
import { createRpcServer } from "@howdah/rpc/server";
import { createRpcTransport } from "@howdah/rpc/transport";
import { pino } from "pino";
import { createDispatcher, type Dispatcher, type DispatcherOptions } from "../dispatcher.js";
import { createProbePeer } from "../probe-peer.js";
import { eventually } from "./eventually.js";
import { FakeStore } from "./fake-store.js";
import { RawAgent } from "./raw-agent.js";

/** A dispatcher that runs, with a client. */
export interface RunningDispatcher {
  readonly dispatcher: Dispatcher;
  readonly client: Client<typeof DispatcherService>;
  readonly agentAddress: string;
  /** Whether it holds its lease. */
  readonly holds: () => boolean;
  agent(): RawAgent;
}

/** A fake store and what runs against it; everything ends with the test. */
export class Fixture {
  readonly store = new FakeStore();
  #address = "";
  readonly #cleanups: (() => unknown)[] = [];

  private constructor(context: TestContext) {
    context.after(async () => {
      for (const cleanup of this.#cleanups.reverse()) await cleanup();
    });
  }

  static async start(context: TestContext): Promise<Fixture> {
    const fixture = new Fixture(context);
    const { address, stop } = await fixture.store.serve();
    fixture.#address = address;
    fixture.#cleanups.push(stop);
    return fixture;
  }

  async dispatcher(
    options: Partial<DispatcherOptions> = {},
    { waitForLease = true, keepalive }: { waitForLease?: boolean; keepalive?: Keepalive } = {},
  ): Promise<RunningDispatcher> {
    const log = pino({ level: process.env.LOG_LEVEL ?? "silent" });
    const transport = createRpcTransport({
      address: this.#address,
      ownConnection: true,
      channelOptions: { "grpc.initial_reconnect_backoff_ms": 50 },
    });
    const dispatcher = createDispatcher({
      instance: "d1",
      store: createClient(CommandStoreService, transport),
      stacks: createClient(StackService, transport),
      probePeer: createProbePeer(undefined, log),
      leaseDurationMs: 600,
      leaseRenewEveryMs: 100,
      log,
      ...options,
    });
    const services = createRpcServer({ name: "dispatcher", log, drainGraceMs: 200 });
    const agents = createRpcServer({ name: "dispatcher", log, drainGraceMs: 200, keepalive });
    services.add(DispatcherService, dispatcher.dispatcherService);
    agents
      .add(AgentService, dispatcher.agentService)
      .serveStream(AgentService.method.connect, dispatcher.connectAgent);
    const address = await services.listen("127.0.0.1:0");
    const agentAddress = await agents.listen("127.0.0.1:0");
    let held = false;
    dispatcher.lead(address, (now) => {
      held = now;
    });
    const clientTransport = createRpcTransport({ address, ownConnection: true });
    this.#cleanups.push(async () => {
      clientTransport.close();
      await dispatcher.drain(0, 200);
      await Promise.all([services.drain(), agents.drain()]);
      transport.close();
    });
    if (waitForLease) await eventually("the lease", () => held);
    return {
      dispatcher,
      client: createClient(DispatcherService, clientTransport),
      agentAddress,
      holds: () => held,
      agent: () => {
        const agent = new RawAgent(agentAddress);
        this.#cleanups.push(() => agent.cut());
        return agent;
      },
    };
  }
}

/** A promise and what resolves it. */
export function deferred(): { promise: Promise<void>; resolve(): void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
