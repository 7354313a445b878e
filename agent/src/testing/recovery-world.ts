import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { StatusCommandSchema } from "@howdah/proto/howdah/v1/agent_service";
import {
  CommandSpecSchema,
  ExecutionCommandSchema,
  ScriptType,
  type StatusCheck,
  type StatusCheckSchema,
} from "@howdah/proto/howdah/v1/command";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { RoleCommand } from "@howdah/proto/howdah/v1/status";
import { agentPrefix, type StartedAgent, startAgentWith } from "./started-agent.js";
import { textOf, until } from "./test-agent.js";
import { checkOf, packageDigest, statusText } from "./test-checks.js";
import { serveDispatcher, type TestDispatcher, type TestSession } from "./test-dispatcher.js";

/** The digest of the package with the hooks that run around a START. */
export const hooksDigest = "b".repeat(64);

/** An agent that is told every second's status of components that are files, and may recover them. */
export interface RecoveryWorld {
  readonly agent: StartedAgent;
  readonly dispatcher: TestDispatcher;
  /** Names all components of the host. */
  command(session: TestSession, ...checks: StatusCheck[]): void;
  /** A check of a component whose script this is, by default wanted STARTED by request 5. */
  check(component: string, more?: MessageInitShape<typeof StatusCheckSchema>): StatusCheck;
  /** Sends an operator's command of a component. */
  order(
    session: TestSession,
    taskId: number,
    component: string,
    name: OrderName,
    requestId: number,
  ): void;
  /** Whether a component runs, and making it so or not, past all scripts. */
  isUp(component: string): boolean;
  down(component: string): void;
  up(component: string): void;
  /** `NN begins`, `NN ends` of all STARTs, in order. */
  starts(): string[];
  /** What its script was called with, in order, but for STATUS. */
  calls(component: string): string[];
  /** Waits for so many more checks of it. */
  checked(component: string, times: number): Promise<void>;
  /** Keeps the component's START waiting until `go`. */
  hold(component: string): void;
  go(component: string): void;
  /** Names in data/ of what the agent ran by itself. */
  autoFiles(): string[];
  /** What the session was told, as `COMPONENT STATE`. */
  told(session: TestSession): string[];
  /** Where its server is, from its next start on. */
  useServer(address: string): void;
}

/** What operators order in tests. */
export type OrderName = "START" | "STOP" | "INSTALL" | "RESTART";

const script = `case $1 in
STATUS) echo . >> "$HERE/$ME.status"; [ -e "$HERE/$ME.up" ] ;;
START) echo START >> "$HERE/$ME.calls"; echo "$ME begins" >> "$HERE/starts"
  while [ -e "$HERE/$ME.hold" ]; do sleep 0.05; done
  [ -e "$HERE/$ME.broken" ] && exit 1; echo up > "$HERE/$ME.up"; echo "$ME ends" >> "$HERE/starts" ;;
STOP) echo STOP >> "$HERE/$ME.calls"; rm -f "$HERE/$ME.up" ;;
*) echo "$1" >> "$HERE/$ME.calls"; [ ! -e "$HERE/$ME.broken" ] ;;
esac
`;

/** Starts agent and dispatcher, until the test ends; `environment` is the cluster's `cluster-env`. */
export async function recoveryWorld(
  t: TestContext,
  environment: Record<string, string> = { recovery_enabled: "true", recovery_type: "AUTO_START" },
): Promise<RecoveryWorld> {
  const dispatcher = await serveDispatcher(t);
  const document = Buffer.from(JSON.stringify({ configurations: { "cluster-env": environment } }));
  const configurationsDigest = createHash("sha256").update(document).digest("hex");
  dispatcher.packages.set(configurationsDigest, document);
  const ini = (address: string) =>
    `[server]\naddress = ${address}\n[agent]\nhostname = web-1\nprefix = PREFIX\npython = /bin/sh\ncomponent_status_interval = 1s\n`;
  // Before the prefix is removed: its checks write there all the time.
  t.after(async () => {
    await agent.end("SIGKILL");
  });
  const { prefix, iniFile } = agentPrefix(t, ini(dispatcher.address));
  const agent = startAgentWith(t, iniFile);
  const { tmp, data, cache } = agent.folders;
  const file = (component: string, what: string) => join(tmp, `${component}.${what}`);

  function write(path: string, text: string): void {
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, text);
  }
  const packages = join(cache, "packages");
  for (const component of ["NN", "DN"]) {
    const head = `HERE=${tmp}\nME=${component}\n`;
    write(join(packages, packageDigest, "scripts", `${component}.sh`), head + script);
  }
  for (const hook of ["before-START", "after-START"]) {
    const line = `echo ${hook} >> "${tmp}/NN.calls"\n`;
    write(join(packages, hooksDigest, hook, "scripts", "hook.py"), line);
  }

  const statuses = (component: string) => textOf(file(component, "status")).length / 2;
  return {
    ...{ agent, dispatcher },
    command: (session, ...checks) =>
      session.say({ case: "statusCommand", value: create(StatusCommandSchema, { checks }) }),
    check: (component, more = {}) =>
      checkOf(component, component === "NN" ? { hooksDigest } : {}, {
        ...{ configurationsDigest, recoveryEnabled: true, recoveryTimeoutMs: 60_000n },
        ...{ desiredState: ComponentState.STARTED, desiredRequestId: 5n },
        ...more,
      }),
    order(session, taskId, component, name, requestId) {
      const spec = create(CommandSpecSchema, {
        ...{ serviceName: "HDFS", componentName: component, clusterName: "c1", clusterId: 7n },
        ...{ packageDigest, script: `scripts/${component}.sh`, timeoutMs: 60_000n },
        scriptType: ScriptType.SHELL,
      });
      const value = create(ExecutionCommandSchema, {
        ...{ taskId: BigInt(taskId), attempt: 1, requestId: BigInt(requestId), hostId: 7n },
        ...{ role: component, roleCommand: RoleCommand[name], spec },
      });
      session.say({ case: "executionCommand", value });
    },
    isUp: (component) => existsSync(file(component, "up")),
    up: (component) => writeFileSync(file(component, "up"), ""),
    down: (component) => rmSync(file(component, "up"), { force: true }),
    starts: () => textOf(join(tmp, "starts")).split("\n").slice(0, -1),
    calls: (component) => textOf(file(component, "calls")).split("\n").slice(0, -1),
    async checked(component, times) {
      const before = statuses(component);
      await until(() => statuses(component) >= before + times, `${times} checks of ${component}`);
    },
    hold: (component) => writeFileSync(file(component, "hold"), ""),
    go: (component) => rmSync(file(component, "hold"), { force: true }),
    autoFiles: () =>
      readdirSync(data)
        .filter((name) => name.startsWith("auto_"))
        .sort(),
    told: (session) =>
      session.all("componentStatusReport").flatMap((report) => report.statuses.map(statusText)),
    useServer: (address) => writeFileSync(iniFile, ini(address).replaceAll("PREFIX", prefix)),
  };
}

/** The records of what the agent runs by itself. */
export function autoRecords({ folders }: StartedAgent): string[] {
  return readdirSync(folders.steps).filter((name) => name.startsWith("auto."));
}
