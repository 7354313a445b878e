import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Task } from "@howdah/proto/howdah/v1/request";
import { RoleCommand, Status } from "@howdah/proto/howdah/v1/status";
import { agentsDoor, startAgent } from "../system/extra-agent.js";
import {
  type Fleet,
  healthyHosts,
  outputOf,
  over,
  pushStack,
  root,
  startFleet,
  tasksOf,
} from "../system/fleet.js";
import { howdah, type Ran } from "../system/howdah.js";

/** What a script of the stack COMPAT wrote down of one run. */
export interface ScriptRun {
  readonly script: string;
  readonly argv: string[];
  readonly cwd: string;
  readonly environment: Record<string, string>;
  /** Its command file. */
  readonly command: Readonly<Record<string, unknown>>;
  readonly mode: string;
  readonly structured: string | null;
  readonly stdin: string;
  readonly session: [pid: number, group: number, session: number];
  readonly descriptors: number[];
  readonly interpreter: string;
  readonly version: string | null;
}

/** How a script behaves the next times. */
export interface Behaviour {
  out?: string;
  error?: string;
  structured?: string;
  exit?: number;
  fail_times?: number;
  wait_for?: string;
  spawn?: string[];
}

/** What a request came to. */
export interface Outcome {
  readonly status: string;
  readonly tasks: readonly Task[];
}

/** An installation with the stack COMPAT and a cluster of it on two hosts, whose agents are set up otherwise. */
export interface CompatFleet extends Fleet {
  /** The tree that the stack was pushed from, for this test alone. */
  readonly tree: string;
  /** All runs on a host, those of a task when one is given. */
  runs(host: string, task?: bigint): ScriptRun[];
  /** Says how `ROLE-COMMAND`, or a hook, behaves on a host from now on. */
  behave(host: string, name: string, how: Behaviour): void;
  /** Runs a verb on components and waits for its end. */
  operate(verb: RoleCommand, components: string[], hosts?: string[]): Promise<Outcome>;
  /** Runs a custom command of COMPAT_MASTER and waits for its end. */
  custom(command: string, parameters?: Record<string, string>): Promise<Outcome>;
  /** Waits for the end of a request. */
  ended(requestId: bigint): Promise<Outcome>;
  /** A task's output: 1 what it wrote, 2 its errors, 3 its structured output. */
  output(task: Task | undefined, stream: 1 | 2 | 3): Promise<string>;
  howdah(...args: string[]): Promise<Ran>;
}

export const hosts = ["host1", "host2"];
const library = join(root, "test", "compat", "lib");
const pythonPath = `python_path = ${library}\n`;
/** The second host's agent tells its scripts everything that can be told otherwise. */
const inis: Readonly<Record<string, string>> = {
  host1: pythonPath,
  host2: `${pythonPath}log_level = debug
public_hostname = host2.example.org
ca_cert_path = /etc/ssl/compat.pem
force_https_protocol = PROTOCOL_TLS
log_out_files = true
use_system_proxy_settings = false
command_file_retention_policy = remove_on_success
[environment]
COMPAT_GREETING = good morning
`,
};

/** Starts it. */
export async function startCompatFleet(): Promise<CompatFleet> {
  const fleet = await startFleet({ agents: 0, env: { HOWDAH_STATUS_CHECK_EVERY: "1s" } });
  const agents: { stop(): Promise<unknown> }[] = [];
  const stop = async () => {
    await Promise.all(agents.map((agent) => agent.stop()));
    await fleet.stop();
  };
  try {
    for (const host of hosts) {
      const prefix = fleet.prefix(host);
      agents.push(await startAgent(fleet, host, [agentsDoor(fleet)], prefix, inis[host]));
    }
    await healthyHosts(fleet, hosts.length);
    const tree = join(fleet.dir, "tree");
    cpSync(join(root, "test", "compat"), tree, { recursive: true });
    await pushStack(fleet, join(tree, "stacks", "COMPAT", "1.0"));
    const on = (...names: string[]) => names.map((name) => ({ name, hostNames: hosts }));
    const [first = ""] = hosts;
    await fleet.fleet.applyCluster({
      ...{ name: "compat", stack: "COMPAT/1.0" },
      services: [
        {
          name: "COMPAT",
          components: [
            { name: "COMPAT_MASTER", hostNames: [first] },
            ...on("COMPAT_SLAVE", "COMPAT_CLIENT"),
          ],
        },
        { name: "SHELLS", components: on("SHELL_ONE", "PROGRAM_ONE") },
        { name: "BASE", components: [{ name: "BASE_ONE", hostNames: [first] }] },
        { name: "PLUGIN", components: [{ name: "PLUGIN_ONE", hostNames: [first] }] },
      ],
    });
    return { ...fleet, ...controls(fleet), tree, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function controls(fleet: Fleet) {
  const ended = async (requestId: bigint): Promise<Outcome> => {
    const { status } = await over(fleet, requestId);
    return { status: Status[status] ?? "", tasks: await tasksOf(fleet, requestId) };
  };
  const idOf = (request: { requestId: bigint } | undefined) => {
    assert.ok(request);
    return request.requestId;
  };
  return {
    ended,
    runs(host: string, task?: bigint): ScriptRun[] {
      const file = join(fleet.prefix(host), "compat", "ran.jsonl");
      if (!existsSync(file)) return [];
      const lines = readFileSync(file, "utf8").trimEnd().split("\n");
      const all = lines.map((line) => JSON.parse(line) as ScriptRun);
      return task === undefined
        ? all
        : all.filter(({ command }) => Number(command.taskId) === Number(task));
    },
    behave(host: string, name: string, how: Behaviour): void {
      const file = join(fleet.prefix(host), "behaviour", `${name}.json`);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, JSON.stringify(how));
    },
    async operate(verb: RoleCommand, components: string[], names: string[] = []) {
      const ofState = verb !== RoleCommand.CONFIGURE;
      const { request } = await fleet.requests.submitRequest({
        operation: {
          kind: {
            case: "service",
            value: {
              ...{ cluster: "compat", roleCommand: verb, components, hosts: { names } },
              ...{ evenIfDone: ofState, skipServiceChecks: true },
            },
          },
        },
      });
      return ended(idOf(request));
    },
    async custom(command: string, parameters: Record<string, string> = {}) {
      const value = { cluster: "compat", component: "COMPAT_MASTER", command, parameters };
      const { request } = await fleet.requests.submitRequest({
        operation: { kind: { case: "customCommand", value } },
      });
      return ended(idOf(request));
    },
    output: (task: Task | undefined, stream: 1 | 2 | 3) =>
      outputOf(fleet, task?.taskId ?? 0n, stream),
    howdah: (...args: string[]) => howdah(fleet, ...args),
  };
}
