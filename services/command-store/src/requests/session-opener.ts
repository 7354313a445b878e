import type { OpenSessionRequest } from "@howdah/proto/howdah/v1/store_sessions";
import { isUnavailable } from "../database/database-errors.js";
import type { OpenedSession } from "./open-session.js";

/** How to open sessions. */
export interface SessionOpenerParts {
  /** Opens one, whatever stands in its way. */
  one(request: OpenSessionRequest): Promise<OpenedSession>;
  /** Opens many of different hosts at once; leaves out those that are to be opened one by one. */
  many(requests: readonly OpenSessionRequest[]): Promise<Map<OpenSessionRequest, OpenedSession>>;
}

interface Waiting {
  readonly request: OpenSessionRequest;
  resolve(opened: OpenedSession): void;
  reject(error: unknown): void;
}

const mostTogether = 200;
const mostBytes = 1 << 20;
/** How many of those that are opened one by one are under way; the database's connections are for others too. */
const mostAlone = 5;

/**
 * Makes what opens sessions: what is asked for while one transaction commits is the next. One that is asked for alone is opened alone; so
 * are those that cannot be opened together.
 */
export function createSessionOpener({
  one,
  many,
}: SessionOpenerParts): (request: OpenSessionRequest) => Promise<OpenedSession> {
  let waiting: Waiting[] = [];
  let isPumping = false;
  const alone: Waiting[] = [];
  let underWay = 0;

  /** The next ones: each of another host, so much as a statement may carry. */
  function take(): Waiting[] {
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    const names = new Set<string>();
    let bytes = 0;
    for (const each of waiting) {
      const { hostName, factsJson } = each.request;
      const fits = batch.length < mostTogether && (bytes < mostBytes || batch.length === 0);
      if (!fits || names.has(hostName)) {
        left.push(each);
        continue;
      }
      names.add(hostName);
      bytes += Buffer.byteLength(factsJson);
      batch.push(each);
    }
    waiting = left;
    return batch;
  }

  async function openAlone(): Promise<void> {
    underWay += 1;
    try {
      for (let each = alone.shift(); each !== undefined; each = alone.shift()) {
        await one(each.request).then(each.resolve, each.reject);
      }
    } finally {
      underWay -= 1;
    }
  }

  function leaveAlone(batch: readonly Waiting[]): void {
    alone.push(...batch);
    for (let free = Math.min(mostAlone - underWay, alone.length); free > 0; free -= 1) {
      void openAlone();
    }
  }

  async function open(batch: readonly Waiting[]): Promise<void> {
    if (batch.length === 1) {
      leaveAlone(batch);
      return;
    }
    let opened: Map<OpenSessionRequest, OpenedSession>;
    try {
      opened = await many(batch.map(({ request }) => request));
    } catch (error) {
      // What one of them cannot have, the others may.
      if (isUnavailable(error)) for (const each of batch) each.reject(error);
      else leaveAlone(batch);
      return;
    }
    for (const each of batch) {
      const answer = opened.get(each.request);
      if (answer !== undefined) each.resolve(answer);
    }
    leaveAlone(batch.filter(({ request }) => !opened.has(request)));
  }

  async function pump(): Promise<void> {
    isPumping = true;
    // What comes in this turn of the event loop comes along.
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.length > 0) await open(take());
    isPumping = false;
  }

  return (request) =>
    new Promise((resolve, reject) => {
      waiting.push({ request, resolve, reject });
      if (!isPumping) void pump();
    });
}
