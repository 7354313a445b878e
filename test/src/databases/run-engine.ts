import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createDatabase } from "@howdah/launcher/create-database";
import { serviceUnit } from "@howdah/launcher/service-unit";
import { startUnit, type Unit } from "@howdah/launcher/unit";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { connectService } from "@howdah/service/connect-service";
import { checkCausality } from "./causality.js";
import { checkNode } from "./check.js";
import type { Engine } from "./engine.js";
import { startLoad } from "./load.js";

/** What was seen on one engine. */
export interface Report {
  readonly requests: number;
  readonly tasks: number;
  readonly calls: number;
  readonly tasksPerSecond: number;
  readonly errors: ReadonlyMap<string, number>;
  /** The longest time in which nobody was answered after the kill. */
  readonly outageMs: number;
  /** How long the killed one took to serve again. */
  readonly restartMs: number;
  /** What was lost, doubled or miscounted; none if all is well. */
  readonly wrong: readonly string[];
}

const root = fileURLToPath(new URL("../../..", import.meta.url));
const workers = 8;

/**
 * Runs two command-stores on an engine, on different nodes if it has some, and a load through both; kills a node under it, starts it
 * again under it, and compares what every node has in the end with what callers were told.
 */
export async function runEngine(engine: Engine, phaseMs: number): Promise<Report> {
  const dir = await mkdtemp(join(tmpdir(), "howdah-databases-"));
  const around = {
    root,
    logFolder: join(dir, "log"),
    runFolder: join(dir, "run"),
    env: { HOWDAH_LOG_LEVEL: "info" },
  };
  await mkdir(around.logFolder);
  await mkdir(around.runFolder);
  const name = `databases_${randomBytes(4).toString("hex")}`;
  const urls: string[] = [];
  const stores: Unit[] = [];
  try {
    for (const url of engine.urls) urls.push(await createDatabase(url, name));
    for (const n of [1, 2]) {
      const url = urls[(n - 1) % urls.length] ?? "";
      const env = { HOWDAH_DATABASE_URL: url };
      stores.push(
        await startUnit(serviceUnit("command-store", `command-store-${n}`, "free", env, around)),
      );
    }
    const address = stores.map(({ addresses }) => addresses.main).join(",");
    const transport = connectService({ address });
    try {
      const client = createClient(CommandStoreService, transport);
      await untilServing(client);
      const load = startLoad(client, workers);
      await delay(phaseMs);
      const quiet = load.tasks() / (phaseMs / 1000);
      load.watchOutage();
      await engine.kill();
      await delay(engine.urls.length > 1 ? phaseMs : 1_000);
      const began = performance.now();
      await engine.restart();
      const restartMs = performance.now() - began;
      await delay(phaseMs);
      const { outageMs } = load;
      await load.finish(60_000);
      const wrong = [...load.wrong];
      for (const [n, url] of urls.entries()) {
        const found = await checkNode(url, load.acknowledged);
        wrong.push(...found.map((line) => `node ${n + 1}: ${line}`));
      }
      wrong.push(...(await checkBetween(stores)));
      return {
        requests: load.acknowledged.size,
        tasks: load.tasks(),
        calls: load.calls,
        tasksPerSecond: quiet,
        errors: load.errors,
        outageMs,
        restartMs,
        wrong,
      };
    } finally {
      transport.close();
    }
  } finally {
    await Promise.all(stores.map((store) => store.stop()));
    await rm(dir, { recursive: true, force: true });
  }
}

async function checkBetween(stores: readonly Unit[]): Promise<string[]> {
  const transports = stores.map(({ addresses }) =>
    connectService({ address: addresses.main ?? "" }),
  );
  try {
    const [writer, reader] = transports.map((each) => createClient(CommandStoreService, each));
    return writer && reader ? await checkCausality(writer, reader) : [];
  } finally {
    for (const each of transports) each.close();
  }
}

/** Both have made the schema, or seen that it is there. */
async function untilServing(client: { listUnfinished(request: object): Promise<unknown> }) {
  for (let answered = 0; answered < 10; ) {
    try {
      await client.listUnfinished({});
      answered += 1;
    } catch {
      answered = 0;
      await delay(100);
    }
  }
}
