import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the stack under test. */
export const stackFolder = join(
  dirname(fileURLToPath(import.meta.url)),
  "../../../stacks/HOWDAH/1.0",
);

export interface ScriptResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface ScriptCommand {
  role: string;
  /** The command's name, such as "START". */
  name: string;
  /** The script, below the stack's folder. */
  script: string;
  clusterHostInfo: Record<string, string[]>;
  configurations: Record<string, Record<string, string>>;
}

/** Runs a command script as the agent of `host` would, `prefix` being that agent's folder. */
export async function runScript(
  prefix: string,
  host: string,
  command: ScriptCommand,
): Promise<ScriptResult> {
  const tmp = join(prefix, "tmp");
  await mkdir(tmp, { recursive: true });
  const json = join(prefix, `command-${command.role}-${command.name}.json`);
  const { role, name, script, clusterHostInfo, configurations } = command;
  const document = {
    role,
    roleCommand: name,
    serviceName: "MARIADB",
    taskId: 7,
    agentLevelParams: { hostname: host },
    clusterLevelParams: { stack_name: "HOWDAH", stack_version: "1.0" },
    clusterHostInfo,
    configurations,
  };
  await writeFile(json, JSON.stringify(document));
  const path = join(stackFolder, script);
  const rest = [name, json, dirname(dirname(path)), structuredOut(prefix), "INFO", tmp];
  const args = ["-B", path, ...rest, "PROTOCOL_TLSv1_2", ""];
  const env = { PATH: process.env.PATH, HOWDAH_PREFIX: prefix, HOWDAH_TASK: "store:7:1" };
  return new Promise((resolve, reject) => {
    execFile("python3", args, { env, timeout: 120_000 }, (error, stdout, stderr) => {
      if (error && typeof error.code !== "number") reject(error);
      else resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

/** What a SCRIPT alert of the service finds on `host`, run as its agent runs it, such as `OK all is well`. */
export async function runAlert(
  prefix: string,
  host: string,
  name: string,
  root: Pick<ScriptCommand, "clusterHostInfo" | "configurations">,
): Promise<string> {
  const service = join(stackFolder, "services/MARIADB");
  const alerts = JSON.parse(await readFile(join(service, "alerts.json"), "utf8")) as {
    MARIADB: Record<string, { name: string; source: { path: string } }[]>;
  };
  const alert = Object.values(alerts.MARIADB)
    .flat()
    .find((one) => one.name === name);
  assert.ok(alert, name);
  const baseDir = join(service, "package");
  const path = join(baseDir, alert.source.path.replace(/^.*\/package\//, ""));
  const source = JSON.stringify(alert.source);
  const input = { path, baseDir, tmpDir: join(prefix, "tmp"), source, root, hostName: host };
  const runner = join(stackFolder, "../../../agent/alert-script.py");
  const { PATH } = process.env;
  const ran = spawnSync("python3", ["-B", runner], {
    ...{ input: JSON.stringify(input), stdio: ["pipe", "pipe", "pipe", "pipe"], timeout: 60_000 },
    ...{ cwd: prefix, env: { PATH, HOWDAH_PREFIX: prefix }, encoding: "utf8" },
  });
  const { state, text, error } = JSON.parse(ran.output[3] ?? "null");
  return error ?? `${state} ${text}`;
}

/** The structured output that the scripts of a prefix have written. */
export async function readStructuredOut(prefix: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(structuredOut(prefix), "utf8")) as Record<string, unknown>;
}

function structuredOut(prefix: string): string {
  return join(prefix, "structured-out.json");
}

/** The first of `count` neighbouring ports of 127.0.0.1 that are all free, below those handed out for port 0. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const base = 15_000 + Math.floor(Math.random() * 15_000);
    const free = await Promise.all(Array.from({ length: count }, (_, n) => isFree(base + n)));
    if (free.every(Boolean)) return base;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
