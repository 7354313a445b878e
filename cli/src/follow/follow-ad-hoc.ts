import { toJson } from "@bufbuild/protobuf";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import {
  type Request,
  RequestSchema,
  type Task,
  TaskSchema,
} from "@howdah/proto/howdah/v1/request";
import { Status } from "@howdah/proto/howdah/v1/status";
import type { Session } from "../session.js";
import { plural } from "../text/words.js";
import { watchAwayHosts } from "./away-hosts.js";
import { watchFirstWait } from "./first-wait.js";
import { exitCodeOf, left } from "./follow-request.js";
import { hostBlock, type TaskOutput } from "./host-output.js";
import { createLiveScreen } from "./live-screen.js";
import { createParkedNews, wayOutLines } from "./parked.js";
import { isEnded, outcomeLine, progressView } from "./progress-view.js";
import { decodeOutput, readOutput } from "./read-output.js";
import { watchRequest } from "./watch-request.js";

/** Without --all: of a host the last lines, and no more in all, since fleets are large and terminals are not. */
const linesOfHost = 50;
const linesInAll = 500;
const windowBytes = 65_536n;

/** How many hosts' output is read at the same time. */
const readers = 8;
/** How long to wait for output that is still on its way when its task has ended. */
const outputWaitMs = 15_000;

/**
 * Prints what each host wrote as its task ends, then what became of the request. Resolves with the exit code.
 * @param all print everything, however much
 */
export async function followAdHoc(
  session: Session,
  requestId: bigint,
  all: boolean,
): Promise<number> {
  const { io, json } = session;
  const screen = io.isTerminal && !json ? createLiveScreen(io) : undefined;
  const told = new Set<string>();
  const parkedNews = createParkedNews();
  const reading = new Set<Promise<void>>();
  let room = all ? Number.POSITIVE_INFINITY : linesInAll;
  let leftOut = 0;
  let request: Request | undefined;

  const tell = async (task: Task) => {
    if (!json && room <= 0) {
      leftOut += 1;
      return;
    }
    const output = await outputOf(session, task, all || json);
    if (json) {
      io.out(`${JSON.stringify({ task: jsonOf(task), ...output })}\n`);
      return;
    }
    const block = hostBlock(task, output, Math.min(room, all ? room : linesOfHost));
    room -= Math.max(1, block.lines);
    if (screen !== undefined) screen.print(block.out + block.err);
    else {
      io.out(block.out);
      io.err(block.err);
    }
  };

  const over = new AbortController();
  const say = (line: string) => {
    if (line === "") return;
    if (screen === undefined) io.err(`${line}\n`);
    else screen.print(`${line}\n`);
  };
  if (!json) {
    const away = (line: string) => say(line || "no host is away any more");
    void watchAwayHosts(session, requestId, away, over.signal);
    void watchFirstWait(session, () => request, say, over.signal);
  }
  const messages = watchRequest(session, requestId, { includeTasks: true, untilParked: true });
  try {
    for await (const message of messages) {
      request = message.request;
      if (screen && request) {
        screen.draw(progressView(request, [], { rows: 2, nowMs: Date.now() }));
      } else if (request && !json) {
        for (const line of parkedNews(request)) io.err(`${line}\n`);
      }
      for (const task of message.tasks) {
        const key = `${task.taskId}/${task.attempt}`;
        if (!hasEnded(task.status) || told.has(key)) continue;
        told.add(key);
        const work = tell(task).finally(() => reading.delete(work));
        reading.add(work);
        if (reading.size >= readers) await Promise.race(reading);
      }
    }
    await Promise.all(reading);
  } catch (error) {
    // Those that still read end by the same signal; what they say then is of no use.
    await Promise.allSettled(reading);
    if (io.interrupted.aborted) throw left(requestId);
    throw error;
  } finally {
    over.abort();
    screen?.clear();
  }
  if (json && request) io.out(`${JSON.stringify({ request: requestJson(request) })}\n`);
  else if (request) {
    if (leftOut > 0) {
      io.out(`${plural(leftOut, "more host")} not shown: --all, or howdah tasks ${requestId}\n`);
    }
    io.out(`${outcomeLine(request)}\n`);
    for (const line of wayOutLines(request)) io.out(`${line}\n`);
  }
  return exitCodeOf(request);
}

function hasEnded(status: Status): boolean {
  return isEnded(status) || status === Status.HOLDING_FAILED || status === Status.HOLDING_TIMEDOUT;
}

async function outputOf(session: Session, task: Task, all: boolean): Promise<TaskOutput> {
  const read = (stream: OutputStream, length: bigint) =>
    outputText(session, task, stream, length, all);
  const [stdout, stderr] = await Promise.all([
    read(OutputStream.STDOUT, task.stdoutLength),
    read(OutputStream.STDERR, task.stderrLength),
  ]);
  return { stdout, stderr };
}

async function outputText(
  session: Session,
  task: Task,
  stream: OutputStream,
  length: bigint,
  all: boolean,
): Promise<string> {
  const { interrupted } = session.io;
  const tooLong = AbortSignal.timeout(outputWaitMs);
  // Of a task that never ran, or that nobody knows about, no end of output will come.
  const follow = task.status !== Status.UNKNOWN && task.status !== Status.ABORTED;
  const chunks: Uint8Array[] = [];
  try {
    const offset = all || length < windowBytes ? 0n : length - windowBytes;
    const query = { taskId: task.taskId, attempt: task.attempt, stream, offset, follow };
    const signal = AbortSignal.any([interrupted, tooLong]);
    for await (const { data } of readOutput(session, query, signal)) chunks.push(data);
  } catch (error) {
    if (!tooLong.aborted || interrupted.aborted) throw error;
    chunks.push(new TextEncoder().encode("… (more is on its way)\n"));
  }
  return decodeOutput(chunks);
}

function jsonOf(task: Task) {
  return toJson(TaskSchema, task, { alwaysEmitImplicit: true });
}

function requestJson(request: Request) {
  return toJson(RequestSchema, request, { alwaysEmitImplicit: true });
}
