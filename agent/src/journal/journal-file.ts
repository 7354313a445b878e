import * as fs from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import type { JsonObject } from "../json.js";
import { encodeLine, type JournalScan, lineBytes } from "./record-lines.js";

const write = promisify(fs.write);
const fdatasync = promisify(fs.fdatasync);

/** So much is copied to the kernel sooner than another thread would have taken it up; it is the sync that takes time. */
const writtenHereBytes = 64 * 1024;

/** Thrown when the disk has no room for a record that may be refused; nothing was written. */
export class JournalFullError extends Error {
  override readonly name = "JournalFullError";
}

/** Thrown by every call after a write or a sync has failed: what is on disk is unknown, the agent must start again. */
export class JournalBrokenError extends Error {
  override readonly name = "JournalBrokenError";
}

/** How a journal file grows and shrinks. */
export interface JournalFileOptions {
  /** Zeros written ahead at a time. Default 256 KiB. */
  readonly chunkBytes?: number;
  /** From this size on the file is rewritten whenever it has doubled. Default 4 MiB. */
  readonly compactAtBytes?: number;
  /** Makes what was written last. Default fdatasync; tests put their own in its place. */
  readonly sync?: (fd: number) => Promise<void>;
}

/** The append-only file below the journal. One process, one owner. */
export interface JournalFile {
  /** Makes sure of room for `bytes` beyond what was promised before. Throws `JournalFullError`. */
  makeRoom(bytes: number): void;
  /** Appends; resolves when the record is on disk. What is appended meanwhile shares one sync. */
  append(record: JsonObject): Promise<void>;
  /** Rewrites the file to what `snapshot` gives, as soon as nothing is being written. */
  compact(): Promise<void>;
  /** How often the file was synced. */
  syncs(): number;
  /** Waits for what was appended and closes. */
  close(): Promise<void>;
}

/** What the file asks its owner. */
export interface JournalOwner {
  /** The records that stand for the present state. */
  snapshot(): readonly JsonObject[];
  /** Bytes promised to records that are still to come. */
  promisedBytes(): number;
}

interface Waiting {
  readonly json: string;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Makes a new file in place of `path`, by rename: a crash leaves the old one or the new one whole. */
export function writeJournalFile(
  path: string,
  records: readonly JsonObject[],
  roomBytes: number,
): { bytes: number; size: number } {
  const temporary = `${path}.new`;
  const lines = records.map((record, index) =>
    encodeLine(index + 1, records.length, JSON.stringify(record)),
  );
  const content = Buffer.concat([...lines, Buffer.alloc(roomBytes)]);
  try {
    const fd = fs.openSync(temporary, "w", 0o600);
    try {
      writeFully(fd, content, 0);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, path);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
  return { bytes: content.length - roomBytes, size: content.length };
}

/** Opens a file that `scanJournal` has read; whatever follows its good records becomes zeros. */
export function openJournalFile(
  path: string,
  scan: JournalScan,
  owner: JournalOwner,
  options: JournalFileOptions = {},
): JournalFile {
  const chunkBytes = options.chunkBytes ?? 256 * 1024;
  const compactAtBytes = options.compactAtBytes ?? 4 * 1024 * 1024;
  const sync = options.sync ?? fdatasync;
  let fd = fs.openSync(path, "r+");
  let size = fs.fstatSync(fd).size;
  let written = scan.endOffset;
  let durable = scan.records.length;
  let compactedBytes = written;
  let waiting: Waiting[] = [];
  let waitingBytes = 0;
  let syncs = 0;
  let broken: JournalBrokenError | undefined;
  let flushing: Promise<void> | undefined;
  let compactWanted = false;

  if (scan.tail !== "clean") {
    // In place, not by truncation: the blocks must stay ours.
    writeFully(fd, Buffer.alloc(size - written), written);
    fs.fdatasyncSync(fd);
  }

  function makeRoom(bytes: number): void {
    if (broken) throw broken;
    const missing = written + waitingBytes + owner.promisedBytes() + bytes - size;
    if (missing <= 0) return;
    const grow = Math.ceil(missing / chunkBytes) * chunkBytes;
    try {
      writeFully(fd, Buffer.alloc(grow), size);
      size += grow;
    } catch (error) {
      fs.ftruncateSync(fd, size);
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      throw new JournalFullError(
        `no room in the journal ${path} (${code}): free space on its disk`,
      );
    }
  }

  function append(record: JsonObject): Promise<void> {
    if (broken) return Promise.reject(broken);
    const json = JSON.stringify(record);
    const bytes = lineBytes(json);
    waitingBytes += bytes;
    const done = new Promise<void>((resolve, reject) => {
      waiting.push({ json, bytes, resolve, reject });
    });
    flushing ??= flush();
    return done;
  }

  async function flush(): Promise<void> {
    // One turn of the event loop lets everything that arrived together share the first sync.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      while (waiting.length > 0 || compactWanted) {
        if (waiting.length > 0) await writeBatch();
        const due = written > compactAtBytes && written > 2 * compactedBytes;
        if (due || compactWanted) rewrite();
      }
    } catch (error) {
      breakFor(error as Error);
    } finally {
      flushing = undefined;
    }
  }

  async function writeBatch(): Promise<void> {
    const batch = waiting;
    waiting = [];
    try {
      const lines = batch.map(({ json }, index) => encodeLine(durable + index + 1, durable, json));
      const bytes = Buffer.concat(lines);
      if (bytes.length <= writtenHereBytes) writeFully(fd, bytes, written);
      else await writeElsewhere(bytes);
      await sync(fd);
      syncs++;
      durable += batch.length;
      written += bytes.length;
      waitingBytes -= bytes.length;
      size = Math.max(size, written);
    } catch (error) {
      waiting = [...batch, ...waiting];
      throw error;
    }
    for (const { resolve } of batch) resolve();
  }

  async function writeElsewhere(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await write(fd, bytes, done, bytes.length - done, written + done);
      done += bytesWritten;
    }
  }

  function rewrite(): void {
    compactWanted = false;
    const records = owner.snapshot();
    try {
      const room = waitingBytes + owner.promisedBytes() + chunkBytes;
      const made = writeJournalFile(path, records, room);
      const old = fd;
      fd = fs.openSync(path, "r+");
      fs.closeSync(old);
      written = made.bytes;
      compactedBytes = made.bytes;
      size = made.size;
      durable = records.length;
      syncs++;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
      compactedBytes = written; // no room for a second copy: go on with the old file, try when it has doubled
    }
  }

  function breakFor(cause: Error): void {
    broken = new JournalBrokenError(
      `the journal ${path} can't be written (${cause.message}): start the agent again when its disk works`,
      { cause },
    );
    for (const { reject } of waiting) reject(broken);
    waiting = [];
  }

  return {
    makeRoom,
    append,
    compact: async () => {
      compactWanted = true;
      flushing ??= flush();
      await flushing;
      if (broken) throw broken;
    },
    syncs: () => syncs,
    close: async () => {
      await flushing;
      broken ??= new JournalBrokenError(`the journal ${path} is closed`);
      fs.closeSync(fd);
    },
  };
}

/** Makes renames and new files in a folder last. */
export function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function writeFully(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += fs.writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}
