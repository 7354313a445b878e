import { AgentService } from "@howdah/proto/howdah/v1/agent_service";
import { AlertRunService, AlertService } from "@howdah/proto/howdah/v1/alert_service";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { DispatcherService } from "@howdah/proto/howdah/v1/dispatcher_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import { ScheduleService } from "@howdah/proto/howdah/v1/schedule_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { isLoopback, parseListenAddress } from "@howdah/rpc/listen-address";
import { clientTls, serverTls, serviceAddresses } from "@howdah/service/common-config";
import { ConfigError } from "@howdah/service/config";
import { duration, text } from "@howdah/service/fields";
import { runService } from "@howdah/service/run-service";
import { startGateway } from "./gateway.js";
import { createInnerService } from "./inner-service.js";

await runService({
  name: "gateway",
  listen: "127.0.0.1:7400",
  config: {
    scheduler: serviceAddresses.scheduler,
    commandStore: serviceAddresses.commandStore,
    maxStreamAgeMs: duration("15m"),
    allowedHosts: text().optional(),
  },
  async start({ config, log, metrics }) {
    if (!isLoopback(parseListenAddress(config.listen)) && config.tlsCa === undefined) {
      // Operators' tokens are not built yet: a certificate is the only way to know who calls.
      throw new ConfigError([
        `HOWDAH_TLS_CA: is not set although HOWDAH_LISTEN is ${config.listen}; whoever reaches the gateway may run commands on all hosts, so set it to the roots of your operators' certificates`,
      ]);
    }
    const tls = clientTls(config);
    const scheduler = createInnerService({
      name: "scheduler",
      address: config.scheduler,
      addressOption: "HOWDAH_SCHEDULER",
      tls,
    });
    const commandStore = createInnerService({
      name: "command store",
      address: config.commandStore,
      addressOption: "HOWDAH_COMMAND_STORE",
      tls,
    });
    const gateway = await startGateway({
      log,
      listen: config.listen,
      tls: serverTls(config),
      observe: metrics?.observe,
      maxStreamAgeMs: config.maxStreamAgeMs,
      allowedHosts: config.allowedHosts?.split(",").map((host) => host.trim()) ?? [],
      routes: [
        [RequestService, scheduler],
        [ScheduleService, scheduler],
        [AlertRunService, scheduler],
        [CommandStoreService, commandStore],
        [FleetService, commandStore],
        [StackService, commandStore],
        [AlertService, commandStore],
      ],
      refused: [DispatcherService, AgentService],
    });
    return {
      addresses: { main: gateway.address },
      async stop() {
        await gateway.drain();
        for (const { transport } of [scheduler, commandStore]) transport.close();
      },
    };
  },
});
