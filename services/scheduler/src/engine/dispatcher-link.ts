import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import type { ExecutionCommand } from "@howdah/proto/howdah/v1/command";
import {
  DispatcherService,
  type ExecuteAlertRequest,
  type ExecuteAlertResponse,
  type HostStatusCheck,
  type HostsAlertDefinitions,
  type Session,
} from "@howdah/proto/howdah/v1/dispatcher_service";
import type { TaskChange } from "@howdah/proto/howdah/v1/task_change";
import { joinSignals } from "@howdah/rpc/join-signals";
import type { RpcTransport } from "@howdah/rpc/transport";
import type { Logger } from "pino";

/** What a link tells of sessions. All of it are hints: the store is the truth. */
export interface SessionEvents {
  /** The dispatcher's sessions are these. Told at each connection. */
  sessions(dispatcher: string, sessions: readonly Session[]): void;
  /** The connection is lost, could not be made, or was given up: which sessions the dispatcher has is not known. */
  outOfReach(dispatcher: string): void;
  /** A session opened. */
  opened(dispatcher: string, session: Session): void;
  /** A session ended; its agent was last known to be there `silentMs` ago. */
  closed(hostId: bigint, epoch: bigint, silentMs: number): void;
}

/** What a link tells. All of it are hints: the store is the truth. */
export interface DispatcherEvents extends SessionEvents {
  /** Tasks changed. */
  changed(changes: readonly TaskChange[]): void;
  /** Commands could not be handed over, and it is not known whether they were. */
  undelivered(taskIds: readonly bigint[]): void;
  /** Commands were handed back: their session is not there, and they never reached a stream. */
  refused(commands: readonly ReleasedCommand[]): void;
  /** A scheduler with a higher token has spoken with the dispatcher. */
  superseded(): void;
}

/** A command, and the session it was released to. */
export interface ReleasedCommand {
  readonly sessionEpoch: bigint;
  readonly command: ExecutionCommand;
}

/** A session of a host. */
export interface SessionOf {
  readonly hostId: bigint;
  readonly sessionEpoch: bigint;
}

/** An alert that agents are to run now. */
export type AlertExecution = Pick<
  ExecuteAlertRequest,
  "cluster" | "name" | "hostIds" | "timeoutMs"
>;

/** An attempt to be cancelled. */
export interface Cancel {
  readonly hostId: bigint;
  readonly taskId: bigint;
  readonly attempt: number;
  readonly reason: string;
}

const maxCommandsPerCall = 500;
const reconnectMs = 250;
const maxReconnectMs = 2_000;
const sendAttempts = 5;
const relistMs = 1_000;
const checkTimeoutMs = 10_000;

/** The scheduler's connection to one dispatcher: follows what it tells, hands it commands in order. */
export class DispatcherLink {
  private readonly client: Client<typeof DispatcherService>;
  private readonly stopping = new AbortController();
  private readonly watching: Promise<void>;
  private relisting: Promise<void> | undefined;
  /** Resolves once the dispatcher has answered, and so knows this scheduler's token; not if the link is stopped first. */
  readonly answered: Promise<void>;
  private answer: () => void = () => undefined;
  private away = false;
  private inReach = false;
  /** Calls follow each other, so that a host's commands arrive in the order in which they were released. */
  private tail: Promise<void> = Promise.resolve();

  constructor(
    readonly name: string,
    private readonly transport: RpcTransport,
    private readonly schedulerToken: bigint,
    private readonly events: DispatcherEvents,
    private readonly log: Logger,
  ) {
    this.client = createClient(DispatcherService, transport);
    this.answered = new Promise((resolve) => {
      this.answer = resolve;
    });
    this.watching = this.watch();
  }

  /** Whether the dispatcher tells what happens there. */
  get isInReach(): boolean {
    return this.inReach;
  }

  private async watch(): Promise<void> {
    const { signal } = this.stopping;
    let pauseMs = reconnectMs;
    while (!signal.aborted) {
      try {
        const stream = this.client.watchDeliveries(
          { schedulerToken: this.schedulerToken },
          { signal, timeoutMs: 0 },
        );
        for await (const { event } of stream) {
          pauseMs = reconnectMs;
          this.inReach = true;
          this.heard();
          if (event.case === "sessions") this.events.sessions(this.name, event.value.sessions);
          else if (event.case === "opened") this.events.opened(this.name, event.value);
          else if (event.case === "closed") {
            const { hostId, sessionEpoch, silentMs } = event.value;
            this.events.closed(hostId, sessionEpoch, Number(silentMs));
          } else if (event.case === "changes") this.events.changed(event.value.changes);
        }
      } catch (error) {
        if (!signal.aborted) this.note(error);
      } finally {
        this.inReach = false;
        this.events.outOfReach(this.name);
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, maxReconnectMs);
    }
  }

  private heard(): void {
    this.answer();
    if (this.away) this.log.info({ dispatcher: this.name }, "dispatcher: back");
    this.away = false;
  }

  /** Says once that the dispatcher is away, however often it is tried. */
  private note(error: unknown): void {
    const { code, rawMessage } = ConnectError.from(error);
    if (code === Code.FailedPrecondition) this.events.superseded();
    else if (code === Code.Unavailable && this.away) return;
    this.away ||= code === Code.Unavailable;
    this.log.warn({ dispatcher: this.name, code: Code[code] }, `dispatcher: ${rawMessage}`);
  }

  /** Hands commands over, after all that was handed over before. Returns at once. */
  enqueue(commands: readonly ReleasedCommand[]): void {
    for (let from = 0; from < commands.length; from += maxCommandsPerCall) {
      const part = commands.slice(from, from + maxCommandsPerCall);
      this.tail = this.tail.then(() => this.send(part));
    }
  }

  private async send(commands: readonly ReleasedCommand[]): Promise<void> {
    const { signal } = this.stopping;
    try {
      const { refusedTaskIds } = await this.insist(() =>
        this.client.enqueueCommands(
          { schedulerToken: this.schedulerToken, commands: [...commands] },
          { signal },
        ),
      );
      const refused = new Set(refusedTaskIds);
      if (refused.size === 0) return;
      this.events.refused(commands.filter(({ command }) => refused.has(command.taskId)));
      this.relisting ??= this.relist();
    } catch (error) {
      if (signal.aborted) return;
      const middle = Math.ceil(commands.length / 2);
      if (middle < commands.length && ConnectError.from(error).code === Code.ResourceExhausted) {
        // More than a message holds.
        await this.send(commands.slice(0, middle));
        await this.send(commands.slice(middle));
        return;
      }
      this.note(error);
      this.events.undelivered(commands.map(({ command }) => command.taskId));
    }
  }

  /** Repeats a call that the dispatcher may not have got; it knows what it has already. Gives up after a few seconds. */
  private async insist<T>(call: () => Promise<T>): Promise<T> {
    const { signal } = this.stopping;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await call();
      } catch (error) {
        const away = ConnectError.from(error).code === Code.Unavailable;
        if (signal.aborted || !away || attempt === sendAttempts) throw error;
        await sleep(reconnectMs * 2 ** (attempt - 1), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /**
   * After a refusal the sessions are asked for: one that is there all the same must not be taken for closed for ever. What is told may
   * be out of date by then; if so, the next refusal says it.
   */
  private async relist(): Promise<void> {
    const { signal } = this.stopping;
    try {
      await sleep(relistMs, undefined, { signal });
      this.relisting = undefined;
      const { sessions } = await this.insist(() => this.client.listSessions({}, { signal }));
      for (const session of sessions) this.events.opened(this.name, session);
    } catch (error) {
      if (!signal.aborted) this.note(error);
    }
  }

  /** Asks agents to cancel, after all commands handed over before. A cancel that gets lost is told again when its host registers. */
  cancel(cancels: readonly Cancel[]): void {
    for (let from = 0; from < cancels.length; from += maxCommandsPerCall) {
      const part = cancels.slice(from, from + maxCommandsPerCall);
      this.tail = this.tail.then(() => this.sendCancels(part));
    }
  }

  private async sendCancels(cancels: Cancel[]): Promise<void> {
    const { signal } = this.stopping;
    const { schedulerToken } = this;
    try {
      await this.insist(() => this.client.cancelCommands({ schedulerToken, cancels }, { signal }));
    } catch (error) {
      if (!signal.aborted) this.note(error);
    }
  }

  /** Has agents register again, whose sessions these are. One that gets lost is said again when it is seen that they have not. */
  async registerAgain(sessions: readonly SessionOf[], reason: string): Promise<void> {
    const { signal } = this.stopping;
    const { schedulerToken } = this;
    try {
      for (let from = 0; from < sessions.length; from += maxCommandsPerCall) {
        const part = sessions.slice(from, from + maxCommandsPerCall);
        const request = { schedulerToken, sessions: part, reason };
        await this.insist(() => this.client.sendRegistrationCommands(request, { signal }));
      }
    } catch (error) {
      if (!signal.aborted) this.note(error);
    }
  }

  /** Asks agents for status checks, beside the commands: neither waits for the other. False when that could not be done. */
  async checkStatuses(checks: HostStatusCheck[]): Promise<boolean> {
    const { signal } = this.stopping;
    const request = { schedulerToken: this.schedulerToken, checks };
    try {
      await this.client.sendStatusCommands(request, { signal, timeoutMs: checkTimeoutMs });
      return true;
    } catch (error) {
      if (!signal.aborted) this.note(error);
      return false;
    }
  }

  /** Tells agents which alerts to watch, beside the commands. False when that could not be done. */
  async sendAlertDefinitions(definitions: HostsAlertDefinitions[]): Promise<boolean> {
    const { signal } = this.stopping;
    const request = { schedulerToken: this.schedulerToken, definitions };
    try {
      await this.client.sendAlertDefinitions(request, { signal, timeoutMs: checkTimeoutMs });
      return true;
    } catch (error) {
      if (!signal.aborted) this.note(error);
      return false;
    }
  }

  /** Has agents run an alert now; one answer for each host as it comes. */
  async *executeAlert(
    asked: AlertExecution,
    signal: AbortSignal,
  ): AsyncGenerator<ExecuteAlertResponse> {
    const { schedulerToken } = this;
    const { signal: either, release } = joinSignals(signal, this.stopping.signal);
    const timeoutMs = Number(asked.timeoutMs) + checkTimeoutMs;
    try {
      yield* this.client.executeAlert({ ...asked, schedulerToken }, { signal: either, timeoutMs });
    } catch (error) {
      if (!either.aborted) this.note(error);
      throw error;
    } finally {
      release();
    }
  }

  /** Ends the connection. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.watching;
    await this.tail;
    await this.relisting;
    this.transport.close();
  }
}
