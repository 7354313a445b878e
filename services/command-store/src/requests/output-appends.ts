import type { OutputChunk } from "@howdah/proto/howdah/v1/command";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { bytes } from "../database/query.js";
import { type StoredChunk, type StreamKey, streamName } from "../store/output.js";

/** The largest chunk. */
export const maxChunkBytes = 256 * 1024;

/** A run of bytes for one stream. */
export interface Append extends StreamKey {
  readonly chunk: OutputChunk;
}

/**
 * Which appends continue what is stored: those are to be inserted, and `stored` is moved on. All others change nothing: a
 * repeat, a gap. Pure but for `stored`.
 */
export function planAppends(
  appends: readonly Append[],
  stored: Map<string, number>,
): StoredChunk[] {
  const chunks: StoredChunk[] = [];
  for (const { chunk, taskId, attempt, stream } of appends) {
    const name = streamName({ taskId, attempt, stream });
    const position = stored.get(name) ?? 0;
    if (Number(chunk.offset) !== position || chunk.data.length === 0) continue;
    chunks.push({ taskId, attempt, stream, position, data: bytes(chunk.data) });
    stored.set(name, position + chunk.data.length);
  }
  return chunks;
}

/** Why a chunk cannot be stored, whatever is stored already; undefined when it can. */
export function chunkProblem({ stream, data, offset }: OutputChunk): string | undefined {
  if (stream === OutputStream.UNSPECIFIED || OutputStream[stream] === undefined) {
    return `stream ${stream} is no stream; say STDOUT, STDERR or STRUCTURED`;
  }
  if (data.length > maxChunkBytes) {
    return `data has ${data.length} bytes; a chunk has ${maxChunkBytes} at most`;
  }
  if (offset < 0n || offset > BigInt(Number.MAX_SAFE_INTEGER)) return `offset ${offset} cannot be`;
  return undefined;
}
