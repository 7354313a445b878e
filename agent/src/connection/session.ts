import { Code, ConnectError } from "@connectrpc/connect";
import { registration } from "./registration.js";
import type { SessionEnd, SessionOptions } from "./session-options.js";
import { SessionTalk } from "./session-talk.js";

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
