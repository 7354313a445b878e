import { WatchRequestResponseSchema } from "@howdah/proto/howdah/v1/command_store_service";
import type { Request, Stage } from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import { CliError } from "../cli-error.js";
import { ExitCode } from "../exit-code.js";
import type { Session } from "../session.js";
import { jsonLine } from "../text/json.js";
import { failedTasksReport } from "./failed-tasks.js";
import { createLiveScreen } from "./live-screen.js";
import { createProgressLines, outcomeLine, progressView } from "./progress-view.js";
import { watchRequest } from "./watch-request.js";

/** How often a terminal's clock is redrawn while nothing happens. */
const tickMs = 500;

/**
 * Shows a request until it is over: drawn anew on a terminal, in lines elsewhere, as JSON lines for programs. Tells what
 * failed at the end. Resolves with the exit code. Throws CliError when the person leaves: the request goes on.
 */
export async function followRequest(session: Session, requestId: bigint): Promise<number> {
  const { io, json } = session;
  let request: Request | undefined;
  try {
    if (json) request = await followAsJson(session, requestId);
    else if (io.isTerminal) request = await followOnTerminal(session, requestId);
    else request = await followInLines(session, requestId);
  } catch (error) {
    if (io.interrupted.aborted) throw left(requestId);
    throw error;
  }
  if (!json && request !== undefined) {
    io.out(await failedTasksReport(session, requestId));
    io.out(`${outcomeLine(request)}\n`);
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

async function followAsJson(session: Session, requestId: bigint): Promise<Request | undefined> {
  let last: Request | undefined;
  for await (const message of watchRequest(session, requestId)) {
    session.io.out(jsonLine(WatchRequestResponseSchema, message));
    last = message.request;
  }
  return last;
}

async function followInLines(session: Session, requestId: bigint): Promise<Request | undefined> {
  const news = createProgressLines();
  let last: Request | undefined;
  for await (const { request, stages } of watchRequest(session, requestId)) {
    if (request === undefined) continue;
    for (const line of news(request, stages)) session.io.out(`${line}\n`);
    last = request;
  }
  return last;
}

async function followOnTerminal(session: Session, requestId: bigint): Promise<Request | undefined> {
  const { io } = session;
  const screen = createLiveScreen(io);
  let seen: { request: Request; stages: Stage[] } | undefined;
  const draw = () => {
    if (seen === undefined) return;
    const view = { rows: io.rows(), nowMs: Date.now() };
    screen.draw(progressView(seen.request, seen.stages, view));
  };
  const clock = setInterval(draw, tickMs);
  try {
    for await (const { request, stages } of watchRequest(session, requestId)) {
      if (request === undefined) continue;
      seen = { request, stages };
      draw();
    }
  } finally {
    clearInterval(clock);
  }
  return seen?.request;
}
