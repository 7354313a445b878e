import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CommandReportSchema, ReportAcked } from "@howdah/proto/howdah/v1/agent_service";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import type { Logger } from "pino";
import type { JournalEntry } from "../journal/entry.js";
import type { Journal } from "../journal/journal.js";
import { keyText, type TaskKey } from "../task-key.js";
import type { AttemptOutput } from "./attempt-output.js";
import { type AttemptStream, outputStreams, storedPieces, writtenBytes } from "./output-source.js";
import { piecesLength } from "./output-window.js";
import { reconnectPauseMs } from "./server-addresses.js";
import { uploadRequest } from "./upload-request.js";
import { createUploadSlots } from "./upload-slots.js";
import type { UploadStream } from "./upload-stream.js";

/** What the uploads of a session need. */
export interface OutputUploadsOptions {
  readonly journal: Journal;
  readonly output: AttemptOutput;
  readonly log: Logger;
  readonly session: {
    readonly storeId: string;
    readonly hostId: bigint;
    readonly sessionEpoch: bigint;
    /** How many bytes of a stream are stored at most. */
    readonly outputCap: number;
  };
  readonly stream: UploadStream;
  /** Ends the uploads. */
  readonly signal: AbortSignal;
  /** Told when the journal cannot take an acknowledgement. */
  readonly onJournalError: (error: unknown) => void;
}

/**
 * What a session uploads of what commands write, live while they run, and to the end once they have ended. Every piece is
 * compare-and-set by its offset, one at a time for a stream, so that whatever is repeated or lost, what is stored has no gap and no
 * repeat. An attempt is acknowledged in the journal once its result and all of its output are stored.
 */
export interface OutputUploads {
  /** A command runs: if it takes longer, its output is uploaded meanwhile. Also for one that a former session knew. */
  follow(entry: JournalEntry, startedNow: boolean): void;
  /** A result is in the journal. */
  ended(entry: JournalEntry): void;
  /** What a terminal report says of the output: its lengths, and the output itself when it is small and not begun. */
  withReport(
    entry: JournalEntry,
  ): Required<
    Pick<MessageInitShape<typeof CommandReportSchema>, "lengths" | "restEmpty" | "output">
  >;
  /** The terminal report is committed: what is left of the output follows, then the attempt is done with. */
  reportStored(entry: JournalEntry, stored: ReportAcked["stored"]): void;
  /** The server wants nothing more of an attempt that has ended. */
  forget(key: TaskKey): void;
}

interface Upload {
  readonly stream: AttemptStream;
  /** How much the server has, as far as we know. */
  stored: number;
  /** False until the server has said so in this session. */
  known: boolean;
  /** Something was sent in this session. */
  begun: boolean;
  going: boolean;
  /** There may be more since it was last looked at. */
  again: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** Made field by field, not from a spread and more: that takes ten times as long, and this is three times per command. */
function newUpload(stream: AttemptStream, known: boolean): Upload {
  return {
    stream,
    stored: 0,
    known,
    begun: false,
    going: false,
    again: false,
    timer: undefined,
  };
}

interface Attempt {
  readonly key: TaskKey;
  readonly entry: JournalEntry;
  readonly uploads: readonly Upload[];
  /** Ends following its files. */
  unfollow: () => void;
  timer: NodeJS.Timeout | undefined;
  /** The terminal report is committed. */
  reported: boolean;
}

/** A command that ends sooner has its output travel with its report. */
const liveAfterMs = 100;
/** What is written in so short a time goes in one piece. */
const gatherMs = 50;
const pieceBytes = 256 * 1024;
/** Pieces read and under way at a time, for all attempts together. */
const slotCount = 4;
/** Output that travels with a report, in all. */
const withReportBytes = 16 * 1024;

/** Makes the uploads of a session. */
export function createOutputUploads(options: OutputUploadsOptions): OutputUploads {
  const { journal, output, log, session, stream, signal } = options;
  const cap = session.outputCap;
  const attempts = new Map<string, Attempt>();
  const slots = createUploadSlots(slotCount);
  signal.addEventListener("abort", () => {
    slots.close();
    for (const attempt of attempts.values()) stopFollowing(attempt);
    attempts.clear();
  });

  function attemptOf(entry: JournalEntry, known: boolean): Attempt {
    const text = keyText(entry.key);
    let attempt = attempts.get(text);
    if (attempt === undefined) {
      attempt = {
        key: entry.key,
        entry,
        uploads: outputStreams.map((stream) => newUpload(stream, known)),
        unfollow: () => undefined,
        timer: undefined,
        reported: false,
      };
      attempts.set(text, attempt);
    }
    return attempt;
  }

  const current = ({ key, entry }: Attempt) => journal.entry(key) ?? entry;

  function goLive(attempt: Attempt): void {
    attempt.timer = undefined;
    attempt.unfollow = output.follow(attempt.key, (stream) => {
      const upload = attempt.uploads.find((each) => each.stream === stream);
      if (upload !== undefined) soon(attempt, upload);
    });
    for (const upload of attempt.uploads) {
      // Structured output is read when the command has ended.
      if (upload.stream !== OutputStream.STRUCTURED) wake(attempt, upload);
    }
  }

  function stopFollowing(attempt: Attempt): void {
    clearTimeout(attempt.timer);
    attempt.unfollow();
    for (const upload of attempt.uploads) {
      clearTimeout(upload.timer);
      upload.timer = undefined;
    }
  }

  function soon(attempt: Attempt, upload: Upload): void {
    upload.timer ??= setTimeout(() => {
      upload.timer = undefined;
      wake(attempt, upload);
    }, gatherMs);
  }

  function wake(attempt: Attempt, upload: Upload): void {
    if (signal.aborted) return;
    upload.again = true;
    if (upload.going) return;
    upload.going = true;
    sendAll(attempt, upload).catch((error: unknown) => {
      if (signal.aborted) return;
      log.error({ err: error, task: keyText(attempt.key) }, "output cannot be uploaded");
    });
  }

  /** Sends what there is of a stream, piece by piece. */
  async function sendAll(attempt: Attempt, upload: Upload): Promise<void> {
    let misses = 0;
    try {
      while (upload.again) {
        upload.again = false;
        for (;;) {
          const sent = await slots.run(() => sendNext(attempt, upload), !attempt.reported);
          if (sent === "nothing") break;
          misses = sent === "stored" ? 0 : misses + 1;
          if (misses > 0) await sleep(reconnectPauseMs(misses), undefined, { signal });
        }
        if (isComplete(attempt)) acknowledge(attempt);
      }
    } finally {
      upload.going = false;
    }
  }

  /**
   * Sends the next piece. "missed": it is not stored, so the same is to be tried again after a pause. That is also what a refusal
   * means: the report, or the verdict of the next session, says whether the server wants the attempt no more.
   */
  async function sendNext(
    attempt: Attempt,
    upload: Upload,
  ): Promise<"stored" | "missed" | "nothing"> {
    if (signal.aborted || !attempts.has(keyText(attempt.key))) return "nothing";
    // What the server has of a former session's upload it says in answer to an empty piece.
    const asking = !upload.known;
    const range = { stream: upload.stream, offset: upload.stored, most: pieceBytes, cap };
    const data = asking ? new Uint8Array() : await output.read(() => current(attempt), range);
    if (!asking && data.length === 0) return "nothing";
    upload.begun = true;
    const { taskId, attempt: number } = attempt.key;
    const fields = { task: keyText(attempt.key), stream: OutputStream[upload.stream] };
    try {
      const { length, refused } = await stream.append(
        uploadRequest({
          ...{ hostId: session.hostId, sessionEpoch: session.sessionEpoch },
          ...{ taskId: BigInt(taskId), attempt: number },
          ...{ stream: upload.stream, offset: BigInt(range.offset), data },
        }),
      );
      if (refused !== "" || length < 0n) {
        log.warn({ ...fields, reason: refused }, "the server refused output");
        return "missed";
      }
      const stored = Number(length);
      // Between the two it is older than what an acknowledgement has said meanwhile.
      if (stored > upload.stored || stored < range.offset) upload.stored = stored;
      upload.known = true;
      return asking || stored > range.offset ? "stored" : "missed";
    } catch (error) {
      signal.throwIfAborted();
      log.debug({ ...fields, err: error }, "a piece of output got no answer");
      return "missed";
    }
  }

  function isComplete(attempt: Attempt): boolean {
    const { result } = current(attempt);
    if (!attempt.reported || result === null) return false;
    return attempt.uploads.every(
      ({ stream, stored }) => stored >= piecesLength(storedPieces(result, stream, cap)),
    );
  }

  function acknowledge(attempt: Attempt): void {
    if (!attempts.delete(keyText(attempt.key))) return;
    stopFollowing(attempt);
    forget(attempt.key);
  }

  function forget(key: TaskKey): void {
    journal.acknowledged(key).catch(options.onJournalError);
  }

  function withReport(entry: JournalEntry) {
    const { result } = entry;
    if (result === null) return { lengths: [], restEmpty: false, output: [] };
    const lengths = outputStreams
      .filter((stream) => writtenBytes(result, stream) > 0)
      .map((stream) => ({
        stream,
        length: BigInt(piecesLength(storedPieces(result, stream, cap))),
        written: BigInt(writtenBytes(result, stream)),
      }));
    const said = { lengths, restEmpty: true, output: [] };
    const attempt = attempts.get(keyText(entry.key));
    const total = lengths.reduce((sum, { written }) => sum + Number(written), 0);
    if (total > Math.min(withReportBytes, cap)) return said;
    if (attempt?.uploads.some(({ begun }) => begun)) return said;
    const now = journal.entry(entry.key) ?? entry;
    const chunks = lengths.map(({ stream, length }) => ({
      stream,
      offset: 0n,
      data: output.readSmall(now, stream, Number(length)),
    }));
    // A file that is gone or shorter than the journal says goes the long way, which copes with it.
    const whole = chunks.every(({ data }, at) => BigInt(data.length) === lengths[at]?.length);
    return whole ? { lengths, restEmpty: true, output: chunks } : said;
  }

  return {
    withReport,
    forget,
    follow(entry, startedNow) {
      if (entry.key.storeId !== session.storeId || signal.aborted) return;
      const attempt = attemptOf(entry, startedNow);
      if (startedNow) attempt.timer = setTimeout(() => goLive(attempt), liveAfterMs);
      else goLive(attempt);
    },
    ended(entry) {
      const attempt = attempts.get(keyText(entry.key));
      if (attempt === undefined) return;
      stopFollowing(attempt);
      if (!attempt.uploads.some(({ begun }) => begun)) return;
      for (const upload of attempt.uploads) wake(attempt, upload);
    },
    reportStored(entry, stored) {
      const attempt = attemptOf(entry, true);
      attempt.reported = true;
      // Of what is empty nothing is said.
      for (const upload of attempt.uploads) {
        if (entry.result !== null && writtenBytes(entry.result, upload.stream) === 0)
          upload.known = true;
      }
      for (const { stream, length } of stored) {
        const upload = attempt.uploads.find((each) => each.stream === stream);
        if (upload === undefined) continue;
        upload.stored = Math.max(upload.stored, Number(length));
        upload.known = true;
      }
      if (isComplete(attempt)) acknowledge(attempt);
      else for (const upload of attempt.uploads) wake(attempt, upload);
    },
  };
}
