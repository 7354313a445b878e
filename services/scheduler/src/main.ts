import { createClient } from "@connectrpc/connect";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { createRpcServer } from "@howdah/rpc/server";
import { advertised, clientTls, serverTls, serviceAddresses } from "@howdah/service/common-config";
import { connectService } from "@howdah/service/connect-service";
import { duration, integer } from "@howdah/service/fields";
import { runService } from "@howdah/service/run-service";
import { lead } from "./lead.js";
import { takeTurns } from "./leadership.js";
import { createRequestService, type Leading } from "./request-service.js";
import { StackCache } from "./stack-cache.js";

await runService({
  name: "scheduler",
  listen: "127.0.0.1:7410",
  config: {
    commandStore: serviceAddresses.commandStore,
    /** How often the store is asked for what a lost hint left behind. */
    reconcileMs: duration("3s"),
    /** Added to a command's time-out before its task is called UNKNOWN. */
    deadlineGraceMs: duration("60s"),
    /** How long a released command may go without a word before it is sent again. */
    resendMs: duration("30s"),
    /** How many tasks may be released and not ended at a time, of all requests; 0 for no limit. */
    maxInFlight: integer(0),
  },
  async start({ name, config, log, metrics, signal }) {
    const tls = clientTls(config);
    const transport = connectService({
      address: config.commandStore,
      addressOption: "HOWDAH_COMMAND_STORE",
      tls,
    });
    const connect = (address: string) => connectService({ address, tls });
    const store = createClient(CommandStoreService, transport);
    let leading: Leading | undefined;

    const server = createRpcServer({
      name,
      log,
      tls: serverTls(config),
      listenOption: "HOWDAH_LISTEN",
      observe: metrics?.observe,
    });
    server.add(
      RequestService,
      createRequestService({
        store,
        fleet: createClient(FleetService, transport),
        stacks: new StackCache(createClient(StackService, transport)),
        leading: () => leading,
      }),
    );
    const main = await server.listen(config.listen);

    const stopping = new AbortController();
    const turns = takeTurns(
      {
        store,
        instance: config.instance,
        address: advertised(config, main),
        log,
        async lead(token, turn) {
          try {
            await lead({ ...config, store, log, connect }, token, turn, (engine) => {
              leading = { engine, token };
            });
          } finally {
            leading = undefined;
          }
        },
      },
      stopping.signal,
    );
    signal.addEventListener("abort", () => stopping.abort(), { once: true });

    return {
      addresses: { main },
      async stop() {
        await server.drain();
        stopping.abort();
        await turns;
        transport.close();
      },
    };
  },
});
