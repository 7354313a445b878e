import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { AgentService } from "@howdah/proto/howdah/v1/agent_service";
import type { Logger } from "pino";
import type { AgentFolders } from "../folders.js";
import type { CommandQueue } from "../run/queue.js";
import type { StatusChecks } from "../status/status-checks.js";
import { type RegistrationOptions, registration } from "./registration.js";
import type { Reporter } from "./reporter.js";
import { SessionTalk } from "./session-talk.js";

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
  readonly folders: AgentFolders;
  readonly queue: CommandQueue;
  readonly reporter: Reporter;
  readonly status: StatusChecks;
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

/** Runs one session from registration to its end. Never rejects. `stop` ends it with a goodbye, which takes a second at most. */
export async function runSession(options: SessionOptions, stop: AbortSignal): Promise<SessionEnd> {
  const { client, registerWithinMs = 75_000 } = options;
  const ending = new AbortController();
  const { messages, endedThen } = registration(options, options.lastStore.storeId);
  const talk = new SessionTalk(options, endedThen, ending);
  const goodbye = () => talk.leave("the agent stops", {});
  const unanswered = setTimeout(() => {
    if (talk.registeredAt !== undefined) return;
    const what = `no answer to the registration within ${registerWithinMs} ms`;
    ending.abort(new ConnectError(what, Code.DeadlineExceeded));
  }, registerWithinMs);
  stop.addEventListener("abort", goodbye, { once: true });
  let error: ConnectError | undefined;
  try {
    for (const message of messages) talk.outbox.put(message);
    const stream = client.connect(talk.outbox, { signal: ending.signal, timeoutMs: 0 });
    for await (const message of stream) await talk.take(message);
    error = new ConnectError("the server ended the stream", Code.Unavailable);
  } catch (thrown) {
    error = ConnectError.from(ending.signal.aborted ? ending.signal.reason : thrown);
  } finally {
    clearTimeout(unanswered);
    stop.removeEventListener("abort", goodbye);
    ending.abort();
    talk.close();
  }
  const { leaving, registeredAt } = talk;
  return {
    livedMs: registeredAt === undefined ? 0 : performance.now() - registeredAt,
    ...(leaving === undefined ? { error } : leaving),
  };
}
