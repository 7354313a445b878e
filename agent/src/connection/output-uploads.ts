import { type FSWatcher, watch } from "node:fs";
import { open } from "node:fs/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type CommandReportSchema,
  type ReportAcked,
  type UploadOutputRequest,
  UploadOutputRequestSchema,
  type UploadOutputResponse,
} from "@howdah/proto/howdah/v1/agent_service";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { ReportOutcome } from "@howdah/proto/howdah/v1/command_store_service";
import type { Logger } from "pino";
import type { AgentFolders } from "../folders.js";
import type { JournalEntry } from "../journal/entry.js";
import type { Journal } from "../journal/journal.js";
import { dataFiles } from "../run/data-files.js";
import { readStructuredOutput } from "../run/structured-output.js";
import { keyText } from "../task-key.js";
import { headLength, outputPieces, type Piece, pieceAt, piecesLength } from "./output-window.js";
import { readSmallOutput } from "./small-output.js";

/** Where uploads go while a session lives. */
export interface UploadSink {
  readonly storeId: string;
  readonly hostId: bigint;
  readonly sessionEpoch: bigint;
  /** How many bytes of a stream are stored at most. */
  readonly cap: number;
  send(request: UploadOutputRequest): void;
}

interface Upload {
  readonly entry: JournalEntry;
  readonly stream: OutputStream;
  /** How much the server has. */
  stored: number;
  /** A chunk is under way: its answer says how to go on. */
  busy: boolean;
  /** Look again when the answer is there: more was written meanwhile. */
  again: boolean;
}

interface Attempt {
  entry: JournalEntry;
  readonly uploads: Upload[];
  watchers: FSWatcher[];
  timer: NodeJS.Timeout | undefined;
  /** The terminal report is committed. */
  reported: boolean;
}

/** A command that ends sooner has its output travel with its report. */
const liveAfterMs = 200;
/** What is written in so short a time goes in one chunk. */
const gatherMs = 50;
const chunkBytes = 256 * 1024;
/** Output that travels with a report, in all. */
const withReportBytes = 16 * 1024;
const streams = [OutputStream.STDOUT, OutputStream.STDERR, OutputStream.STRUCTURED] as const;

/**
 * Uploads what commands write, live while they run, and to the end once they have ended. Every chunk is compare-and-set by its offset,
 * so that whatever is repeated or lost, what is stored has no gap and no repeat. An attempt is acknowledged in the journal once its
 * result and all of its output are stored.
 */
export class OutputUploads {
  private sink: UploadSink | undefined;
  private readonly attempts = new Map<string, Attempt>();

  constructor(
    private readonly journal: Journal,
    private readonly folders: AgentFolders,
    private readonly log: Logger,
  ) {}

  /** A session lives: uploads begin anew, from what the server says it has. */
  connected(sink: UploadSink): void {
    this.sink = sink;
    for (const attempt of this.attempts.values()) this.forget(attempt);
    this.attempts.clear();
    for (const entry of this.journal.entries()) {
      if (entry.key.storeId !== sink.storeId || entry.acknowledgedAtMs !== null) continue;
      if (entry.state === "RUNNING") this.goLive(this.attempt(entry));
    }
  }

  /** The session is over. */
  disconnected(): void {
    this.sink = undefined;
    for (const attempt of this.attempts.values()) this.forget(attempt);
    this.attempts.clear();
  }

  private attempt(entry: JournalEntry): Attempt {
    const text = keyText(entry.key);
    let attempt = this.attempts.get(text);
    if (attempt === undefined) {
      const uploads = streams.map((stream) => ({
        entry,
        stream,
        stored: 0,
        busy: false,
        again: false,
      }));
      attempt = { entry, uploads, watchers: [], timer: undefined, reported: false };
      this.attempts.set(text, attempt);
    }
    attempt.entry = this.journal.entry(entry.key) ?? entry;
    return attempt;
  }

  /** A command has started: if it takes longer, its output is uploaded while it runs. */
  started(entry: JournalEntry): void {
    if (this.sink === undefined) return;
    const attempt = this.attempt(entry);
    attempt.timer = setTimeout(() => this.goLive(attempt), liveAfterMs);
  }

  private goLive(attempt: Attempt): void {
    attempt.timer = undefined;
    const files = dataFiles(this.folders, attempt.entry.key.taskId);
    for (const [stream, path] of [
      [OutputStream.STDOUT, files.stdout],
      [OutputStream.STDERR, files.stderr],
    ] as const) {
      const upload = attempt.uploads.find((each) => each.stream === stream);
      if (upload === undefined) continue;
      try {
        const watcher = watch(path, () => this.soon(attempt, upload));
        watcher.on("error", () => undefined);
        attempt.watchers.push(watcher);
      } catch (error) {
        // Not there yet, or no watches left: then its output comes when it ends.
        this.log.debug({ err: error }, "output is not followed");
      }
      this.soon(attempt, upload);
    }
  }

  private soon(attempt: Attempt, upload: Upload): void {
    if (upload.again) return;
    upload.again = true;
    setTimeout(() => {
      upload.again = false;
      this.next(attempt, upload);
    }, gatherMs);
  }

  /** A result is in the journal. */
  ended(entry: JournalEntry): void {
    const attempt = this.attempt(entry);
    clearTimeout(attempt.timer);
    for (const watcher of attempt.watchers) watcher.close();
    attempt.watchers = [];
  }

  private forget(attempt: Attempt): void {
    clearTimeout(attempt.timer);
    for (const watcher of attempt.watchers) watcher.close();
  }

  /** What a terminal report says of the output: its lengths, and the output itself when it is small and not begun. */
  withReport(
    entry: JournalEntry,
  ): Pick<MessageInitShape<typeof CommandReportSchema>, "lengths" | "output"> {
    const { result } = entry;
    const cap = this.sink?.cap ?? 0;
    if (result === null) return {};
    const attempt = this.attempt(entry);
    const lengths = streams.map((stream) => ({
      stream,
      length: BigInt(piecesLength(this.pieces(entry, stream, cap))),
      written: BigInt(writtenBytes(entry, stream)),
    }));
    const total = lengths.reduce((sum, { length }) => sum + Number(length), 0);
    const begun = attempt.uploads.some((upload) => upload.busy || upload.stored > 0);
    if (begun || total > withReportBytes) return { lengths };
    const files = dataFiles(this.folders, entry.key.taskId, entry.fileSuffix);
    const output = lengths
      .filter(({ length }) => length > 0n)
      .map(({ stream, length }) => ({
        stream,
        offset: 0n,
        data: readSmallOutput(files, stream, Number(length)),
      }));
    // A file that is gone or shorter than the journal says goes the long way, which copes with it.
    const whole = output.every(({ data }, at) => {
      const { length = 0n } = lengths.filter((each) => each.length > 0n)[at] ?? {};
      return BigInt(data.length) === length;
    });
    return whole ? { lengths, output } : { lengths };
  }

  private pieces(entry: JournalEntry, stream: OutputStream, cap: number): readonly Piece[] {
    return outputPieces(writtenBytes(entry, stream), cap);
  }

  /** The terminal report is committed: what is left of the output follows, then the attempt is done with. */
  async reportStored(entry: JournalEntry, ack: ReportAcked): Promise<void> {
    if (entry.acknowledgedAtMs !== null) return;
    const attempt = this.attempt(entry);
    attempt.reported = true;
    for (const { stream, length } of ack.stored) {
      const upload = attempt.uploads.find((each) => each.stream === stream);
      if (upload !== undefined) upload.stored = Math.max(upload.stored, Number(length));
    }
    // A task that the server will not hear of has no output to store either.
    if (ack.outcome === ReportOutcome.REFUSED) await this.done(attempt);
    else await this.goOn(attempt);
  }

  /** The server has the result, and may lack output: go on from what it says it has. */
  async finish(entry: JournalEntry): Promise<void> {
    const attempt = this.attempt(entry);
    attempt.reported = true;
    await this.goOn(attempt);
  }

  private async goOn(attempt: Attempt): Promise<void> {
    if (this.isComplete(attempt)) return this.done(attempt);
    for (const upload of attempt.uploads) this.next(attempt, upload);
  }

  private isComplete({ entry, uploads, reported }: Attempt): boolean {
    const { sink } = this;
    if (!reported || entry.result === null || sink === undefined) return false;
    return uploads.every(
      ({ stream, stored }) => stored >= piecesLength(this.pieces(entry, stream, sink.cap)),
    );
  }

  private async done(attempt: Attempt): Promise<void> {
    this.forget(attempt);
    this.attempts.delete(keyText(attempt.entry.key));
    await this.journal.acknowledged(attempt.entry.key);
  }

  /** Sends the next chunk of a stream, unless one is under way. */
  private next(attempt: Attempt, upload: Upload): void {
    const { sink } = this;
    if (sink === undefined || upload.busy) return;
    upload.busy = true;
    this.read(attempt, upload, sink)
      .then((data) => {
        if (data === undefined || data.length === 0 || this.sink !== sink) {
          upload.busy = false;
          return;
        }
        const { taskId, attempt: number } = attempt.entry.key;
        sink.send(
          create(UploadOutputRequestSchema, {
            session: { hostId: sink.hostId, sessionEpoch: sink.sessionEpoch },
            taskId: BigInt(taskId),
            attempt: number,
            chunk: { stream: upload.stream, offset: BigInt(upload.stored), data },
          }),
        );
      })
      .catch((error: unknown) => {
        upload.busy = false;
        this.log.warn({ err: error, task: keyText(attempt.entry.key) }, "output cannot be read");
      });
  }

  private async read(
    attempt: Attempt,
    upload: Upload,
    sink: UploadSink,
  ): Promise<Buffer | undefined> {
    const entry = this.journal.entry(attempt.entry.key) ?? attempt.entry;
    const { stream, stored } = upload;
    const files = dataFiles(this.folders, entry.key.taskId, entry.fileSuffix);
    if (stream === OutputStream.STRUCTURED) {
      if (entry.result === null) return undefined;
      return Buffer.from(readStructuredOutput(files.structuredOut)).subarray(
        stored,
        entry.result.structuredOutBytes,
      );
    }
    const path = stream === OutputStream.STDOUT ? files.stdout : files.stderr;
    // While it runs nobody knows how much it will be: only what is kept in any case is uploaded.
    const piece: Piece | undefined =
      entry.result === null
        ? { kind: "file", from: stored, to: Math.min(stored + chunkBytes, headLength(sink.cap)) }
        : pieceAt(this.pieces(entry, stream, sink.cap), stored, chunkBytes);
    if (piece === undefined) return undefined;
    if (piece.kind === "mark") return piece.bytes;
    if (piece.to <= piece.from) return undefined;
    const data = await readRange(path, piece.from, piece.to);
    const lacking = piece.to - piece.from - data.length;
    // A file that lost its end after the fact (somebody cut it) is filled up, so that the upload can end.
    return entry.result !== null && lacking > 0
      ? Buffer.concat([data, Buffer.alloc(lacking)])
      : data;
  }

  /** The server's answer to a chunk. */
  async answered(response: UploadOutputResponse, storeId: string): Promise<void> {
    const key = { storeId, taskId: String(response.taskId), attempt: response.attempt };
    const attempt = this.attempts.get(keyText(key));
    const upload = attempt?.uploads.find((each) => each.stream === response.stream);
    if (attempt === undefined || upload === undefined) return;
    upload.busy = false;
    if (response.refused !== "") {
      this.log.warn({ task: keyText(key), reason: response.refused }, "the server refused output");
      if (attempt.reported) await this.done(attempt);
      return;
    }
    upload.stored = Number(response.length);
    if (this.isComplete(attempt)) await this.done(attempt);
    else this.next(attempt, upload);
  }
}

function writtenBytes({ result }: JournalEntry, stream: OutputStream): number {
  if (result === null) return 0;
  if (stream === OutputStream.STDOUT) return result.stdoutBytes;
  if (stream === OutputStream.STDERR) return result.stderrBytes;
  return result.structuredOutBytes > noStructuredOutput.length ? result.structuredOutBytes : 0;
}

/** What the file is read as when a command left none: not worth storing. */
const noStructuredOutput = "{}";

/** The bytes of a file from `from` up to `to`; fewer when it has fewer, none when it is gone. */
async function readRange(path: string, from: number, to: number): Promise<Buffer> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return Buffer.alloc(0);
  try {
    const buffer = Buffer.alloc(to - from);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
