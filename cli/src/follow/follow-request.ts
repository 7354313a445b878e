import type { Request, Stage } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import {
  type WatchRequestResponse,
  WatchRequestResponseSchema,
} from "@howdah/proto/howdah/v1/store_request_reading";
import { CliError } from "../cli-error.js";
import { ExitCode } from "../exit-code.js";
import type { Session } from "../session.js";
import { jsonLine } from "../text/json.js";
import { watchAwayHosts } from "./away-hosts.js";
import { failedTasksReport } from "./failed-tasks.js";
import { watchFirstWait } from "./first-wait.js";
import { createLiveScreen } from "./live-screen.js";
import { wayOutLines } from "./parked.js";
import { createProgressLines, outcomeLine, progressView } from "./progress-view.js";
import { type WatchOptions, watchRequest } from "./watch-request.js";

/** How often a terminal's clock is redrawn while nothing happens. */
const tickMs = 500;

/**
 * Shows a request until it is over: drawn anew on a terminal, in lines elsewhere, as JSON lines for programs. Tells what
 * failed at the end. Resolves with the exit code. Throws CliError when the person leaves: the request goes on.
 * @param options where to begin and when to end; what changed of the tasks is never asked for
 */
export async function followRequest(
  session: Session,
  requestId: bigint,
  options: Omit<WatchOptions, "includeTasks"> = {},
): Promise<number> {
  const { io, json } = session;
  const messages = watchRequest(session, requestId, options);
  const over = new AbortController();
  const waits: WatchWaits = ({ latest, away, wait }) => {
    void watchAwayHosts(session, requestId, away, over.signal);
    void watchFirstWait(session, latest, wait, over.signal);
  };
  let request: Request | undefined;
  try {
    if (json) request = await followAsJson(session, messages);
    else if (io.isTerminal) request = await followOnTerminal(session, messages, waits);
    else request = await followInLines(session, messages, waits);
  } catch (error) {
    if (io.interrupted.aborted) throw left(requestId);
    throw error;
  } finally {
    over.abort();
  }
  if (!json && request !== undefined) {
    io.out(await failedTasksReport(session, requestId));
    io.out(`${outcomeLine(request)}\n`);
    for (const line of wayOutLines(request)) io.out(`${line}\n`);
  }
  return exitCodeOf(request);
}

/** What a person is told who leaves while a request goes on. */
export function left(requestId: bigint): CliError {
  return new CliError(
    `request ${requestId} goes on; howdah request ${requestId} --watch follows it, howdah cancel ${requestId} stops it`,
    ExitCode.interrupted,
  );
}

/** 0 when all went well, 1 otherwise. */
export function exitCodeOf(request: Request | undefined): number {
  return request?.status === Status.COMPLETED ? ExitCode.ok : ExitCode.failed;
}

type Messages = AsyncIterable<WatchRequestResponse>;
/** Begins to tell what is waited for: hosts that are away, and the rest. */
type WatchWaits = (tell: {
  latest: () => Request | undefined;
  away: (line: string) => void;
  wait: (line: string) => void;
}) => void;

async function followAsJson({ io }: Session, messages: Messages): Promise<Request | undefined> {
  let last: Request | undefined;
  for await (const message of messages) {
    io.out(jsonLine(WatchRequestResponseSchema, message));
    last = message.request;
  }
  return last;
}

async function followInLines(
  { io }: Session,
  messages: Messages,
  waits: WatchWaits,
): Promise<Request | undefined> {
  const news = createProgressLines();
  let last: Request | undefined;
  waits({
    latest: () => last,
    away: (line) => io.out(`${line || "no host is away any more"}\n`),
    wait: (line) => io.out(line && `${line}\n`),
  });
  for await (const { request, stages } of messages) {
    if (request === undefined) continue;
    for (const line of news(request, stages)) io.out(`${line}\n`);
    last = request;
  }
  return last;
}

async function followOnTerminal(
  { io }: Session,
  messages: Messages,
  waits: WatchWaits,
): Promise<Request | undefined> {
  const screen = createLiveScreen(io);
  let awayLine = "";
  let waitLine = "";
  let seen: { request: Request; stages: Stage[] } | undefined;
  const draw = () => {
    if (seen === undefined) return;
    const view = { rows: io.rows(), nowMs: Date.now(), awayLine, waitLine };
    screen.draw(progressView(seen.request, seen.stages, view));
  };
  waits({
    latest: () => seen?.request,
    away(line) {
      awayLine = line;
      draw();
    },
    wait(line) {
      waitLine = line;
      draw();
    },
  });
  const clock = setInterval(draw, tickMs);
  try {
    for await (const { request, stages } of messages) {
      if (request === undefined) continue;
      seen = { request, stages };
      draw();
    }
  } finally {
    clearInterval(clock);
  }
  return seen?.request;
}
