import { randomUUID } from "node:crypto";
import { basename, join } from "node:path";
import type { Logger } from "pino";
import type { AgentFacts } from "../command-json.js";
import type { AgentFolders } from "../folders.js";
import { isJsonObject, type Json, type JsonObject } from "../json.js";
import type { PackageCache } from "../package-cache.js";
import { agentVariables } from "../resolve-command.js";
import type { ScriptSettings } from "../run/command-spec.js";
import { alertsVariable, scriptEnvironment, taskVariable } from "../run/script-environment.js";
import { stopTree } from "../run/stop-tree.js";
import { type CheckEnd, CheckNotMadeError, runCheck } from "../status/run-check.js";
import { AlertDefinitionError } from "./definition-error.js";
import { type Found, type HostAlert, numberOf, parameterOf } from "./host-alert.js";
import { findScript } from "./script-file.js";
import type { WatchedCluster } from "./watched-cluster.js";
import { within } from "./within.js";

/** What running scripts needs. */
export interface ScriptContext {
  readonly folders: AgentFolders;
  readonly packages: PackageCache;
  readonly facts: AgentFacts;
  readonly settings: ScriptSettings;
  readonly log: Logger;
  /** How long a script may take if its definition says nothing. Default 60 s: tests have less. */
  readonly scriptTimeoutMs?: number;
}

const defaultTimeoutMs = 60_000;
const longestTimeoutMs = 1_800_000;
/** A package that this host lacks is waited for so long. */
const fetchMs = 30_000;
const states = ["OK", "WARNING", "CRITICAL", "UNKNOWN", "SKIPPED"] as const;

/**
 * Runs a Python script in a process of its own: `execute(configurations, parameters, host_name)` says the state and the text. It may take a
 * minute, and what the parameter `check.command.timeout` says on top.
 * @param root what its tokens are looked up in
 */
export async function checkScript(
  { definition }: HostAlert,
  source: JsonObject,
  { cluster, documents }: WatchedCluster,
  root: JsonObject,
  context: ScriptContext,
  signal: AbortSignal,
): Promise<Found> {
  const { path } = source;
  if (typeof path !== "string" || path === "") throw new AlertDefinitionError("it names no path");
  const { folders, packages, facts, settings, log } = context;
  const { metadata } = documents;
  const script = await findScript(
    path,
    { cluster, metadata, serviceName: definition.serviceName },
    join(folders.cache, "packages"),
    // While no server is to be reached what is lacking is not waited for any longer than a script.
    (digest) =>
      within(fetchMs, "The package of its script did not come", signal, (either) =>
        packages.folder(digest, either),
      ),
  );
  const tag = `alert:${randomUUID()}`;
  const environment = scriptEnvironment(folders, tag, agentVariables(folders, facts));
  let end: CheckEnd;
  try {
    end = await runCheck(
      {
        argv: [settings.python ?? "python3", folders.alertRunner],
        cwd: folders.prefix,
        environment: { ...environment, [alertsVariable]: folders.prefix },
        tag: `${taskVariable}=${tag}`,
        timeoutMs: timeoutOf(source, context.scriptTimeoutMs),
        input: JSON.stringify({
          ...{ path: script.path, baseDir: script.folder, tmpDir: folders.tmp },
          ...{ source: definition.sourceJson, root, hostName: facts.hostName },
        }),
      },
      signal,
      log,
    );
  } catch (error) {
    if (!(error instanceof CheckNotMadeError)) throw error;
    throw new Error(`The script ${basename(script.path)} says nothing: ${error.message}`);
  }
  return foundBy(end, basename(script.path));
}

function foundBy({ answer, exitCode, stderr }: CheckEnd, name: string): Found {
  const said = parse(answer);
  const detail = stderr.trim();
  const more = detail !== "" && { detail };
  if (typeof said?.error === "string") {
    return { state: "UNKNOWN", args: [], text: said.error, ...more };
  }
  const state = states.find((each) => each === said?.state);
  if (state === undefined || typeof said?.text !== "string") {
    const text = `The script ${name} says nothing: it ended with exit code ${exitCode}`;
    return { state: "UNKNOWN", args: [], text, ...more };
  }
  return { state, args: [], text: said.text, ...more };
}

function parse(answer: string): JsonObject | undefined {
  try {
    const said = JSON.parse(answer) as Json;
    return isJsonObject(said) ? said : undefined;
  } catch {
    return undefined;
  }
}

function timeoutOf(source: JsonObject, atLeastMs = defaultTimeoutMs): number {
  const granted = numberOf(parameterOf(source, "check.command.timeout")) ?? 0;
  return Math.min(longestTimeoutMs, atLeastMs + Math.max(0, granted) * 1_000);
}

/** Ends the scripts of alerts that a former agent under the prefix has left. Call it before the first alert is checked. */
export async function endLeftScripts({ prefix }: AgentFolders, log: Logger): Promise<void> {
  const { signal } = new AbortController();
  const tag = `${alertsVariable}=${prefix}`;
  const { terminated } = await stopTree({
    ...{ tag, graceMs: 0, packageManagerWaitMs: 0, signal, log },
  });
  if (terminated > 0) {
    log.info({ processes: terminated }, "a former agent's alert scripts were ended");
  }
}
