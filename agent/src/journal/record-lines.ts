import type { JsonObject } from "../json.js";
import { crc32 } from "./crc32.js";

/**
 * The journal's lines: `CRC NUMBER DURABLE JSON\n`. NUMBER counts the records of the file without a gap; DURABLE is the
 * number up to which everything was on disk for certain when this line was written. So a reader that meets a bad line
 * can tell a torn tail, which nobody was ever promised, from damage to what once was safe.
 */
const prefixBytes = 8 + 1 + 12 + 1 + 12 + 1;
const newline = 0x0a;

/** A record as read back. */
export interface ReadRecord {
  readonly number: number;
  readonly durable: number;
  readonly value: JsonObject;
}

/** What a file held. */
export interface JournalScan {
  readonly records: readonly ReadRecord[];
  /** Where the good records end. */
  readonly endOffset: number;
  /** clean: only the zeros of the reserve follow; torn: an unfinished write does; damaged: safe records are lost. */
  readonly tail: "clean" | "torn" | "damaged";
}

/** Bytes that a record with this JSON text takes in the file. */
export function lineBytes(json: string): number {
  return prefixBytes + Buffer.byteLength(json) + 1;
}

/** One line of the file. */
export function encodeLine(number: number, durable: number, json: string): Buffer {
  const body = Buffer.from(`${pad(number)} ${pad(durable)} ${json}`);
  const crc = crc32(body).toString(16).padStart(8, "0");
  return Buffer.concat([Buffer.from(`${crc} `), body, Buffer.of(newline)]);
}

/** Reads a file's bytes up to the first line that is not good, and judges what follows. */
export function scanJournal(bytes: Buffer): JournalScan {
  const records: ReadRecord[] = [];
  let offset = 0;
  let durable = 0;
  while (offset < bytes.length && bytes[offset] !== 0) {
    const end = bytes.indexOf(newline, offset);
    const record = end < 0 ? undefined : decodeLine(bytes.subarray(offset, end));
    if (record?.number !== records.length + 1) break;
    records.push(record);
    durable = Math.max(durable, record.durable);
    offset = end + 1;
  }
  const rest = bytes.subarray(offset);
  if (durable > records.length) return { records, endOffset: offset, tail: "damaged" };
  if (rest.every((byte) => byte === 0)) return { records, endOffset: offset, tail: "clean" };
  const lost = durableAfter(rest) > records.length;
  return { records, endOffset: offset, tail: lost ? "damaged" : "torn" };
}

function decodeLine(line: Buffer): ReadRecord | undefined {
  const prefix = /^([0-9a-f]{8}) ([0-9]{12}) ([0-9]{12}) $/.exec(
    line.toString("latin1", 0, prefixBytes),
  );
  if (!prefix || crc32(line.subarray(9)) !== Number.parseInt(prefix[1] ?? "", 16)) return undefined;
  const value = JSON.parse(line.toString("utf8", prefixBytes)) as JsonObject;
  return { number: Number(prefix[2]), durable: Number(prefix[3]), value };
}

/** The highest DURABLE of any good line in bytes that don't begin with one. */
function durableAfter(bytes: Buffer): number {
  let durable = 0;
  for (const match of bytes.toString("latin1").matchAll(/[0-9a-f]{8} [0-9]{12} [0-9]{12} \{/g)) {
    const end = bytes.indexOf(newline, match.index);
    const record = end < 0 ? undefined : decodeLine(bytes.subarray(match.index, end));
    if (record) durable = Math.max(durable, record.durable);
  }
  return durable;
}

function pad(number: number): string {
  return String(number).padStart(12, "0");
}
