import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { sendSignal } from "./end-process.js";
import { FolderInUseError } from "./folder-lock.js";
import { listening } from "./log-line.js";
import { identify, isAlive, type ProcessIdentity } from "./process-identity.js";
import { type Installation, startInstallation } from "./start-installation.js";
import { startProcess } from "./start-process.js";

// Stand-ins for the services: they listen where they are told and say so, and note what they were given.
const service = `
import { createServer } from "node:net";
import { writeFileSync } from "node:fs";
import { once } from "node:events";
const name = process.env.HOWDAH_INSTANCE;
if (name === process.env.HOWDAH_BROKEN) { console.error(name + " has no licence"); process.exit(2); }
const given = Object.fromEntries(Object.entries(process.env).filter(([key]) => key.startsWith("HOWDAH_")));
writeFileSync(process.env.HOWDAH_NOTES + "/" + name + ".json", JSON.stringify(given));
const addresses = {};
for (const [listener, key] of [["main", "HOWDAH_LISTEN"], ["agents", "HOWDAH_AGENT_LISTEN"]]) {
  if (!process.env[key]) continue;
  const [host, port] = process.env[key].split(":");
  const server = createServer().listen(Number(port), host);
  await once(server, "listening");
  addresses[listener] = host + ":" + server.address().port;
}
process.on("SIGTERM", () => { console.log("stopped at " + Date.now()); process.exit(0); });
console.log(JSON.stringify({ msg: "listening", service: name, addresses }));
`;
const agent = `
import { copyFileSync } from "node:fs";
copyFileSync(process.argv[3], process.env.HOWDAH_NOTES + "/" + process.cwd().split("/").pop() + ".ini");
process.on("SIGTERM", () => process.exit(0));
setInterval(() => {}, 1000);
console.log(JSON.stringify({ msg: "started" }));
`;

let root: string;
let notes: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "howdah-installation-"));
  notes = join(root, "notes");
  await mkdir(notes);
  const programs = ["command-store", "scheduler", "dispatcher", "gateway"].map((name) => ({
    folder: join(root, "services", name, "dist"),
    text: service,
  }));
  for (const { folder, text } of [...programs, { folder: join(root, "agent/dist"), text: agent }]) {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "main.js"), text);
  }
  await writeFile(join(root, "package.json"), '{"type":"module"}');
});
after(() => rm(root, { recursive: true, force: true }));

type Options = Parameters<typeof startInstallation>[0];

function start(dir: string, options: Partial<Options> = {}): Promise<Installation> {
  const env = { HOWDAH_NOTES: notes, ...options.env };
  const rest = { databaseUrl: "mysql://nobody@127.0.0.1:1/none", ports: "free" as const };
  return startInstallation({ ...rest, ...options, dir: join(root, dir), root, env });
}

async function given(instance: string): Promise<Record<string, string>> {
  return JSON.parse(await readFile(join(notes, `${instance}.json`), "utf8"));
}

async function identityOf(pid: number): Promise<ProcessIdentity> {
  const identity = await identify(pid);
  assert.ok(identity, `process ${pid} runs`);
  return identity;
}

async function stoppedAt(installation: Installation, service: keyof Installation["services"]) {
  const log = await readFile(installation.services[service][0]?.logFile ?? "", "utf8");
  return Number(/stopped at (\d+)/.exec(log)?.[1]);
}

describe("startInstallation()", () => {
  it("should tell every process where the others are, and stop the callers first", async () => {
    process.env.HOWDAH_LISTEN = "127.0.0.1:1"; // meant for somebody else
    process.env.HOWDAH_LOG_LEVEL = "warn"; // meant for all of them
    const all = await start("whole", { agents: 2 });
    delete process.env.HOWDAH_LISTEN;
    delete process.env.HOWDAH_LOG_LEVEL;
    const { commandStore, scheduler, dispatcher, gateway } = all;
    const pids = [...Object.values(all.services).flat(), ...all.agents].map(({ pid }) => pid);
    const identities = await Promise.all(pids.map(identityOf));
    assert.equal(identities.length, 6);
    for (const { pid } of Object.values(all.services).flat()) {
      const line = await readFile(`/proc/${pid}/cmdline`, "utf8");
      assert.ok(
        line.includes("--initial-old-space-size=128\0--no-parallel-scavenge"),
        "as docs/operating.md says",
      );
    }

    assert.equal((await given("command-store-1")).HOWDAH_DATABASE_URL, all.databaseUrl);
    assert.equal((await given("dispatcher-1")).HOWDAH_COMMAND_STORE, commandStore.addresses.main);
    const toGateway = await given("gateway-1");
    assert.equal(toGateway.HOWDAH_SCHEDULER, scheduler.addresses.main);
    assert.equal(toGateway.HOWDAH_COMMAND_STORE, commandStore.addresses.main);
    assert.equal(toGateway.HOWDAH_DATABASE_URL, undefined, "only the store has the database");
    assert.equal(toGateway.HOWDAH_LOG_LEVEL, "warn");
    for (const host of ["host1", "host2"]) {
      const ini = await readFile(join(notes, `${host}.ini`), "utf8");
      assert.match(ini, new RegExp(`\nhostname = ${host}\n`));
      assert.ok(ini.includes(`address = ${dispatcher.addresses.agents}`));
    }

    await all.stop();
    for (const identity of identities) assert.equal(await isAlive(identity), false);
    const order = await Promise.all(
      (["gateway", "scheduler", "dispatcher", "command-store"] as const).map((service) =>
        stoppedAt(all, service),
      ),
    );
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    );
    assert.ok(gateway.addresses.main);
  });

  it("should start a killed service again where it was, and tell of its end", async () => {
    const ends: string[] = [];
    const onExit: Options["onExit"] = (unit, { code }) => ends.push(`${unit.name} ${code}`);
    const all = await start("again", { onExit });
    const { dispatcher } = all;
    const before = { pid: dispatcher.pid, addresses: dispatcher.addresses };
    dispatcher.kill();
    await dispatcher.exited;
    await dispatcher.restart();
    assert.notEqual(dispatcher.pid, before.pid);
    assert.deepEqual(dispatcher.addresses, before.addresses);
    await dispatcher.restart();
    assert.deepEqual(dispatcher.addresses, before.addresses);
    assert.deepEqual(ends, ["dispatcher-1 137"]);
    await all.stop();
    assert.deepEqual(ends, ["dispatcher-1 137"]);
  });

  it("should start several of a service, each with its own name, known to their callers", async () => {
    const all = await start("many", { replicas: { "command-store": 2, scheduler: 2 } });
    const stores = all.services["command-store"].map((unit) => unit.addresses.main);
    assert.equal(new Set(stores).size, 2);
    assert.equal((await given("scheduler-2")).HOWDAH_COMMAND_STORE, stores.join(","));
    assert.equal(all.commandStore.name, "command-store-1");
    await all.stop();
  });

  it("should leave nothing running when one does not start, and say why", async () => {
    const pids: number[] = [];
    const log = (line: string) => pids.push(...[/pid (\d+)/.exec(line)?.[1] ?? []].map(Number));
    await assert.rejects(
      start("broken", { log, env: { HOWDAH_BROKEN: "gateway-1" } }),
      /gateway-1 ended with exit code 2 before it was ready.*gateway-1 has no licence/s,
    );
    assert.equal(pids.length, 3);
    for (const pid of pids) assert.equal(await identify(pid), undefined);
    await (await start("broken")).stop();
  });

  it("should refuse a folder in use", async () => {
    const first = await start("taken");
    await assert.rejects(start("taken"), FolderInUseError);
    await first.stop();
  });

  it("should work again after everything that looks after it was killed with SIGKILL", async () => {
    const dir = join(root, "killed");
    const options = {
      dir,
      root,
      agents: 1,
      ports: "free" as const,
      durable: false,
      env: { HOWDAH_NOTES: notes },
    };
    const program = `
      import { startInstallation } from ${JSON.stringify(new URL("./start-installation.js", import.meta.url))};
      const all = await startInstallation(${JSON.stringify(options)});
      const units = [all.mariadb, all.gateway, all.scheduler, all.dispatcher, all.commandStore, ...all.agents];
      console.log(JSON.stringify({ msg: "listening", addresses: { pids: units.map((unit) => unit.pid).join(" ") } }));
      setInterval(() => {}, 1000);
    `;
    const launcher = await startProcess({
      name: "launcher",
      file: process.execPath,
      args: ["--input-type=module", "-e", program],
      logFile: join(root, "launcher.log"),
      readyWhen: listening,
    });
    const pids = (launcher.ready.pids ?? "").split(" ").map(Number);
    const left = await Promise.all(pids.map(identityOf));
    assert.equal(left.length, 6);
    sendSignal(await guardOf(launcher.pid), "SIGKILL");
    launcher.kill("SIGKILL");
    await launcher.exited;
    for (const identity of left) assert.ok(await isAlive(identity));

    const lines: string[] = [];
    const log = (line: string) => lines.push(line);
    const again = await startInstallation({ ...options, log });
    for (const identity of left) assert.equal(await isAlive(identity), false);
    const told = lines.find((line) => line.startsWith("ended what a former run left behind: "));
    for (const name of ["gateway-1", "command-store-1", "agent-host1"]) {
      assert.ok(told?.includes(name), told);
    }
    await again.stop();
  });
});

/** The pid of the shell that looks after a launcher's children. */
async function guardOf(launcher: number): Promise<number> {
  const children = await readFile(`/proc/${launcher}/task/${launcher}/children`, "utf8");
  for (const pid of children.trim().split(" ").map(Number)) {
    if ((await readFile(`/proc/${pid}/comm`, "utf8")).trim() === "sh") return pid;
  }
  throw new Error(`launcher ${launcher} has no guard among ${children}`);
}
