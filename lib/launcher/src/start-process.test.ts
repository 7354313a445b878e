import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { listening } from "./log-line.js";
import { identify, isAlive } from "./process-identity.js";
import { ProcessStartError, startProcess } from "./start-process.js";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "howdah-process-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const service = `
  process.on("SIGTERM", () => process.exit(0));
  setInterval(() => {}, 1000);
  process.stderr.write("a line of Node's own\\n");
  process.stdout.write(JSON.stringify({ msg: "listening", service: "stub", addresses: { main: "127.0.0.1:7" } }) + "\\n");
`;

function node(name: string, program: string) {
  const logFile = join(folder, `${name}.log`);
  return { name, file: process.execPath, args: ["-e", program], logFile };
}

describe("startProcess()", () => {
  it("should resolve with the addresses a service says it listens on, and stop it", async () => {
    const started = await startProcess({ ...node("stub", service), readyWhen: listening });
    assert.deepEqual(started.ready, { main: "127.0.0.1:7" });
    assert.deepEqual(await started.stop(), { code: 0, signal: null });
    assert.equal(await identify(started.pid), undefined);
  });

  it("should not take a former run's line in the same log for its own", async () => {
    const options = node("again", "setInterval(() => {}, 1000)");
    await writeFile(options.logFile, '{"msg":"listening","addresses":{"main":"127.0.0.1:1"}}\n');
    await assert.rejects(
      startProcess({ ...options, readyWhen: listening, readyTimeoutMs: 300 }),
      /again was not ready after 300 ms/,
    );
  });

  it("should fail at once with the log's end when the process ends first", async () => {
    const options = node("broken", 'process.stderr.write("no database\\n"); process.exit(3)');
    await assert.rejects(startProcess({ ...options, readyWhen: listening }), (error) => {
      assert.ok(error instanceof ProcessStartError);
      assert.match(error.message, /^broken ended with exit code 3 before it was ready/);
      assert.match(error.message, /ends with:\n {2}no database$/);
      return true;
    });
  });

  it("should leave nothing running when the process is not ready in time", async () => {
    const options = node("deaf", 'process.on("SIGTERM", () => {}); console.log(process.pid)');
    options.args[1] += "; setInterval(() => {}, 1000)";
    await assert.rejects(
      startProcess({ ...options, readyWhen: listening, readyTimeoutMs: 500 }),
      /deaf was not ready after 500 ms/,
    );
    const pid = Number((await readFile(options.logFile, "utf8")).trim());
    assert.equal(await identify(pid), undefined);
  });

  it("should say so when there is no such program", async () => {
    const options = { ...node("nothing", ""), file: join(folder, "no-such-program") };
    await assert.rejects(
      startProcess({ ...options, readyWhen: listening }),
      /cannot start nothing/,
    );
  });

  it("should tell by which signal a process ended, and kill what ignores SIGTERM", async () => {
    const stubborn = service.replace("process.exit(0)", "{}");
    const started = await startProcess({ ...node("stubborn", stubborn), readyWhen: listening });
    assert.deepEqual(await started.stop(100), { code: 137, signal: "SIGKILL" });
    started.kill(); // harmless
  });

  it("should not let children outlive a launcher that is killed with SIGKILL", async () => {
    const launcher = `
      import { startProcess } from ${JSON.stringify(new URL("./start-process.js", import.meta.url))};
      import { listening } from ${JSON.stringify(new URL("./log-line.js", import.meta.url))};
      const child = await startProcess({ name: "child", file: process.execPath, args: ["-e", ${JSON.stringify(service)}],
        logFile: ${JSON.stringify(join(folder, "child.log"))}, readyWhen: listening });
      const addresses = { main: "child:" + child.pid };
      process.stdout.write(JSON.stringify({ msg: "listening", addresses }) + "\\n");
      setInterval(() => {}, 1000);
    `;
    const options = node("launcher", launcher);
    const outer = await startProcess({
      ...options,
      args: ["--input-type=module", ...options.args],
      readyWhen: listening,
    });
    const child = await identify(Number(outer.ready.main?.split(":")[1]));
    assert.ok(child && (await isAlive(child)));
    outer.kill("SIGKILL");
    await outer.exited;
    while (await isAlive(child)) await delay(20);
  });
});
