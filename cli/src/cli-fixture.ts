// What the tests of the command share: a server like the gateway with services of the test's own, and streams to write to.

import { once } from "node:events";
import { createServer } from "node:http";
import type { TestContext } from "node:test";
import type { ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { AlertRunService, AlertService } from "@howdah/proto/howdah/v1/alert_service";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import { ScheduleService } from "@howdah/proto/howdah/v1/schedule_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import type { Io } from "./io.js";
import { runCli } from "./run-cli.js";

export interface FakeServices {
  fleet?: Partial<ServiceImpl<typeof FleetService>>;
  store?: Partial<ServiceImpl<typeof CommandStoreService>>;
  requests?: Partial<ServiceImpl<typeof RequestService>>;
  schedules?: Partial<ServiceImpl<typeof ScheduleService>>;
  stacks?: Partial<ServiceImpl<typeof StackService>>;
  alerts?: Partial<ServiceImpl<typeof AlertService>>;
  alertRuns?: Partial<ServiceImpl<typeof AlertRunService>>;
}

/** Serves the given parts of the services until the test ends; its URL. */
export async function fakeServer(t: TestContext, services: FakeServices): Promise<string> {
  const server = createServer(
    connectNodeAdapter({
      routes(router) {
        router.service(FleetService, services.fleet ?? {});
        router.service(CommandStoreService, services.store ?? {});
        router.service(RequestService, services.requests ?? {});
        router.service(ScheduleService, services.schedules ?? {});
        router.service(StackService, services.stacks ?? {});
        router.service(AlertService, services.alerts ?? {});
        router.service(AlertRunService, services.alertRuns ?? {});
      },
    }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no address");
  return `http://127.0.0.1:${address.port}`;
}

/** What one run of the command line wrote. */
export interface Result {
  exitCode: number;
  out: string;
  err: string;
}

/** A command line to run. */
export interface CliOptions {
  /** HOWDAH_SERVER. */
  server?: string;
  /** Whether it writes to a terminal of 100 × 24. Default false. */
  terminal?: boolean;
  /** Ctrl-C. */
  interrupted?: AbortSignal;
  /** Called with all that was written so far, at each write. */
  onOutput?: (out: string) => void;
}

/** Runs a command line in this process. */
export async function cli(args: readonly string[], options: CliOptions = {}): Promise<Result> {
  let out = "";
  let err = "";
  const io: Io = {
    out(text) {
      out += text;
      options.onOutput?.(out);
    },
    err(text) {
      err += text;
    },
    isTerminal: options.terminal ?? false,
    columns: () => 100,
    rows: () => 24,
    env: { HOWDAH_SERVER: options.server ?? "http://127.0.0.1:1" },
    interrupted: options.interrupted ?? new AbortController().signal,
  };
  const exitCode = await runCli(args, io);
  return { exitCode, out, err };
}
