import { once } from "node:events";
import { join } from "node:path";
import { createDatabase } from "@howdah/launcher/create-database";
import { createConnection } from "mysql2/promise";
import { endChild, firstWord, startChild } from "../bare/child.js";
import { bareClient } from "../bare/client.js";
import type { BenchContext } from "../measure.js";
import { callWork } from "./call-work.js";
import { createTimeNote, nowMs } from "./note-time.js";

/**
 * Does the same commit, hops and one spawn, one after the other, by programs that do nothing else: from the call to the script's first
 * instruction, in ms.
 */
export type LatencyFloor = () => Promise<number>;

/** The bytes of each message and each row, about what a short command's are. */
const messageBytes = 512;

/** Starts the floor's four processes; they commit to a table of their own on the same database server. */
export async function startLatencyFloor(
  context: Pick<BenchContext, "signal" | "after">,
  databaseUrl: string,
  dir: string,
): Promise<LatencyFloor> {
  const { signal } = context;
  const start = (...args: (string | number)[]) => {
    const child = startChild(new URL("./floor-process.js", import.meta.url), ...args);
    context.after(() => endChild(child, "SIGKILL"));
    return child;
  };
  const note = createTimeNote(dir);
  const store = await firstWord<number>(start("store", await floorTable(databaseUrl)));
  const dispatcherProcess = start("dispatcher");
  const dispatcher = await firstWord<number>(dispatcherProcess);
  const opened = once(dispatcherProcess, "message", { signal });
  const runner = start("runner", dispatcher, join(dir, "journal"));
  await opened;
  const scheduler = await firstWord<number>(start("scheduler", store, dispatcher));
  const client = bareClient(scheduler);
  context.after(() => client.close());
  let runs = 0;
  return async () => {
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
  };
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
