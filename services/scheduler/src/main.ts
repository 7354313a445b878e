import { createClient } from "@connectrpc/connect";
import { AlertRunService, AlertService } from "@howdah/proto/howdah/v1/alert_service";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import { ScheduleService } from "@howdah/proto/howdah/v1/schedule_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { createRpcServer } from "@howdah/rpc/server";
import { advertised, clientTls, serverTls, serviceAddresses } from "@howdah/service/common-config";
import { connectService } from "@howdah/service/connect-service";
import { duration, integer } from "@howdah/service/fields";
import { runService } from "@howdah/service/run-service";
import { createAlertRunService } from "./alerts/alert-run-service.js";
import type { AlertWatch } from "./alerts/alert-watch.js";
import { lead } from "./lead.js";
import { LeaderWatch } from "./leader-watch.js";
import { takeTurns } from "./leadership.js";
import { passOn } from "./pass-on.js";
import { createRequestService, withIdempotencyKey } from "./request-service.js";
import { createScheduleService } from "./schedules/schedule-service.js";
import { Schedules } from "./schedules/schedules.js";
import { StackCache } from "./stack-cache.js";
import type { Leading } from "./submit-request.js";

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
    /** How long nothing may be heard of a host before it is HEARTBEAT_LOST. */
    lostAfterMs: duration("30s"),
    /** How often agents are asked for the status of their components. */
    statusCheckEveryMs: duration("60s"),
    /** How late a schedule's run may start without being missed. */
    scheduleLatenessMs: duration("1m"),
    /** How long an operator's call waits while no scheduler leads. */
    leaderWaitMs: duration("15s"),
  },
  async start({ name, config, log, metrics, signal, fail }) {
    if (config.statusCheckEveryMs < 1_000) {
      throw new Error("HOWDAH_STATUS_CHECK_EVERY: less than a second is more than agents can do");
    }
    const tls = clientTls(config);
    const transport = connectService({
      address: config.commandStore,
      addressOption: "HOWDAH_COMMAND_STORE",
      tls,
    });
    const connect = (address: string) => connectService({ address, tls });
    const store = createClient(CommandStoreService, transport);
    const fleet = createClient(FleetService, transport);
    const watch = new LeaderWatch(connect, log);
    const stacks = new StackCache(createClient(StackService, transport));
    const sources = { store, fleet, stacks };
    let leading: Leading | undefined;
    let schedules: Schedules | undefined;
    let alertWatch: AlertWatch | undefined;
    const passing = { watch, instance: config.instance, waitMs: config.leaderWaitMs, signal };

    const server = createRpcServer({
      name,
      log,
      tls: serverTls(config),
      listenOption: "HOWDAH_LISTEN",
      observe: metrics?.observe,
    });
    server.add(
      RequestService,
      passOn(RequestService, createRequestService({ ...sources, leading: () => leading }), {
        ...passing,
        anywhere: ["planRequest"],
        repeatable: { submitRequest: withIdempotencyKey },
      }),
    );
    server.add(
      ScheduleService,
      passOn(ScheduleService, createScheduleService({ ...sources, leading: () => schedules }), {
        ...passing,
        anywhere: ["getSchedule", "listSchedules", "listWindows"],
      }),
    );
    const alerts = createClient(AlertService, transport);
    server.add(
      AlertRunService,
      passOn(
        AlertRunService,
        createAlertRunService({ alerts, fleet, leading: () => alertWatch }),
        // What it found once it may find again.
        { ...passing, repeatable: { runAlert: (request) => request } },
      ),
    );
    const main = await server.listen(config.listen);

    const stopping = new AbortController();
    const turns = takeTurns(
      {
        store,
        instance: config.instance,
        address: advertised(config, main),
        log,
        watched: (lease) => watch.leadsElsewhere(lease),
        async lead(token, turn) {
          const ended = new AbortController();
          let scheduling: Promise<void> | undefined;
          const over = () => {
            ended.abort();
            leading = undefined;
            schedules = undefined;
            alertWatch = undefined;
            watch.leadsHere(false);
          };
          turn.addEventListener("abort", over, { once: true });
          try {
            await lead({ ...config, ...sources, log, connect }, token, turn, (engine, watching) => {
              leading = { engine, token };
              alertWatch = watching;
              const { scheduleLatenessMs: latenessMs } = config;
              const now = Date.now;
              schedules = new Schedules({ ...sources, ...leading, latenessMs, now, log });
              scheduling = schedules.run(ended.signal).catch(fail);
              watch.leadsHere(true);
            });
          } finally {
            over();
            await scheduling;
          }
        },
      },
      stopping.signal,
    );

    return {
      addresses: { main },
      async stop() {
        // It leads until the calls that it has taken have ended.
        await server.drain();
        stopping.abort();
        await turns;
        watch.stop();
        transport.close();
      },
    };
  },
});
