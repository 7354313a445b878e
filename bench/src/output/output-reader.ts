import { createClient } from "@connectrpc/connect";
import { OutputStream } from "@howdah/proto/howdah/v1/command";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { connectService } from "@howdah/service/connect-service";
import type { ReaderAnswer, ReaderRequest, ReadPiece } from "./output-readers.js";

/** A process that follows what tasks write, as a gateway does: the store's address is its argument. */
const transport = connectService({ address: process.argv[2] ?? "", addressOption: "argument" });
const store = createClient(CommandStoreService, transport);

async function follow({ taskId }: ReaderRequest): Promise<ReadPiece[]> {
  const read: ReadPiece[] = [];
  const call = { taskId: BigInt(taskId), stream: OutputStream.STDOUT, follow: true };
  for await (const { offset, data } of store.readTaskOutput(call, { timeoutMs: 0 })) {
    if (data.length > 0) read.push([Number(offset), data.length, Date.now()]);
  }
  return read;
}

function answer(what: ReaderAnswer): void {
  process.send?.(what);
}

process.on("message", (request: ReaderRequest) => {
  const { taskId } = request;
  follow(request).then(
    (read) => answer({ taskId, read }),
    (error: Error) => answer({ taskId, failed: error.message }),
  );
});
process.on("disconnect", () => process.exit(0));
await transport.waitForReady(10_000);
process.send?.("connected");
