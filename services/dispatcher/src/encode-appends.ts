import { create, toBinary } from "@bufbuild/protobuf";
import { OutputChunkSchema } from "@howdah/proto/howdah/v1/command";
import {
  type AppendOutputRequest,
  AppendOutputRequestSchema,
  type OutputAppend,
  OutputAppendSchema,
} from "@howdah/proto/howdah/v1/store_output";
import { encodedAs, fieldOf, joined, partsWith } from "@howdah/rpc/encoded-message";

/**
 * Makes the message for appends, encoded already, with one copy of their bytes: into `spare` if they fit there. It may be used
 * again once the call has been answered.
 */
export function encodeAppends(
  appends: readonly OutputAppend[],
  spare: Buffer,
): AppendOutputRequest {
  const field = AppendOutputRequestSchema.field.appends.number;
  const parts = appends.flatMap((append) => fieldOf(field, partsOf(append)));
  return encodedAs(
    create(AppendOutputRequestSchema, { appends: [...appends] }),
    joined(parts, spare),
  );
}

function partsOf({ taskId, attempt, hostId, sessionEpoch, chunk }: OutputAppend): Uint8Array[] {
  const rest = { taskId, attempt, hostId, sessionEpoch };
  if (chunk === undefined) return [toBinary(OutputAppendSchema, create(OutputAppendSchema, rest))];
  const { stream, offset, data } = chunk;
  const parts = partsWith(OutputChunkSchema, { stream, offset }, "data", [data]);
  return partsWith(OutputAppendSchema, rest, "chunk", parts);
}
