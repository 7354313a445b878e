import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { describe, it, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("./echo-main.js", import.meta.url));

interface Line {
  level: string;
  msg: string;
  service: string;
  instance: string;
  addresses?: { main: string; metrics?: string };
  config?: Record<string, unknown>;
  err?: { message: string; stack: string };
}

/** Starts the echo service with the given settings; it is killed after the test. */
function start(t: TestContext, env: Record<string, string> = {}) {
  const child: ChildProcess = spawn(process.execPath, [program], {
    env: { PATH: process.env.PATH, HOWDAH_INSTANCE: "echo-1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  const lines: Line[] = [];
  const waiting = new Set<() => void>();
  let stderr = "";
  child.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  if (child.stdout === null) throw new Error("no stdout");
  const reader = createInterface(child.stdout).on("line", (line) => {
    lines.push(JSON.parse(line) as Line);
    for (const check of waiting) check();
  });
  // The reader may be behind the process.
  const read = once(reader, "close");
  const exited = once(child, "close").then(async ([code]) => {
    await read;
    return code as number | null;
  });
  const line = (msg: string) =>
    new Promise<Line>((resolve, reject) => {
      const check = () => {
        const found = lines.find((one) => one.msg === msg);
        if (found) resolve(found);
      };
      check();
      waiting.add(check);
      void exited.then(() => reject(new Error(`ended without "${msg}": ${stderr}`)));
    });
  return { child, lines, line, exited, stderr: () => stderr };
}

describe("runService()", () => {
  it("says once where it listens, and ends with 0 on SIGTERM", async (t) => {
    const service = start(t);
    const { addresses, ...line } = await service.line("listening");
    assert.match(addresses?.main ?? "", /^127\.0\.0\.1:[1-9]\d*$/);
    assert.equal(line.service, "echo");
    assert.equal(line.instance, "echo-1");
    service.child.kill("SIGTERM");
    assert.equal(await service.exited, 0);
    assert.equal(service.lines.filter(({ msg }) => msg === "listening").length, 1);
    assert.ok(service.lines.some(({ msg }) => msg === "stopped"));
  });

  it("says where it listens at every level of the log", async (t) => {
    for (const level of ["warn", "silent"]) {
      const service = start(t, { HOWDAH_LOG_LEVEL: level });
      const { addresses } = await service.line("listening");
      assert.match(addresses?.main ?? "", /^127\.0\.0\.1:[1-9]\d*$/);
      service.child.kill("SIGTERM");
      assert.equal(await service.exited, 0);
      assert.deepEqual(
        service.lines.map(({ msg }) => msg),
        ["listening"],
      );
    }
  });

  it("ends with 0 when it is stopped while it starts", async (t) => {
    const service = start(t, { HOWDAH_TROUBLE: "hangs at start" });
    await service.line("hanging");
    service.child.kill("SIGINT");
    assert.equal(await service.exited, 0);
    // Not as the last one: what pino could not write at once may come behind what was said after it.
    assert.ok(service.lines.some(({ msg }) => msg === "stopped before it served"));
  });

  it("ends at once on the second signal, and with 1 when the grace is over", async (t) => {
    const impatient = start(t, { HOWDAH_STOP_TAKES: "1m" });
    await impatient.line("listening");
    impatient.child.kill("SIGTERM");
    await impatient.line("stopping");
    impatient.child.kill("SIGTERM");
    assert.equal(await impatient.exited, 1);

    const slow = start(t, { HOWDAH_STOP_TAKES: "1m", HOWDAH_SHUTDOWN_GRACE: "50ms" });
    await slow.line("listening");
    slow.child.kill("SIGTERM");
    assert.equal(await slow.exited, 1);
    assert.ok(slow.lines.some(({ msg }) => /not stopped within the grace/.test(msg)));
  });

  it("tells all problems of its settings in a line each, with exit code 2", async (t) => {
    const service = start(t, { HOWDAH_LISTEN: "7420", HOWDAH_STOP_TAKES: "30" });
    assert.equal(await service.exited, 2);
    assert.deepEqual(service.lines, []);
    const [first, second, ...rest] = service.stderr().trim().split("\n");
    assert.match(first ?? "", /^echo: HOWDAH_LISTEN: "7420" has no port; write it as HOST:PORT/);
    assert.equal(
      second,
      'echo: HOWDAH_STOP_TAKES: "30" is no duration; write it as 250ms, 30s, 5m, 2h or 7d',
    );
    assert.deepEqual(rest, []);
  });

  it("tells that a port is taken without a stack, with exit code 2", async (t) => {
    const taken = createServer().listen(0, "127.0.0.1");
    t.after(() => taken.close());
    await once(taken, "listening");
    const address = taken.address();
    if (typeof address !== "object" || address === null) throw new Error("no address");
    const service = start(t, { HOWDAH_LISTEN: `127.0.0.1:${address.port}` });
    assert.equal(await service.exited, 2);
    const last = service.lines.at(-1);
    assert.match(last?.msg ?? "", /^HOWDAH_LISTEN: cannot listen on 127\.0\.0\.1:.*EADDRINUSE/);
    assert.equal(last?.err, undefined);
  });

  it("logs its own faults with their stack, with exit code 1", async (t) => {
    const cases = {
      "fails at start": "x is no function",
      throws: "unforeseen",
      fails: "lost its lease",
    };
    for (const [trouble, message] of Object.entries(cases)) {
      const service = start(t, { HOWDAH_TROUBLE: trouble });
      assert.equal(await service.exited, 1, trouble);
      const fatal = service.lines.find(({ level }) => level === "fatal");
      assert.equal(fatal?.err?.message, message);
      assert.match(fatal?.err?.stack ?? "", /echo-main/);
    }
  });

  it("serves metrics where it is told to", async (t) => {
    const service = start(t, { HOWDAH_METRICS_LISTEN: "127.0.0.1:0" });
    const { addresses } = await service.line("listening");
    const answer = await fetch(`http://${addresses?.metrics}/metrics`);
    assert.match(await answer.text(), /nodejs_version_info/);
    service.child.kill("SIGTERM");
    assert.equal(await service.exited, 0);
  });

  it("masks secrets in what it logs", async (t) => {
    const service = start(t, { HOWDAH_DATABASE_URL: "mysql://howdah:hunter2@db/howdah" });
    const { config } = await service.line("starting");
    assert.equal(config?.databaseUrl, "********");
    assert.equal(config?.logLevel, "info");
  });
});
