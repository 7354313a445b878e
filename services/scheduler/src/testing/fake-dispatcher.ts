import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { ExecutionCommand } from "@howdah/proto/howdah/v1/command";
import {
  type CommandCancel,
  DispatcherService,
  type HostStatusCheck,
  type WatchDeliveriesResponseSchema,
} from "@howdah/proto/howdah/v1/dispatcher_service";
import { LeaseSchema } from "@howdah/proto/howdah/v1/store_leases";
import type { TaskChange } from "@howdah/proto/howdah/v1/task_change";
import { createRpcServer, type RpcServer } from "@howdah/rpc/server";
import { pino } from "pino";
import type { FakeStore } from "./fake-store.js";

type Event = NonNullable<MessageInitShape<typeof WatchDeliveriesResponseSchema>["event"]>;

/** A dispatcher without agents, served over gRPC; the test plays the agents. */
export class FakeDispatcher {
  /** Session epochs by host. */
  readonly sessions = new Map<bigint, bigint>();
  /** What was put into queues, in order; a repeat of an attempt is in `repeats`. */
  readonly enqueued: { epoch: bigint; command: ExecutionCommand }[] = [];
  readonly repeats: bigint[] = [];
  readonly cancels: CommandCancel[] = [];
  /** Calls of SendStatusCommands. */
  readonly statusChecks: HostStatusCheck[][] = [];
  /** The hosts whose agents were asked to register again. */
  readonly askedToRegister: bigint[] = [];
  /** Every token that was announced. */
  readonly tokens: bigint[] = [];
  enqueueCalls = 0;
  /** How many calls of EnqueueCommands fail after they did their work. */
  loseAnswers = 0;
  /** While true, calls fail with UNAVAILABLE. */
  down = false;
  /** Called with each command that is new here. */
  onCommand: (command: ExecutionCommand) => void = () => undefined;
  /** Refuses a command although its session is here. */
  refuse: (command: ExecutionCommand) => boolean = () => false;
  private readonly watchers = new Set<(event: Event) => void>();
  private server: RpcServer | undefined;
  private ended = new AbortController();

  constructor(
    private readonly store: FakeStore,
    readonly name: string,
  ) {}

  open(hostId: number, epoch: number): void {
    this.sessions.set(BigInt(hostId), BigInt(epoch));
    const value = { hostId: BigInt(hostId), sessionEpoch: BigInt(epoch) };
    this.publish({ case: "opened", value });
  }

  close(hostId: number, silentMs = 0): void {
    const sessionEpoch = this.sessions.get(BigInt(hostId)) ?? 0n;
    this.sessions.delete(BigInt(hostId));
    const value = { hostId: BigInt(hostId), sessionEpoch, silentMs: BigInt(silentMs) };
    this.publish({ case: "closed", value });
  }

  /** Tells what a report committed. */
  tell(...changes: TaskChange[]): void {
    this.publish({ case: "changes", value: { changes } });
  }

  get watched(): boolean {
    return this.watchers.size > 0;
  }

  /** The ids of the tasks whose commands were put into queues, in order. */
  get taskIds(): number[] {
    return this.enqueued.map(({ command }) => Number(command.taskId));
  }

  private publish(event: Event): void {
    for (const watcher of this.watchers) watcher(event);
  }

  private check(token: bigint): void {
    if (this.down) throw new ConnectError("the dispatcher is away", Code.Unavailable);
    const highest = this.tokens.at(-1) ?? 0n;
    if (token < highest) throw new ConnectError("a newer scheduler", Code.FailedPrecondition);
    if (token > highest) this.tokens.push(token);
  }

  private readonly impl: Partial<ServiceImpl<typeof DispatcherService>> = {
    enqueueCommands: ({ schedulerToken, commands }) => {
      this.enqueueCalls += 1;
      this.check(schedulerToken);
      const refusedTaskIds: bigint[] = [];
      for (const { sessionEpoch, command } of commands) {
        if (command === undefined) continue;
        const here = this.sessions.get(command.hostId) === sessionEpoch;
        const { taskId, attempt } = command;
        const had = this.enqueued.some(
          (one) => one.command.taskId === taskId && one.command.attempt === attempt,
        );
        if (!here || this.refuse(command)) refusedTaskIds.push(taskId);
        else if (had) this.repeats.push(taskId);
        else {
          this.enqueued.push({ epoch: sessionEpoch, command });
          this.onCommand(command);
        }
      }
      if (this.loseAnswers > 0) {
        this.loseAnswers -= 1;
        throw new ConnectError("the connection was lost", Code.Unavailable);
      }
      return { refusedTaskIds };
    },
    cancelCommands: ({ schedulerToken, cancels }) => {
      this.check(schedulerToken);
      this.cancels.push(...cancels);
      return {};
    },
    sendRegistrationCommands: ({ schedulerToken, sessions }) => {
      this.check(schedulerToken);
      for (const { hostId, sessionEpoch } of sessions) {
        if (this.sessions.get(hostId) === sessionEpoch) this.askedToRegister.push(hostId);
      }
      return {};
    },
    sendStatusCommands: ({ schedulerToken, checks }) => {
      this.check(schedulerToken);
      this.statusChecks.push(checks);
      return {};
    },
    listSessions: () => ({ sessions: this.listed() }),
    watchDeliveries: (request, context) => this.watch(request.schedulerToken, context.signal),
  };

  private listed() {
    return [...this.sessions].map(([hostId, sessionEpoch]) => ({ hostId, sessionEpoch }));
  }

  private async *watch(token: bigint, signal: AbortSignal) {
    this.check(token);
    const until = AbortSignal.any([signal, this.ended.signal]);
    const waiting: Event[] = [];
    let wake = () => {};
    const watcher = (event: Event) => {
      waiting.push(event);
      wake();
    };
    const ended = () => wake();
    until.addEventListener("abort", ended);
    this.watchers.add(watcher);
    try {
      const value = { dispatcher: this.name, sessions: this.listed() };
      yield { event: { case: "sessions" as const, value } };
      while (!until.aborted) {
        for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) {
          yield { event };
        }
        if (until.aborted) break;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.watchers.delete(watcher);
      until.removeEventListener("abort", ended);
    }
    throw new ConnectError("the watch is over", Code.Unavailable);
  }

  /** Breaks the watchers' streams off. */
  cut(): void {
    this.ended.abort();
    this.ended = new AbortController();
  }

  /** Serves it and gives it a lease. */
  async serve(address = "127.0.0.1:0"): Promise<string> {
    const log = pino({ level: "silent" });
    this.server = createRpcServer({ name: "fake-dispatcher", log, drainGraceMs: 100 });
    const real = await this.server.add(DispatcherService, this.impl).listen(address);
    this.lease(real);
    return real;
  }

  /** Gives it a lease at an address. */
  lease(address: string, durationMs = 6_000): void {
    const lease = {
      ...{ name: this.name, holder: `${this.name}/1`, address },
      ...{ token: 1n, counter: 1n, durationMs: BigInt(durationMs) },
    };
    this.store.leases.rows.set(this.name, create(LeaseSchema, lease));
  }

  /** Its lease is given back: it is gone. */
  leave(): void {
    this.store.leases.rows.delete(this.name);
  }

  async stop(): Promise<void> {
    this.cut();
    await this.server?.drain();
  }
}
