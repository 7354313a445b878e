import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { createDatabase } from "@howdah/launcher/create-database";
import { createConnection } from "mysql2/promise";
import { callWork } from "./call-work.js";
import { createTimeNote, nowMs } from "./note-time.js";

/** The same commits, hops and one spawn, one after the other, by programs that do nothing else. */
export interface LatencyFloor {
  /** From the call to the script's first instruction, in ms. */
  run(): Promise<number>;
  /** Ends its processes. */
  stop(): Promise<void>;
}

/** The bytes of each message and each row, about what a short command's are. */
const messageBytes = 512;

const program = fileURLToPath(new URL("./floor-process.js", import.meta.url));

/** Starts the floor's four processes; they commit to a table of their own on the same database server. */
export async function startLatencyFloor(
  databaseUrl: string,
  dir: string,
  signal: AbortSignal,
): Promise<LatencyFloor> {
  const children: ChildProcess[] = [];
  const start = (...args: string[]) => {
    const child = fork(program, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    children.push(child);
    return child;
  };
  const stop = async () => {
    const running = children.filter(
      ({ exitCode, signalCode }) => (exitCode ?? signalCode) === null,
    );
    const ended = running.map((child) => once(child, "exit"));
    for (const child of running) child.kill("SIGKILL");
    await Promise.all(ended);
  };
  try {
    const note = createTimeNote(dir);
    const store = await addressOf(start("store", await floorTable(databaseUrl)));
    const dispatcherProcess = start("dispatcher");
    const dispatcher = await addressOf(dispatcherProcess);
    const opened = once(dispatcherProcess, "message", { signal });
    const runner = start("runner", dispatcher, join(dir, "journal"));
    await opened;
    const scheduler = await addressOf(start("scheduler", store, dispatcher));
    const client = new grpc.Client(scheduler, grpc.credentials.createInsecure());
    let runs = 0;
    return {
      async run() {
        signal.throwIfAborted();
        runs += 1;
        const name = `floor-${runs}`;
        const message = Buffer.alloc(messageBytes);
        message.write(JSON.stringify(note.argv(name)));
        const ended = once(runner, "message", { signal });
        const began = nowMs();
        await callWork(client, message);
        const ran = (await note.read(name, signal)) - began;
        const [{ code }] = (await ended) as [{ code: number | null }];
        if (code !== 0) throw new Error(`the floor's script ended with ${code}`);
        return ran;
      },
      async stop() {
        client.close();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function addressOf(child: ChildProcess): Promise<string> {
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`a process of the floor ended with ${code}`);
  });
  const [told] = (await Promise.race([once(child, "message"), ended])) as [{ address: string }];
  ended.catch(() => undefined);
  return told.address;
}

/** Makes the floor's table, and gives the URL of its database. */
async function floorTable(databaseUrl: string): Promise<string> {
  const url = await createDatabase(databaseUrl, "howdah_floor");
  const connection = await createConnection(url);
  try {
    await connection.query(
      "create table if not exists floor (id bigint auto_increment primary key, note blob not null) engine = InnoDB",
    );
  } finally {
    await connection.end();
  }
  return url;
}
