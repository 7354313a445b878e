import { create } from "@bufbuild/protobuf";
import {
  type UploadOutputRequest,
  UploadOutputRequestSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import { OutputChunkSchema, type OutputStream } from "@howdah/proto/howdah/v1/command";
import { encodedAs, joined, partsWith } from "@howdah/rpc/encoded-message";

/** A piece of output to upload. */
export interface UploadPiece {
  readonly hostId: bigint;
  readonly sessionEpoch: bigint;
  readonly taskId: bigint;
  readonly attempt: number;
  readonly stream: OutputStream;
  readonly offset: bigint;
  readonly data: Uint8Array;
}

/** Makes the message for a piece, encoded already, with one copy of its bytes. */
export function uploadRequest(piece: UploadPiece): UploadOutputRequest {
  const { hostId, sessionEpoch, taskId, attempt, stream, offset, data } = piece;
  const of = { session: { hostId, sessionEpoch }, taskId, attempt };
  const rest = { stream, offset };
  const chunk = partsWith(OutputChunkSchema, rest, "data", [data]);
  return encodedAs(
    create(UploadOutputRequestSchema, { ...of, chunk: { ...rest, data } }),
    joined(partsWith(UploadOutputRequestSchema, of, "chunk", chunk)),
  );
}
