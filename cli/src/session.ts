import { readFileSync } from "node:fs";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AlertRunService, AlertService } from "@howdah/proto/howdah/v1/alert_service";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { RequestService } from "@howdah/proto/howdah/v1/request_service";
import { ScheduleService } from "@howdah/proto/howdah/v1/schedule_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { CliError } from "./cli-error.js";
import { ExitCode } from "./exit-code.js";
import type { Io } from "./io.js";

/** Where the gateway is unless somebody says otherwise. */
export const defaultServer = "http://127.0.0.1:7400";

/** What a command works with: the server's services, and how to answer. */
export interface Session {
  readonly io: Io;
  readonly server: string;
  /** Whether to answer in JSON. */
  readonly json: boolean;
  readonly requests: Client<typeof RequestService>;
  readonly schedules: Client<typeof ScheduleService>;
  readonly store: Client<typeof CommandStoreService>;
  readonly fleet: Client<typeof FleetService>;
  readonly stacks: Client<typeof StackService>;
  readonly alerts: Client<typeof AlertService>;
  readonly alertRuns: Client<typeof AlertRunService>;
}

/**
 * Opens a session; nothing is connected yet. Throws CliError for a server that is no URL, or a TLS file that cannot be read.
 */
export function openSession(io: Io, server: string, json: boolean): Session {
  if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol)) {
    throw new CliError(
      `--server: "${server}" is no URL; write it as ${defaultServer}`,
      ExitCode.usage,
    );
  }
  const transport = createConnectTransport({
    baseUrl: server,
    httpVersion: "1.1",
    ...(server.startsWith("https:") && { nodeOptions: tlsFiles(io) }),
  });
  return {
    io,
    server,
    json,
    requests: createClient(RequestService, transport),
    schedules: createClient(ScheduleService, transport),
    store: createClient(CommandStoreService, transport),
    fleet: createClient(FleetService, transport),
    stacks: createClient(StackService, transport),
    alerts: createClient(AlertService, transport),
    alertRuns: createClient(AlertRunService, transport),
  };
}

/** The operator's certificate, and the roots of the server's, from the files that the environment names. */
function tlsFiles({ env }: Io) {
  const files: { ca?: Buffer; cert?: Buffer; key?: Buffer } = {};
  for (const name of ["ca", "cert", "key"] as const) {
    const variable = `HOWDAH_TLS_${name.toUpperCase()}`;
    const file = env[variable];
    if (file === undefined || file === "") continue;
    try {
      files[name] = readFileSync(file);
    } catch (error) {
      throw new CliError(`${variable}: ${(error as Error).message}`, ExitCode.usage);
    }
  }
  return files;
}
