// `npm run demo`: a real database cluster, installed, started in dependency order and checked on three agents, through MySQL and gRPC.
// Everything it does after starting the processes is done with the `howdah` command, and shown.
//   --exit   stop everything at the end (default without a terminal); exit status 0, or not 0 with the failed task's output
//   --clean  remove what the demo left in .howdah/, and end what still runs from there
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { root, setup } from "./setup.js";

const dir = join(root, ".howdah", "demo");
const hosts = ["host1", "host2", "host3"];
const gateway = "http://127.0.0.1:7400";

const { values: options } = parseArgs({
  options: { exit: { type: "boolean" }, clean: { type: "boolean" }, help: { type: "boolean" } },
});

/** The cluster, with a password of its own. */
const clusterFile = () => `name: demo
stack: HOWDAH/1.0
services:
  MARIADB:
    MARIADB_PRIMARY: [host1]
    MARIADB_REPLICA: [host2, host3]
    MARIADB_CLIENT: [host1]
configurations:
  mariadb-env:
    replication_password: ${randomBytes(12).toString("hex")}
`;

/** @param {string} [line] */
function say(line = "") {
  process.stdout.write(`${line}\n`);
}

async function clean() {
  setup({ database: false });
  const { endProcessesBelow } = await import("../lib/launcher/dist/find-processes.js");
  await endProcessesBelow(dir);
  rmSync(dir, { recursive: true, force: true });
  say(`Removed ${relative(root, dir)}.`);
}

/**
 * Runs a howdah command as a person would, and shows it.
 * @param {string[]} args @returns {Promise<number>} its exit status
 */
function howdah(...args) {
  say(`\n$ howdah ${args.map((word) => (/[\s*]/.test(word) ? `'${word}'` : word)).join(" ")}`);
  const child = spawn(process.execPath, [join(root, "cli", "bin", "howdah.js"), ...args], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, HOWDAH_SERVER: gateway },
  });
  return new Promise((resolve) => child.on("exit", (code) => resolve(code ?? 1)));
}

/**
 * Asks the gateway, as curl would.
 * @param {string} method @param {object} [request]
 */
async function ask(method, request = {}) {
  const response = await fetch(`${gateway}/howdah.v1.${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  return response.json();
}

/** Waits until every agent has registered. */
async function agentsThere() {
  for (let waited = 0; waited < 30_000; waited += 100) {
    const { hosts: there = [] } = await ask("FleetService/ListHosts");
    const healthy = there.filter(
      (/** @type {{ state: string }} */ host) => host.state === "HOST_STATE_HEALTHY",
    );
    if (healthy.length >= hosts.length) return;
    await sleep(100);
  }
  throw new Error(
    `the agents did not register within 30 s; see ${relative(root, join(dir, "log"))}`,
  );
}

async function deploy() {
  const cluster = join(dir, "cluster.yaml");
  if (!existsSync(cluster)) writeFileSync(cluster, clusterFile(), { mode: 0o600 });
  const steps = [
    ["stack", "push", "stacks/HOWDAH/1.0"],
    ["cluster", "apply", relative(root, cluster)],
    ["hosts"],
    ["install"],
    ["plan", "start"],
    ["start"],
    ["run", "--hosts", "*", "--", "hostname"],
    ["requests"],
  ];
  for (const step of steps) {
    const code = await howdah(...step);
    if (code !== 0) return code;
  }
  return 0;
}

async function lookAround() {
  const { requests = [] } = await ask("CommandStoreService/ListRequests");
  const start = requests.find((/** @type {{ context: string }} */ request) =>
    request.context.startsWith("Start"),
  );
  const { tasks = [] } = await ask("CommandStoreService/ListTasks", {
    requestId: start?.requestId,
  });
  const hints = [
    ["npx howdah requests", "what was done"],
    [`npx howdah tasks ${start?.requestId}`, "each command of the START, by stage"],
    [`npx howdah logs ${tasks.at(-1)?.taskId}`, "what the service check printed"],
  ];
  say(`
Deployed: MariaDB, a primary on host1 and replicas on host2 and host3, each a process of its own on this machine.

Look around, from this folder:
${hints.map(([line = "", what]) => `  ${line.padEnd(40)}# ${what}`).join("\n")}
  npx howdah restart MARIADB
  npx howdah run --hosts 'host[1-3]' -- uptime
  curl -d '{}' -H 'content-type: application/json' ${gateway}/howdah.v1.FleetService/ListHosts
  npx buf curl --protocol grpc --http2-prior-knowledge http://127.0.0.1:7420 --list-methods
  grpcurl -plaintext 127.0.0.1:7440 list
Logs of the processes: ${relative(root, join(dir, "log"))}`);
}

async function main() {
  if (options.help) return say("usage: npm run demo [-- --exit | --clean]");
  if (options.clean) return clean();
  setup();
  const { startInstallation } = await import("../lib/launcher/dist/start-installation.js");
  const { endProcessesBelow } = await import("../lib/launcher/dist/find-processes.js");
  say("Starting MariaDB, four services and three agents:");
  const installation = await startInstallation({
    dir,
    agents: hosts.length,
    ports: "default",
    log: (/** @type {string} */ line) => say(`  ${line}`),
  });
  let code = 1;
  const interrupted = new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, resolve);
  });
  try {
    await agentsThere();
    code = await Promise.race([deploy(), interrupted.then(() => 130)]);
    if (code === 0) {
      await lookAround();
      if (!options.exit && process.stdout.isTTY) {
        say("\nRunning until Ctrl-C.");
        await interrupted;
      }
    }
  } finally {
    say("\nStopping everything.");
    await installation.stop();
    // The databases that the stack started on its hosts outlive their agents, as they should; not this demo.
    await endProcessesBelow(dir);
  }
  process.exitCode = code === 130 ? 0 : code;
}

main().catch((error) => {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
});
