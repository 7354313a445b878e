import { AlertService } from "@howdah/proto/howdah/v1/alert_service";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { createRpcServer } from "@howdah/rpc/server";
import { serverTls } from "@howdah/service/common-config";
import { integer, text } from "@howdah/service/fields";
import { runService } from "@howdah/service/run-service";
import { createAlertService } from "./alerts/alert-service.js";
import { openDatabase } from "./database/database.js";
import { createStartingGate } from "./database/starting-gate.js";
import { prepareDatabase, watchDatabase } from "./database/watch-database.js";
import { createFleetService } from "./fleet/fleet-service.js";
import { mapError } from "./map-error.js";
import { createCommandStoreService } from "./requests/command-store-service.js";
import { keepPurging } from "./requests/purge-abandoned.js";
import { createStackService } from "./stacks/stack-service.js";

/** Dispatchers send a MiB of output in a call, up to three at a time; with HTTP/2's own window each costs both a turn for each 64 KiB. */
const windowBytes = 2 << 20;

await runService({
  name: "command-store",
  listen: "127.0.0.1:7420",
  config: {
    databaseUrl: text(),
    databasePool: integer(10, { min: 1, max: 500 }),
  },
  async start({ name, config, log, signal, fail, metrics }) {
    const db = openDatabase({ url: config.databaseUrl, pool: config.databasePool, log });
    const gate = createStartingGate();
    const server = createRpcServer({
      name,
      log,
      tls: serverTls(config),
      listenOption: "HOWDAH_LISTEN",
      windowBytes,
      mapError,
      observe: metrics?.observe,
      interceptors: [gate.interceptor],
    });
    server.add(CommandStoreService, createCommandStoreService(db, log));
    server.add(FleetService, createFleetService(db));
    server.add(StackService, createStackService(db));
    server.add(AlertService, createAlertService(db));

    // It listens before it is ready, so that who asks hears why it is not.
    const main = await server.listen(config.listen);
    server.health.setAll(false);
    const background = new AbortController();
    const tasks: Promise<void>[] = [];
    const stop = async () => {
      await server.drain();
      background.abort();
      await Promise.all(tasks);
      await db.destroy();
    };
    try {
      await prepareDatabase(db, log, signal);
    } catch (error) {
      await stop();
      throw error;
    }
    gate.open();
    server.health.setAll(true);
    const tell = (reachable: boolean) => {
      if (!signal.aborted) server.health.setAll(reachable);
    };
    tasks.push(watchDatabase(db, log, background.signal, tell).catch(fail));
    tasks.push(keepPurging(db, log, background.signal).catch(fail));
    return { addresses: { main }, stop };
  },
});
