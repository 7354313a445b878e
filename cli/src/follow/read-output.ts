import { Buffer } from "node:buffer";
import type { OutputStream } from "@howdah/proto/howdah/v1/command";
import type { ReadTaskOutputResponse } from "@howdah/proto/howdah/v1/store_output";
import type { Session } from "../session.js";
import { callAgain } from "./call-again.js";

/** Which output to read. */
export interface OutputQuery {
  taskId: bigint;
  stream: OutputStream;
  /** 0 for the current one. */
  attempt?: number;
  /** Where to begin. Default 0. */
  offset?: bigint;
  /** Go on until the attempt has ended and all is there. */
  follow?: boolean;
}

/** Reads output, through restarts of the server, without a gap or a repeat. */
export async function* readOutput(
  { io, store }: Session,
  query: OutputQuery,
  signal: AbortSignal = io.interrupted,
): AsyncGenerator<ReadTaskOutputResponse> {
  const { taskId, stream, attempt = 0, follow = false } = query;
  let offset = query.offset ?? 0n;
  // Without `follow` the end of the stream is the end; it need not be complete.
  let ended = false;
  async function* open(call: AbortSignal) {
    const read = store.readTaskOutput(
      { taskId, stream, attempt, offset, follow },
      { signal: call },
    );
    for await (const piece of read) {
      offset = piece.offset + BigInt(piece.data.length);
      yield piece;
    }
    ended = true;
    if (!follow) yield undefined;
  }
  const pieces = callAgain(open, (piece) => ended || piece?.complete === true, { signal });
  for await (const piece of pieces) if (piece !== undefined) yield piece;
}

/** The last lines of a task's output, at most so many, from its last 16 KiB; whether something came before them. */
export async function lastOutput(
  session: Session,
  query: OutputQuery & { length: bigint; lines: number },
): Promise<{ text: string; cut: boolean }> {
  const window = 16_384n;
  const offset = query.length > window ? query.length - window : 0n;
  const chunks: Uint8Array[] = [];
  for await (const { data } of readOutput(session, { ...query, offset })) chunks.push(data);
  const text = decodeOutput(chunks).trimEnd();
  const all = text === "" ? [] : text.split("\n");
  const lines = all.slice(-query.lines);
  return { text: lines.join("\n"), cut: offset > 0n || lines.length < all.length };
}

/** Output is bytes; what is no UTF-8 is shown as �. */
export function decodeOutput(chunks: readonly Uint8Array[]): string {
  return new TextDecoder().decode(Buffer.concat(chunks));
}
