import type { TestContext } from "node:test";
import { type Client, createClient } from "@connectrpc/connect";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { TaskEvent } from "@howdah/proto/howdah/v1/task_change";
import { connectService } from "@howdah/service/connect-service";
import { type Logger, pino } from "pino";
import type { Engine } from "../engine/engine.js";
import { type LeadOptions, lead } from "../lead.js";
import { StackCache } from "../stack-cache.js";
import { eventually } from "./eventually.js";
import { FakeDispatcher } from "./fake-dispatcher.js";
import { FakeStore } from "./fake-store.js";

/** A scheduler that leads. */
export interface RunningScheduler {
  readonly engine: Engine;
  /** Settles when it has ended, with what it ended with. */
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}

/** A store and dispatchers in this process, reached over real connections. All ends with the test. */
export class World {
  readonly store = new FakeStore();
  readonly log: Logger = pino({ level: process.env.LOG_LEVEL ?? "silent" });
  private readonly cleanups: (() => unknown)[] = [];
  private address = "";

  static async start(t: TestContext): Promise<World> {
    const world = new World();
    t.after(async () => {
      world.store.down = false;
      for (const cleanup of world.cleanups.reverse()) await cleanup();
    });
    const { address, stop } = await world.store.serve();
    world.address = address;
    world.cleanups.push(stop);
    return world;
  }

  async dispatcher(name = "dispatcher/d1"): Promise<FakeDispatcher> {
    const dispatcher = new FakeDispatcher(this.store, name);
    await dispatcher.serve();
    this.cleanups.push(() => dispatcher.stop());
    return dispatcher;
  }

  /** Clients of the store's services, on a connection of their own. */
  clients(): {
    store: Client<typeof CommandStoreService>;
    fleet: Client<typeof FleetService>;
    stacks: Client<typeof StackService>;
  } {
    const transport = connectService({ address: this.address });
    this.cleanups.push(() => transport.close());
    return {
      store: createClient(CommandStoreService, transport),
      fleet: createClient(FleetService, transport),
      stacks: createClient(StackService, transport),
    };
  }

  cleanup(call: () => unknown): void {
    this.cleanups.push(call);
  }

  /** Leads with this token until it is stopped, at a pace for tests. */
  async scheduler(token = 1n, options: Partial<LeadOptions> = {}): Promise<RunningScheduler> {
    const stopping = new AbortController();
    let started: (engine: Engine) => void = () => undefined;
    const engine = new Promise<Engine>((resolve) => {
      started = resolve;
    });
    const { store, fleet, stacks } = this.clients();
    const leading = lead(
      {
        ...{ store, fleet, stacks: new StackCache(stacks) },
        log: this.log,
        connect: (address) => connectService({ address }),
        lookMs: 20,
        reconcileMs: 50,
        resendMs: 60_000,
        deadlineGraceMs: 60_000,
        ...options,
      },
      token,
      stopping.signal,
      started,
    );
    const ended = leading.then(
      () => undefined,
      (error: unknown) => error,
    );
    const stop = async () => {
      stopping.abort();
      await ended;
    };
    this.cleanups.push(stop);
    return { engine: await engine, ended, stop };
  }

  /** Plays agents that do at once whatever they are sent, and tells the scheduler. */
  doAll(dispatcher: FakeDispatcher): void {
    dispatcher.onCommand = ({ taskId }) => {
      setImmediate(() => {
        const started = this.store.report(taskId, TaskEvent.STARTED);
        dispatcher.tell(started);
        dispatcher.tell(this.store.report(taskId, TaskEvent.SUCCEEDED));
      });
    };
  }

  /** Waits until the tasks of a request are in these statuses. */
  async statuses(requestId: bigint, ...expected: string[]): Promise<void> {
    const now = () => this.store.statuses(requestId).join(" ");
    try {
      await eventually(expected.join(" "), () => now() === expected.join(" "));
    } catch (error) {
      throw new Error(`${(error as Error).message}; they are ${now()}`);
    }
  }
}
