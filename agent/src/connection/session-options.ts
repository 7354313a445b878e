import type { Client, ConnectError } from "@connectrpc/connect";
import type { AgentService } from "@howdah/proto/howdah/v1/agent_service";
import type { Logger } from "pino";
import type { SessionAlerts } from "../alerts/alerts.js";
import type { HostStatus } from "../host/host-status.js";
import type { CommandQueue } from "../run/queue.js";
import type { StatusChecks } from "../status/status-checks.js";
import type { AttemptOutput } from "./attempt-output.js";
import type { RegistrationOptions } from "./registration.js";
import type { Reporter } from "./reporter.js";

/** A session that lives, for those who call the server beside the stream. */
export interface LiveSession {
  readonly client: Client<typeof AgentService>;
  readonly key: { readonly hostId: bigint; readonly sessionEpoch: bigint };
  /** Aborts when the session ends. */
  readonly signal: AbortSignal;
}

/** What a session works with. */
export interface SessionOptions extends RegistrationOptions {
  readonly client: Client<typeof AgentService>;
  readonly output: AttemptOutput;
  readonly queue: CommandQueue;
  readonly reporter: Reporter;
  readonly status: Pick<StatusChecks, "command" | "connected" | "disconnected">;
  readonly alerts: SessionAlerts;
  /** Watches how the host is; undefined: nothing is told of it. */
  readonly hostStatus?: Pick<HostStatus, "connected" | "disconnected">;
  readonly log: Logger;
  /** Told when the session lives, and with undefined when it ends. */
  readonly onLive: (session: LiveSession | undefined) => void;
  /** Told when the journal takes nothing any more: the process is to end. */
  readonly onJournalError: (error: unknown) => void;
  /** The store the agent last served; the session sets it. */
  readonly lastStore: { storeId: string };
  /** How long the server may take to answer the registration. Default 75 s: it gives itself 60 s. */
  readonly registerWithinMs?: number;
}

/** How a session came to its end. */
export interface SessionEnd {
  /** How long it was registered; 0 if it never was. */
  readonly livedMs: number;
  /** When to try again, where the server has said so. */
  readonly reconnectAfterMs?: number;
  /** Try the same server again. */
  readonly sameServer?: boolean;
  /** Why it was refused or lost; undefined when it ended on purpose. */
  readonly error?: ConnectError;
}
