import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { createRpcServer } from "@howdah/rpc/server";
import { pino } from "pino";
import { openOutputReaders } from "./output-readers.js";

test("the readers' process tells what came when, and why nothing came", async (t) => {
  const log = pino({ level: "silent" });
  const server = createRpcServer({ name: "store", log }).add(CommandStoreService, {
    async *readTaskOutput({ taskId, follow }) {
      if (!follow || taskId !== 7n) throw new ConnectError("no such task", Code.NotFound);
      yield { offset: 0n, data: Buffer.from("one"), complete: false };
      yield { offset: 3n, data: Buffer.from("more"), complete: false };
      yield { offset: 7n, data: Buffer.alloc(0), complete: true };
    },
  });
  const address = await server.listen("127.0.0.1:0");
  t.after(() => server.drain());
  const began = Date.now();
  const readers = await openOutputReaders(address, new AbortController().signal);
  t.after(() => readers.close());
  const read = await readers.follow(7n);
  assert.deepEqual(
    read.map(([offset, length]) => [offset, length]),
    [
      [0, 3],
      [3, 4],
    ],
  );
  assert.ok(read.every(([, , atMs]) => atMs >= began && atMs <= Date.now()));
  await assert.rejects(readers.follow(8n), /output of task 8: .*no such task/);
});

test("whoever waits for a reader hears that the run was interrupted", async (t) => {
  const log = pino({ level: "silent" });
  const interrupted = new AbortController();
  const server = createRpcServer({ name: "store", log, drainGraceMs: 100 }).add(
    CommandStoreService,
    {
      async *readTaskOutput(_request, { signal }) {
        interrupted.abort();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    },
  );
  const address = await server.listen("127.0.0.1:0");
  t.after(() => server.drain());
  const readers = await openOutputReaders(address, interrupted.signal);
  await assert.rejects(readers.follow(7n), /the readers' process has ended/);
  await assert.rejects(readers.follow(8n), /the readers' process has ended/);
  await readers.close();
});
