import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, fdatasync, openSync, write } from "node:fs";
import { promisify } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { createConnection } from "mysql2/promise";
import { callWork, identity, workPath } from "./call-work.js";

// One process of the floor of `latency`: bare grpc-js, bare mysql2, no more code than the work takes. Which one, the arguments say:
//   store URL          a call commits one row, or none, as its first byte says
//   dispatcher         passes what it is called with to the stream of the runner
//   scheduler ADDRESSES  a call: asks the store, has it commit, answers, has it commit again, calls the dispatcher
//   runner ADDRESS FILE  what comes is written to the file and synced, then run

const method = (path: string, streams: boolean) => ({
  ...{ path, requestStream: streams, responseStream: streams },
  ...{ requestSerialize: identity, requestDeserialize: identity },
  ...{ responseSerialize: identity, responseDeserialize: identity },
});
const workMethod = method(workPath, false);
const streamMethod = method("/floor/Stream", true);
type Stream = grpc.ServerDuplexStream<Buffer, Buffer>;

/** Listens, and tells the parent where. */
async function serve(
  work: (message: Buffer) => Promise<unknown>,
  opened: (stream: Stream) => void = () => {},
): Promise<void> {
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
  const bind = promisify(server.bindAsync.bind(server));
  const port = await bind("127.0.0.1:0", grpc.ServerCredentials.createInsecure());
  process.send?.({ address: `127.0.0.1:${port}` });
}

function clientOf(address: string): grpc.Client {
  return new grpc.Client(address, grpc.credentials.createInsecure());
}

async function store(url: string): Promise<void> {
  const connection = await createConnection(url);
  await serve(async (message) => {
    if (message[0] === 1) await connection.query("insert into floor (note) values (?)", [message]);
  });
}

async function dispatcher(): Promise<void> {
  let runner: Stream | undefined;
  await serve(
    async (message) => runner?.write(message),
    (stream) => {
      runner = stream;
      process.send?.("opened");
    },
  );
}

async function scheduler(storeAddress: string, dispatcherAddress: string): Promise<void> {
  const toStore = clientOf(storeAddress);
  const toDispatcher = clientOf(dispatcherAddress);
  const as = (first: number, message: Buffer) => Buffer.concat([Buffer.of(first), message]);
  await serve(async (message) => {
    await callWork(toStore, as(0, message));
    await callWork(toStore, as(1, message));
    void callWork(toStore, as(1, message)).then(() => callWork(toDispatcher, message));
  });
}

function runner(address: string, file: string): void {
  const journal = openSync(file, "a");
  const stream = clientOf(address).makeBidiStreamRequest(streamMethod.path, identity, identity);
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
}

const roles: Record<string, (...args: string[]) => Promise<void> | void> = {
  ...{ store, dispatcher, scheduler, runner },
};
const [role = "", ...args] = process.argv.slice(2);
process.on("disconnect", () => process.exit(0));
await roles[role]?.(...args);
