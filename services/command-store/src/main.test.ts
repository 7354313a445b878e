import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { startMariadb } from "@howdah/launcher/start-mariadb";
import {
  Health,
  HealthCheckResponse_ServingStatus as Serving,
} from "@howdah/proto/grpc/health/v1/health";
import { AlertService } from "@howdah/proto/howdah/v1/alert_service";
import { CommandStoreService } from "@howdah/proto/howdah/v1/command_store_service";
import { FleetService } from "@howdah/proto/howdah/v1/fleet_service";
import { StackService } from "@howdah/proto/howdah/v1/stack_service";
import { createRpcTransport, type RpcTransport } from "@howdah/rpc/transport";
import { startPrivateMariadb } from "./testing/database.js";

/** A line of the process's log. */
type Line = Readonly<Record<string, unknown>> & { readonly addresses?: Record<string, string> };

/** Starts the service as a process. */
function startMain(databaseUrl: string) {
  const child = spawn(
    process.execPath,
    ["--enable-source-maps", fileURLToPath(new URL("./main.js", import.meta.url))],
    {
      env: {
        PATH: process.env.PATH,
        HOWDAH_LISTEN: "127.0.0.1:0",
        HOWDAH_DATABASE_URL: databaseUrl,
      },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const lines: Line[] = [];
  let wake = () => {};
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(JSON.parse(line) as Line);
    wake();
  });
  const exited = once(child, "exit").then(([code]) => {
    wake();
    return code as number | null;
  });
  async function line(message: string): Promise<Line> {
    for (;;) {
      const found = lines.find(({ msg }) => msg === message);
      if (found !== undefined) return found;
      assert.equal(child.exitCode, null, JSON.stringify(lines));
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  return { child, lines, line, exited };
}

/** Waits until something holds. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(20);
}

function clientsOf(transport: RpcTransport) {
  const health = createClient(Health, transport);
  return {
    store: createClient(CommandStoreService, transport),
    serving: async () => (await health.check({})).status === Serving.SERVING,
  };
}

async function outcome(client: Client<typeof CommandStoreService>): Promise<Code | "ok"> {
  try {
    await client.listUnfinished({});
    return "ok";
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.Unavailable) {
      assert.match(error.message, /the database cannot be reached/);
    }
    return ConnectError.from(error).code;
  }
}

describe("the command store as a process", () => {
  it("should say that the database is away, recover by itself, and drain on SIGTERM", async () => {
    const { mariadb, folder, stop } = await startPrivateMariadb(true);
    const main = startMain(mariadb.url);
    let transport: RpcTransport | undefined;
    let again: Awaited<ReturnType<typeof startMariadb>> | undefined;
    try {
      const { addresses } = await main.line("listening");
      transport = createRpcTransport({ address: addresses?.main ?? "" });
      const { store, serving } = clientsOf(transport);
      assert.equal(await serving(), true);
      assert.equal(await outcome(store), "ok");
      for (const service of [FleetService, StackService, AlertService]) {
        const { status } = await createClient(Health, transport).check({
          service: service.typeName,
        });
        assert.equal(status, Serving.SERVING);
      }

      await mariadb.kill();
      assert.equal(await outcome(store), Code.Unavailable);
      await until(async () => !(await serving()));
      await main.line("the database cannot be reached");

      again = await startMariadb({ dataDir: folder, durable: true, port: mariadb.port });
      await until(serving);
      assert.equal(await outcome(store), "ok");

      main.child.kill("SIGTERM");
      assert.equal(await main.exited, 0);
    } finally {
      transport?.close();
      main.child.kill("SIGKILL");
      await again?.stop();
      await stop();
    }
  });

  it("should wait for a database that is away at its start", async () => {
    const { mariadb, folder, stop } = await startPrivateMariadb();
    await mariadb.stop();
    const main = startMain(mariadb.url);
    let again: Awaited<ReturnType<typeof startMariadb>> | undefined;
    let transport: RpcTransport | undefined;
    try {
      await main.line("the database cannot be reached, trying again");
      assert.ok(!main.lines.some(({ msg }) => msg === "listening"));
      again = await startMariadb({ dataDir: folder, durable: false, port: mariadb.port });
      const { addresses } = await main.line("listening");
      transport = createRpcTransport({ address: addresses?.main ?? "" });
      assert.equal(await outcome(clientsOf(transport).store), "ok");
    } finally {
      transport?.close();
      main.child.kill("SIGTERM");
      assert.equal(await main.exited, 0);
      await again?.stop();
      await stop();
    }
  });

  it("should refuse to start without a database URL, in one line", async () => {
    const main = startMain("");
    assert.equal(await main.exited, 2);
  });
});
