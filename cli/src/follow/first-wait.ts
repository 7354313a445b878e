import { setTimeout as delay } from "node:timers/promises";
import type { Request } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { Session } from "../session.js";
import { parkedOf } from "./parked.js";

/** How long a request is followed before it is asked what it waits for, and how often after that. */
export interface FirstWaitTimes {
  readonly firstMs: number;
  readonly everyMs: number;
}

const usual: FirstWaitTimes = { firstMs: 2_000, everyMs: 10_000 };

/**
 * What tells nothing new: of hosts that are away and of what waits for a person there are lines of their own, and what was sent
 * to an agent a moment ago starts in a moment.
 */
const toldElsewhere: ReadonlySet<string> = new Set(["AGENT", "HOLD", "HOST_LOST", "PAUSE"]);

/**
 * What a request waits for of which nothing runs, by the first of its tasks that is due: "task 7 on host1 waits: request 3 comes first on
 * its host and is not done there". Empty while something of it runs, when it is over, when it waits for a person or for hosts that are
 * away. Two small calls; throws as they do.
 */
export async function firstWaitLine(
  { store, requests }: Session,
  request: Request,
  signal?: AbortSignal,
): Promise<string> {
  const { requestId, counts } = request;
  const waiting = (counts?.pending ?? 0) + (counts?.queued ?? 0);
  const running = counts?.inProgress ?? 0;
  if (waiting === 0 || running > 0 || parkedOf(request).length > 0) return "";
  const options = { ...(signal && { signal }) };
  const statuses = [Status.PENDING, Status.QUEUED];
  const { tasks } = await store.listTasks({ requestId, statuses, pageSize: 1 }, options);
  const [task] = tasks;
  if (task === undefined) return "";
  const { waits } = await requests.explainTask({ taskId: task.taskId }, options);
  const texts = waits.filter(({ kind }) => !toldElsewhere.has(kind)).map(({ text }) => text);
  return texts.length === 0
    ? ""
    : `task ${task.taskId} on ${task.hostName} waits: ${texts.join("; ")}`;
}

/**
 * Tells, while a request is followed, what it waits for as long as nothing of it runs, in a line; an empty line once it waits no longer.
 * @param latest the request as it is now, as far as who follows it knows
 * @param signal ends it
 */
export async function watchFirstWait(
  session: Session,
  latest: () => Request | undefined,
  told: (line: string) => void,
  signal: AbortSignal,
  { firstMs, everyMs }: FirstWaitTimes = usual,
): Promise<void> {
  let before = "";
  for (let pauseMs = firstMs; ; pauseMs = everyMs) {
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const request = latest();
    if (request === undefined) continue;
    // What is followed tells of its own when the server is away.
    const line = await firstWaitLine(session, request, signal).catch(() => undefined);
    if (line === undefined || line === before || signal.aborted) continue;
    before = line;
    told(line);
  }
}
