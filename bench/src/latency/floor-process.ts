import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, fdatasync, openSync, write } from "node:fs";
import { promisify } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { createConnection } from "mysql2/promise";
import { bytesMethod } from "../bare/bytes-method.js";
import { bareClient } from "../bare/client.js";
import { listenAsChild } from "../bare/listen.js";
import { callWork, workMethod } from "./call-work.js";

// One process of the floor of `latency`: bare grpc-js, bare mysql2, no more code than the work takes. Which one, the arguments say:
//   store URL          a call commits one row, or none, as its first byte says
//   dispatcher         passes what it is called with to the stream of the runner
//   scheduler PORTS    a call: asks the store, has it commit, answers, calls the dispatcher
//   runner PORT FILE   what comes is written to the file and synced, then run

const streamMethod = bytesMethod("/floor/Stream");
type Stream = grpc.ServerDuplexStream<Buffer, Buffer>;

/** Serves both calls, and tells the parent on which port. */
function serve(
  work: (message: Buffer) => Promise<unknown>,
  opened: (stream: Stream) => void = () => {},
): void {
  const server = new grpc.Server();
  server.addService(
    { work: workMethod, stream: streamMethod },
    {
      work: (call: grpc.ServerUnaryCall<Buffer, Buffer>, answer: grpc.sendUnaryData<Buffer>) =>
        void work(call.request).then(
          () => answer(null, call.request),
          (error: Error) => answer({ code: grpc.status.INTERNAL, details: error.message }),
        ),
      stream: opened,
    },
  );
  listenAsChild(server);
}

async function store(url: string): Promise<void> {
  const connection = await createConnection(url);
  serve(async (message) => {
    if (message[0] === 1) await connection.query("insert into floor (note) values (?)", [message]);
  });
}

function dispatcher(): void {
  let runner: Stream | undefined;
  serve(
    async (message) => runner?.write(message),
    (stream) => {
      runner = stream;
      process.send?.("opened");
    },
  );
}

function scheduler(storePort: string, dispatcherPort: string): void {
  const toStore = bareClient(Number(storePort));
  const toDispatcher = bareClient(Number(dispatcherPort));
  const as = (first: number, message: Buffer) => Buffer.concat([Buffer.of(first), message]);
  serve(async (message) => {
    await callWork(toStore, as(0, message));
    await callWork(toStore, as(1, message));
    void callWork(toDispatcher, message);
  });
}

function runner(port: string, file: string): void {
  const journal = openSync(file, "a");
  const { path, requestSerialize, responseDeserialize } = streamMethod;
  const client = bareClient(Number(port));
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  const [append, sync] = [promisify(write), promisify(fdatasync)];
  stream.on("data", async (message: Buffer) => {
    await append(journal, message);
    await sync(journal);
    const argv: string[] = JSON.parse(message.subarray(0, message.indexOf(0)).toString());
    const child: ChildProcess = spawn(argv[0] ?? "", argv.slice(1), {
      ...{ stdio: "ignore", detached: true },
    });
    const [code] = await once(child, "exit");
    process.send?.({ code });
  });
  stream.on("error", () => closeSync(journal));
  process.on("disconnect", () => process.exit(0));
}

const roles: Record<string, (...args: string[]) => Promise<void> | void> = {
  ...{ store, dispatcher, scheduler, runner },
};
const [role = "", ...args] = process.argv.slice(2);
await roles[role]?.(...args);
