import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ComponentStatus } from "@howdah/proto/howdah/v1/agent_service";
import {
  CommandSpecSchema,
  ScriptType,
  type StatusCheck,
  StatusCheckSchema,
} from "@howdah/proto/howdah/v1/command";
import { ComponentState } from "@howdah/proto/howdah/v1/fleet";
import { pino } from "pino";
import type { AgentFolders } from "../folders.js";
import type { JsonObject } from "../json.js";
import type { ComponentName } from "../status/component-of.js";
import { StatusChecks, type StatusChecksOptions } from "../status/status-checks.js";
import { temporaryFolders } from "./test-agent.js";

/** The digest of the package whose scripts `TestChecks.script` writes. */
export const packageDigest = "a".repeat(64);

/** Status checks of an agent without a network, with a package on its disk. */
export interface TestChecks {
  readonly folders: AgentFolders;
  readonly checks: StatusChecks;
  /** Components that a command waits or runs for. */
  readonly busy: Set<string>;
  readonly documents: Map<string, JsonObject>;
  /** What was logged, as warnings or worse. */
  readonly warnings: Record<string, unknown>[];
  /** What the session was told, message by message, as `COMPONENT STATE`. */
  readonly told: string[][];
  /** Begins a session. */
  connect(): void;
  /** Writes the script of a component: shell, with the test's folder as `$HERE`. */
  script(component: string, text: string): void;
}

/** Makes them; they are closed and their files removed when the test ends. */
export function testChecks(t: TestContext, more: Partial<StatusChecksOptions> = {}): TestChecks {
  const { folders, remove } = temporaryFolders();
  const here = join(folders.cache, "packages", packageDigest);
  mkdirSync(join(here, "scripts"), { recursive: true });
  const busy = new Set<string>();
  const warnings: Record<string, unknown>[] = [];
  const told: string[][] = [];
  const documents = new Map<string, JsonObject>();
  const has = <T>(found: T | undefined, digest: string) =>
    found === undefined
      ? Promise.reject(new Error(`the server cannot give ${digest}`))
      : Promise.resolve(found);
  const checks = new StatusChecks({
    folders,
    facts: { hostName: "web-1", publicHostName: "web-1", cacheDir: folders.cache },
    settings: {},
    log: pino({ level: "warn" }, { write: (line: string) => warnings.push(JSON.parse(line)) }),
    intervalMs: 3_600_000,
    busy: ({ componentName }: ComponentName) => busy.has(componentName),
    packages: {
      folder: (digest) => has(digest === packageDigest ? here : undefined, digest),
      document: (digest) => has(documents.get(digest), digest),
    },
    ...more,
  });
  t.after(async () => {
    await checks.close();
    remove();
  });
  return {
    ...{ folders, checks, busy, documents, warnings, told },
    connect: () => checks.connected((statuses) => told.push(statuses.map(statusText))),
    script(component, text) {
      const path = join(here, "scripts", `${component}.sh`);
      writeFileSync(path, `#!/bin/sh\nHERE=${folders.tmp}\n${text}\n`);
      chmodSync(path, 0o755);
    },
  };
}

/** `COMPONENT STATE`. */
export function statusText({ componentName, state }: ComponentStatus): string {
  return `${componentName} ${ComponentState[state]}`;
}

/** A check that runs `scripts/COMPONENT.sh` of the package; `more` wins. */
export function checkOf(
  componentName: string,
  more: MessageInitShape<typeof CommandSpecSchema> = {},
  rest: MessageInitShape<typeof StatusCheckSchema> = {},
): StatusCheck {
  const spec = create(CommandSpecSchema, {
    ...{ serviceName: "HDFS", componentName, packageDigest, clusterName: "c1", clusterId: 7n },
    scriptType: ScriptType.SHELL,
    script: `scripts/${componentName}.sh`,
    timeoutMs: 20_000n,
    ...more,
  });
  return create(StatusCheckSchema, { componentName, spec, ...rest });
}
