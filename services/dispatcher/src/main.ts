import { createClient } from "@connectrpc/connect";
import { AgentService } from "@howdah/proto/howdah/v1/agent_service";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { DispatcherService } from "@howdah/proto/howdah/v1/dispatcher_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { assertListenAllowed, parseListenAddress } from "@howdah/rpc/listen-address";
import { createRpcServer } from "@howdah/rpc/server";
import { advertised, clientTls, serverTls, serviceAddresses } from "@howdah/service/common-config";
import { connectService } from "@howdah/service/connect-service";
import { address, duration, integer } from "@howdah/service/fields";
import { runService } from "@howdah/service/run-service";
import { createDispatcher } from "./dispatcher.js";
import { createProbePeer } from "./probe-peer.js";

await runService({
  name: "dispatcher",
  listen: "127.0.0.1:7430",
  config: {
    commandStore: serviceAddresses.commandStore,
    /** Where agents connect. */
    agentListen: address("127.0.0.1:7440"),
    /** How often agents send a heartbeat. */
    heartbeatMs: duration("60s"),
    /** How many reports of one agent may be under way. */
    maxUnackedReports: integer(100, { min: 1, max: 10_000 }),
    /** How many packages are sent to agents at once. */
    maxPackageFetches: integer(100, { min: 1, max: 10_000 }),
    /** Over how long agents spread their reconnecting when this dispatcher stops. */
    drainWindowMs: duration("3s"),
  },
  async start({ name, config, log, metrics }) {
    if (config.instance.length > 80 || config.instance.includes("/")) {
      throw new Error(
        `HOWDAH_INSTANCE: "${config.instance}" names the dispatcher's lease; use at most 80 characters and no slash`,
      );
    }
    const tls = serverTls(config);
    assertListenAllowed(
      parseListenAddress(config.agentListen, "HOWDAH_AGENT_LISTEN"),
      tls !== undefined,
      "HOWDAH_AGENT_LISTEN",
    );
    const store = {
      address: config.commandStore,
      tls: clientTls(config),
      addressOption: "HOWDAH_COMMAND_STORE",
    };
    const transport = connectService(store);
    // Output and packages are large: on a slow network reports and sessions would wait behind them.
    const bulk = connectService({ ...store, ownConnection: true });
    const dispatcher = createDispatcher({
      instance: config.instance,
      store: createClient(CommandStoreService, transport),
      output: createClient(CommandStoreService, bulk),
      stacks: createClient(StackService, bulk),
      probePeer: createProbePeer(clientTls(config), log),
      heartbeatMs: config.heartbeatMs,
      maxUnackedReports: config.maxUnackedReports,
      maxFetches: config.maxPackageFetches,
      log,
    });
    const services = createRpcServer({
      name,
      log,
      tls,
      listenOption: "HOWDAH_LISTEN",
      observe: metrics?.observe,
      drainGraceMs: 1_000,
    });
    const agents = createRpcServer({
      name,
      log,
      tls,
      listenOption: "HOWDAH_AGENT_LISTEN",
      observe: metrics?.observe,
      keepalive: { timeMs: 12_000, timeoutMs: 8_000 },
      drainGraceMs: 1_000,
    });
    services.add(DispatcherService, dispatcher.dispatcherService);
    agents
      .add(AgentService, dispatcher.agentService)
      .serveStream(AgentService.method.connect, dispatcher.connectAgent);
    const main = await services.listen(config.listen);
    const agentAddress = await agents.listen(config.agentListen);
    const ready = (held: boolean) => {
      services.health.setAll(held);
      agents.health.setAll(held);
    };
    ready(false);
    dispatcher.lead(advertised(config, main), ready);

    return {
      addresses: { main, agents: agentAddress },
      async stop() {
        ready(false);
        await dispatcher.drain(config.drainWindowMs, config.shutdownGraceMs - 3_000);
        await Promise.all([services.drain(), agents.drain()]);
        transport.close();
        bulk.close();
      },
    };
  },
});
