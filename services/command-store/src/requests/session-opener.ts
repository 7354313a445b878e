import type { ConnectError } from "@connectrpc/connect";
import type {
  OpenSessionRequest,
  OpenSessionResponse,
} from "@howdah/proto/howdah/v1/store_sessions";
import { isUnavailable } from "../database/database-errors.js";

/** Opens the sessions of different hosts at once; gives the answer to each, or why it is refused. */
export type OpenTogether = (
  requests: readonly OpenSessionRequest[],
) => Promise<ReadonlyMap<OpenSessionRequest, OpenSessionResponse | ConnectError>>;

interface Waiting {
  readonly request: OpenSessionRequest;
  resolve(response: OpenSessionResponse): void;
  reject(error: unknown): void;
}

const mostTogether = 200;
const mostBytes = 1 << 20;
/** How many of those that are opened one by one are under way; the database's connections are for others too. */
const mostAlone = 5;

/** Makes what opens sessions: what is asked for while one transaction commits is the next. When one fails, each of it is opened alone. */
export function createSessionOpener(
  together: OpenTogether,
): (request: OpenSessionRequest) => Promise<OpenSessionResponse> {
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
    for (let each = alone.shift(); each !== undefined; each = alone.shift()) await open([each]);
    underWay -= 1;
  }

  async function open(batch: readonly Waiting[]): Promise<void> {
    try {
      const answers = await together(batch.map(({ request }) => request));
      for (const { request, resolve, reject } of batch) {
        const answer = answers.get(request) ?? new Error("a registration was not answered");
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      }
    } catch (error) {
      if (isUnavailable(error) || batch.length === 1) {
        for (const { reject } of batch) reject(error);
        return;
      }
      // What one of them cannot have, the others may.
      alone.push(...batch);
      while (underWay < mostAlone && alone.length > 0) void openAlone();
    }
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
