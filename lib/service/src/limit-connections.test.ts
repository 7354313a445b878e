import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus } from "@howdah/proto/grpc/health/v1/health";
import { createRpcTransport } from "@howdah/rpc/transport";

const program = fileURLToPath(new URL("./echo-main.js", import.meta.url));
const limit = 160;

test("more connections than open files: those too many are closed, one line says why, the rest goes on", async (t) => {
  const child = spawn(
    "/bin/sh",
    ["-c", `ulimit -n ${limit}; exec "$0" "$1"`, process.execPath, program],
    {
      env: { PATH: process.env.PATH, HOWDAH_INSTANCE: "echo-1" },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  t.after(() => child.kill("SIGKILL"));
  const lines: { level: string; msg: string; addresses?: { main: string } }[] = [];
  const output = createInterface(child.stdout).on("line", (line) => lines.push(JSON.parse(line)));
  const until = async (what: string, holds: () => boolean) => {
    for (const end = performance.now() + 20_000; !holds(); await sleep(10)) {
      assert.ok(performance.now() < end && child.exitCode === null, `waited for ${what}`);
    }
  };
  await until("the service", () => lines.at(-1)?.msg === "listening");
  const address = lines.at(-1)?.addresses?.main ?? "";
  const transport = createRpcTransport({ address });
  t.after(() => transport.close());
  const serving = async () => {
    const { status } = await createClient(Health, transport).check({}, { timeoutMs: 5_000 });
    return status === HealthCheckResponse_ServingStatus.SERVING;
  };
  assert.ok(await serving());

  const open = new Set<Socket>();
  t.after(() => {
    for (const socket of open) socket.destroy();
  });
  const [host, port] = address.split(":");
  for (let n = 0; n < 2 * limit; n += 1) {
    const socket = connect(Number(port), host).on("error", () => undefined);
    open.add(socket.on("close", () => open.delete(socket)));
  }
  // One of them is the one of the calls.
  await until("the closing of what is too much", () => open.size === limit / 2 - 1);
  assert.ok(await serving(), "on the connection that it had");
  for (const socket of open) socket.destroy();
  await until("the end of all", () => open.size === 0);
  const later = createRpcTransport({ address, ownConnection: true });
  t.after(() => later.close());
  await createClient(Health, later).check({}, { timeoutMs: 5_000 });

  child.kill("SIGTERM");
  await once(output, "close");
  const errors = lines.filter(({ level }) => level === "error" || level === "fatal");
  assert.equal(errors.length, 1, JSON.stringify(errors));
  assert.match(errors[0]?.msg ?? "", /limit of open files is reached \(160, .*raise it/);
});
