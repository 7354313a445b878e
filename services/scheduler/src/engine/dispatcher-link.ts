import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import type { ExecutionCommand } from "@howdah/proto/howdah/v1/command";
import type { TaskChange } from "@howdah/proto/howdah/v1/command_store_service";
import { DispatcherService, type Session } from "@howdah/proto/howdah/v1/dispatcher_service";
import type { RpcTransport } from "@howdah/rpc/transport";
import type { Logger } from "pino";

/** What a link tells. All of it are hints: the store is the truth. */
export interface DispatcherEvents {
  /** The dispatcher's sessions are these. Told at each connection, and with none when the connection is lost. */
  sessions(dispatcher: string, sessions: readonly Session[]): void;
  /** A session opened. */
  opened(dispatcher: string, session: Session): void;
  /** A session ended. */
  closed(hostId: bigint, epoch: bigint): void;
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

/** The scheduler's connection to one dispatcher: follows what it tells, hands it commands in order. */
export class DispatcherLink {
  private readonly client: Client<typeof DispatcherService>;
  private readonly stopping = new AbortController();
  private readonly watching: Promise<void>;
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
    this.watching = this.watch();
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
          if (event.case === "sessions") this.events.sessions(this.name, event.value.sessions);
          else if (event.case === "opened") this.events.opened(this.name, event.value);
          else if (event.case === "closed") {
            this.events.closed(event.value.hostId, event.value.sessionEpoch);
          } else if (event.case === "changes") this.events.changed(event.value.changes);
        }
      } catch (error) {
        if (signal.aborted) break;
        this.note(error);
      }
      this.events.sessions(this.name, []);
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, maxReconnectMs);
    }
  }

  private note(error: unknown): void {
    const { code, rawMessage } = ConnectError.from(error);
    if (code === Code.FailedPrecondition) this.events.superseded();
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
    try {
      const { refusedTaskIds } = await this.client.enqueueCommands(
        { schedulerToken: this.schedulerToken, commands: [...commands] },
        { signal: this.stopping.signal },
      );
      const refused = new Set(refusedTaskIds);
      if (refused.size === 0) return;
      this.events.refused(commands.filter(({ command }) => refused.has(command.taskId)));
    } catch (error) {
      if (this.stopping.signal.aborted) return;
      this.note(error);
      this.events.undelivered(commands.map(({ command }) => command.taskId));
    }
  }

  /** Asks agents to cancel, after all commands handed over before. A cancel that gets lost is told again when its host registers. */
  cancel(cancels: readonly Cancel[]): void {
    this.tail = this.tail.then(async () => {
      try {
        await this.client.cancelCommands(
          { schedulerToken: this.schedulerToken, cancels: [...cancels] },
          { signal: this.stopping.signal },
        );
      } catch (error) {
        if (!this.stopping.signal.aborted) this.note(error);
      }
    });
  }

  /** Ends the connection. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.watching;
    await this.tail;
    this.transport.close();
  }
}
