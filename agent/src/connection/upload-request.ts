import { create, toBinary } from "@bufbuild/protobuf";
import {
  type UploadOutputRequest,
  UploadOutputRequestSchema,
} from "@howdah/proto/howdah/v1/agent_service";
import { OutputChunkSchema, type OutputStream } from "@howdah/proto/howdah/v1/command";
import { encodedAs, fieldOf, joined } from "@howdah/rpc/encoded-message";

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
  const request = create(UploadOutputRequestSchema, {
    ...{ session: { hostId, sessionEpoch }, taskId, attempt },
  });
  const chunk = create(OutputChunkSchema, { stream, offset });
  const { number } = UploadOutputRequestSchema.field.chunk;
  const bytes = joined([
    toBinary(UploadOutputRequestSchema, request),
    ...fieldOf(number, [
      toBinary(OutputChunkSchema, chunk),
      ...fieldOf(OutputChunkSchema.field.data.number, [data]),
    ]),
  ]);
  chunk.data = data;
  request.chunk = chunk;
  return encodedAs(request, bytes);
}
